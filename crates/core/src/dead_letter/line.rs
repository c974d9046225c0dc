//! The form of a line of the dead-letter file.
//!
//! A line has what `takeFailures()` returns. A string that is not UTF-8 is `{"base64":"…"}`, a
//! `DateTimeInterface` of a table that is not known yet `{"datetime":"…"}`:
//! `{"id":…,"tag":…,"time":…,"status":…,"code":…,"message":…,"rows":[{"table":…,"row":{…}}]}`
//!
//! A row that only updates has `"update":true` beside its `row`.
//!
//! A deletion has its key, and maybe its guard, under `delete` in the place of `row`: an object by
//! column, or a list in the key's order if the table is not known. Whoever knows no deletions finds
//! no row there, and does not take the key for one.
//!
//! Invariant: a line is one JSON object, so a part of a line is none. Whoever reads the file knows
//! a line that was cut off by that.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dead_letter::DeadLetter;
use crate::table::shape::RowKind;
use crate::value::Value;

/// The key of a string that is not UTF-8.
pub const BINARY_MARK: &str = "base64";
/// The key of a `DateTimeInterface` that is still to be cut to its column's precision: as a text,
/// the server would round it.
pub const DATE_TIME_MARK: &str = "datetime";

/// The key of a deletion, where a row has `row`.
pub const DELETION: &str = "delete";
/// True beside the `row` of a row that only updates.
pub const UPDATE: &str = "update";

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
        .map(|row| {
            let named = || {
                let columns = row.columns.iter();
                let columns: Vec<_> = columns
                    .map(|(name, value)| format!("{}:{}", quote(name), json_value(value)))
                    .collect();
                format!("{{{}}}", columns.join(","))
            };
            let (what, columns) = match row.kind {
                RowKind::Row | RowKind::Update => ("row", named()),
                RowKind::Deletion => (DELETION, named()),
                RowKind::DeletionByPlace => {
                    let values: Vec<_> = row.columns.iter().map(|(_, value)| json_value(value)).collect();
                    (DELETION, format!("[{}]", values.join(",")))
                }
            };
            let mark = match row.kind {
                RowKind::Update => format!(",\"{UPDATE}\":true"),
                _ => String::new(),
            };
            format!("{{\"table\":{},\"{what}\":{columns}{mark}}}", quote(&row.table))
        })
        .collect();
    let line = format!(
        "{{\"id\":{},\"tag\":{},\"time\":{time:.6},\"status\":{},\"code\":{},\"message\":{},\"rows\":[{}]}}\n",
        quote(&letter.id),
        letter.tag.as_deref().map_or_else(|| "null".to_owned(), quote),
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
    use crate::dead_letter::{LetterRow, Status};

    fn letter(rows: Vec<LetterRow>) -> DeadLetter {
        DeadLetter {
            id: "a1".into(),
            tag: Some("order 7".into()),
            rows: rows.into(),
            status: Status::Refused,
            code: 1406,
            message: "Data too long for column 'v' \"now\"".into(),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
        }
    }

    #[test]
    fn an_update_says_so_beside_its_row() {
        for (kind, expected) in [
            (RowKind::Row, serde_json::json!({"table": "t", "row": {"id": 7}})),
            (
                RowKind::Update,
                serde_json::json!({"table": "t", "row": {"id": 7}, "update": true}),
            ),
        ] {
            let row = LetterRow {
                table: "t".to_owned(),
                columns: vec![(Box::from("id"), Value::Int(7))],
                kind,
            };
            let read: serde_json::Value = serde_json::from_slice(&json_line(&letter(vec![row]))).expect("JSON");
            assert_eq!(read["rows"][0], expected);
        }
    }

    #[test]
    fn a_deletion_has_no_row() {
        let columns = || vec![(Box::from("id"), Value::Int(7)), (Box::from("v"), Value::text("a"))];
        for (kind, expected) in [
            (RowKind::Deletion, serde_json::json!({"id": 7, "v": "a"})),
            (RowKind::DeletionByPlace, serde_json::json!([7, "a"])),
        ] {
            let row = LetterRow {
                table: "orders".to_owned(),
                columns: columns(),
                kind,
            };
            let read: serde_json::Value = serde_json::from_slice(&json_line(&letter(vec![row]))).expect("JSON");
            assert_eq!(
                read["rows"],
                serde_json::json!([{"table": "orders", "delete": expected}])
            );
        }
    }

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
        let line = json_line(&letter(vec![LetterRow {
            table: "orders".to_owned(),
            columns: row.into_iter().map(|(name, value)| (Box::from(name), value)).collect(),
            kind: RowKind::Row,
        }]));
        let text = std::str::from_utf8(&line).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!({
                "id": "a1",
                "tag": "order 7",
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
