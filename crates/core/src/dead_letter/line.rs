//! The form of a line of the dead-letter file.
//!
//! A line has what `takeFailures()` returns. A string that is not UTF-8 is `{"base64":"…"}`, a
//! `DateTimeInterface` of a table that is not known yet `{"datetime":"…"}`:
//! `{"time":…,"status":…,"code":…,"message":…,"rows":[{"table":…,"row":{…}}]}`
//!
//! Invariant: a line is one JSON object, so a part of a line is none. Whoever reads the file knows
//! a line that was cut off by that.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::DeadLetter;
use crate::value::Value;

/// The key of a string that is not UTF-8.
pub const BINARY_MARK: &str = "base64";
/// The key of a `DateTimeInterface` that is still to be cut to its column's precision: as a text,
/// the server would round it.
pub const DATE_TIME_MARK: &str = "datetime";

/// Decodes the text behind [`BINARY_MARK`].
pub fn decode_binary(text: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The line of a group, with its end.
pub fn json_line(letter: &DeadLetter) -> Vec<u8> {
    let time = letter.time.duration_since(SystemTime::UNIX_EPOCH);
    let time = time.unwrap_or(Duration::ZERO).as_secs_f64();
    let rows: Vec<String> = letter
        .rows
        .iter()
        .map(|(table, row)| {
            let columns: Vec<String> = row
                .iter()
                .map(|(name, value)| format!("{}:{}", quote(name), json_value(value)))
                .collect();
            format!("{{\"table\":{},\"row\":{{{}}}}}", quote(table), columns.join(","))
        })
        .collect();
    let line = format!(
        "{{\"time\":{time:.6},\"status\":{},\"code\":{},\"message\":{},\"rows\":[{}]}}\n",
        quote(letter.status.name()),
        letter.code,
        quote(letter.message.full()),
        rows.join(",")
    );
    line.into_bytes()
}

fn json_value(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => serde_json::Value::from(*number).to_string(),
        Value::DateTime(text) => format!("{{\"{DATE_TIME_MARK}\":{}}}", quote(text)),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => quote(text),
            Err(_) => format!("{{\"{BINARY_MARK}\":{}}}", quote(&STANDARD.encode(bytes))),
        },
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letter::Status;

    #[test]
    fn a_line_is_json_and_marks_what_is_binary() {
        let row = [
            ("id", Value::Int(7)),
            ("price", Value::text("1.50")),
            ("rate", Value::Float(0.1)),
            ("note", Value::Null),
            ("at", Value::DateTime("2024-12-31 23:59:59.900000".into())),
            ("raw", Value::Bytes(b"\xff\x00".as_slice().into())),
            ("q\"uote", Value::text("a\nb")),
        ];
        let row = row.into_iter().map(|(name, value)| (Box::from(name), value)).collect();
        let line = json_line(&DeadLetter {
            rows: vec![("orders".to_owned(), row)].into(),
            status: Status::Refused,
            code: 1406,
            message: "Data too long for column 'v' \"now\"".into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        });
        let text = std::str::from_utf8(&line).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!({
                "time": 1.5,
                "status": "refused",
                "code": 1406,
                "message": "Data too long for column 'v' \"now\"",
                "rows": [{"table": "orders", "row": {
                    "id": 7, "price": "1.50", "rate": 0.1, "note": null,
                    "at": {"datetime": "2024-12-31 23:59:59.900000"}, "raw": {"base64": "/wA="}, "q\"uote": "a\nb",
                }}],
            })
        );
        assert_eq!(decode_binary(b"/wA=").as_deref(), Some(b"\xff\x00".as_slice()));
    }
}
