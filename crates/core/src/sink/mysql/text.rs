//! A statement with its values in its text, for when the server prepares none: all are used up
//! (`max_prepared_stmt_count`), or a proxy has none.
//!
//! Invariant: the server takes a value's text for what it takes the bound value for. That is so for
//! numbers, for NULL, for bytes where bytes belong, for dates, and for what is a text of the
//! session's character set for certain: it has no introducer, so the server reads it as it reads a
//! bound one. All else has no text here, and waits for a prepared statement: MySQL takes the
//! literal `'-0.4'` for an unsigned 0 and refuses the bound one; it refuses bytes that are no text
//! where it takes them from a bound value; and letters that a column's character set lacks it may
//! replace in a literal, and refuse in a bound value. `TextProtocolTest` compares both on both
//! servers.
//!
//! Quotes are doubled, which every `sql_mode` and character set reads alike. Backslashes are
//! doubled unless the session has `NO_BACKSLASH_ESCAPES`. In a character set with a backslash amid
//! its letters (GBK, Big5, Shift-JIS and their kin) a text with one is sent in hexadecimal.
//!
//! Rows that share an UPDATE have one each here: the casts that they share it by are made for bound
//! values.
//!
//! Bound: `max_allowed_packet`. Rows that do not fit together are sent apart.

use crate::plan::limits::PACKET_OVERHEAD_BYTES;
use crate::plan::{Operation, Statement};
use crate::sink::mysql::deletions::delete_order;
use crate::sink::mysql::executions::{Execution, StatementForm, statement};
use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::sql::{Dialect, update_order};
use crate::sink::mysql::text_form::Charset;
use crate::table::column::ColumnKind;

/// Whether a text in a column of a kind means what it means when it is bound.
fn has_text(kind: ColumnKind, bytes: &[u8], form: StatementForm) -> bool {
    let is_of = |letters: &[u8]| bytes.iter().all(|byte| byte.is_ascii_digit() || letters.contains(byte));
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let begins = digits.first().is_some_and(u8::is_ascii_digit);
    let ends = digits.last().is_some_and(u8::is_ascii_digit);
    let is_number = |letters| begins && ends && is_of(letters) && !digits.contains(&b'-');
    match kind {
        ColumnKind::Integer => is_number(b"-"),
        ColumnKind::Decimal { .. } => is_number(b"-.") && digits.split(|byte| *byte == b'.').count() <= 2,
        ColumnKind::Float => begins && ends && is_of(b"-+.eE"),
        ColumnKind::Binary { .. } => true,
        ColumnKind::Date | ColumnKind::DateTime { .. } | ColumnKind::Time { .. } => is_of(b"-+ :."),
        ColumnKind::Bit => false,
        ColumnKind::Text(_) | ColumnKind::Other | ColumnKind::Untyped if !form.text.charset.has(bytes) => false,
        ColumnKind::Text(text) if text.has_all_letters => true,
        ColumnKind::Text(_) | ColumnKind::Other | ColumnKind::Untyped => {
            bytes.is_ascii() || form.dialect != Dialect::RowAlias
        }
    }
}

/// The statements that do what an execution does. `None`: a row's is longer than the server takes,
/// or a value has no text.
pub fn texts(planned: &Statement<'_>, execution: &Execution<'_>, form: StatementForm) -> Option<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for part in execution.apart(planned, form) {
        let kinds = kinds(planned, part.operation);
        push_texts(
            (planned, part.operation),
            (part.rows, &part.parameters),
            &kinds,
            form,
            &mut texts,
        )?;
    }
    Some(texts)
}

/// The kinds of the columns of a row's parameters.
fn kinds(planned: &Statement<'_>, operation: Operation) -> Vec<ColumnKind> {
    let kinds = &planned.bound.kinds;
    let order = match operation {
        Operation::Update | Operation::SharedUpdate => update_order(&planned.bound),
        Operation::Delete => delete_order(&planned.bound),
        Operation::Insert | Operation::Upsert => return kinds.clone(),
    };
    order.iter().filter_map(|at| kinds.get(*at).copied()).collect()
}

fn push_texts(
    (planned, operation): (&Statement<'_>, Operation),
    (rows, parameters): (usize, &[Parameter<'_>]),
    kinds: &[ColumnKind],
    form: StatementForm,
    texts: &mut Vec<Vec<u8>>,
) -> Option<()> {
    let sql = statement(&planned.bound, operation, rows, form);
    let text = filled(&sql, parameters, kinds, form)?;
    if text.len() + PACKET_OVERHEAD_BYTES <= form.limits.max_packet_bytes {
        texts.push(text);
        return Some(());
    }
    let half = rows / 2;
    if half == 0 {
        return None;
    }
    let (first, second) = parameters.split_at_checked(parameters.len() / rows * half)?;
    push_texts((planned, operation), (half, first), kinds, form, texts)?;
    push_texts((planned, operation), (rows - half, second), kinds, form, texts)
}

/// The statement with a value in the place of each placeholder. `None`: it has another number of
/// them, or a value has no text.
fn filled(sql: &str, parameters: &[Parameter<'_>], kinds: &[ColumnKind], form: StatementForm) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(sql.len() + parameters.len() * 16);
    let mut values = parameters.iter().zip(kinds.iter().cycle());
    // A name may have a question mark in it. A backtick in a name is doubled.
    let mut is_in_name = false;
    for byte in sql.bytes() {
        is_in_name ^= byte == b'`';
        if byte == b'?' && !is_in_name {
            let (value, kind) = values.next()?;
            push_value(&mut text, value, *kind, form)?;
        } else {
            text.push(byte);
        }
    }
    values.next().is_none().then_some(text)
}

fn push_value(text: &mut Vec<u8>, value: &Parameter<'_>, kind: ColumnKind, form: StatementForm) -> Option<()> {
    match value {
        Parameter::Null => text.extend_from_slice(b"NULL"),
        // In parentheses: a minus behind another one would begin a comment.
        Parameter::Int(number) if *number < 0 => text.extend_from_slice(format!("({number})").as_bytes()),
        Parameter::Int(number) => text.extend_from_slice(number.to_string().as_bytes()),
        Parameter::Text(bytes) => {
            has_text(kind, bytes, form).then_some(())?;
            match (kind, form.text.charset) {
                (ColumnKind::Binary { .. }, _) => push_hexadecimal(text, "binary", bytes),
                (_, Charset::InLetters(charset)) if form.text.escapes && bytes.contains(&b'\\') => {
                    push_hexadecimal(text, charset, bytes);
                }
                _ => push_quoted(text, bytes, form.text.escapes),
            }
        }
    }
    Some(())
}

fn push_quoted(text: &mut Vec<u8>, bytes: &[u8], escapes: bool) {
    text.push(b'\'');
    for byte in bytes {
        if *byte == b'\'' || (*byte == b'\\' && escapes) {
            text.push(*byte);
        }
        text.push(*byte);
    }
    text.push(b'\'');
}

fn push_hexadecimal(text: &mut Vec<u8>, charset: &str, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push(b'_');
    text.extend_from_slice(charset.as_bytes());
    text.extend_from_slice(b" X'");
    for byte in bytes {
        text.extend([byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]));
    }
    text.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::limits::Limits;
    use crate::sink::mysql::text_form::TextForm;
    use crate::table::column::TextKind;
    use std::borrow::Cow;

    fn form(charset: &str, mode: &str, dialect: Dialect) -> StatementForm {
        StatementForm {
            limits: Limits {
                max_packet_bytes: 1_000,
            },
            batch_rows: 100,
            dialect,
            text: TextForm::of_session(charset, mode),
            shares_updates: true,
            notes_touched_rows: true,
        }
    }

    fn text(bytes: &[u8]) -> Parameter<'static> {
        Parameter::Text(Cow::Owned(bytes.to_vec()))
    }

    fn said(sql: &str, parameters: &[Parameter<'_>]) -> Option<String> {
        let kinds = [ColumnKind::Other, ColumnKind::Binary { padded_to: None }];
        let form = form("utf8mb4", "", Dialect::RowAlias);
        filled(sql, parameters, &kinds, form).map(|text| String::from_utf8_lossy(&text).into_owned())
    }

    #[test]
    fn each_placeholder_gets_its_value() {
        let values = [
            Parameter::Int(-7),
            Parameter::Null,
            Parameter::Int(7),
            text(b"a'\\\"?`"),
        ];
        assert_eq!(
            said("x `?``?` = ? + ?, (?,?) /*ti*/", &values).as_deref(),
            Some("x `?``?` = (-7) + NULL, (7,_binary X'61275C223F60') /*ti*/")
        );
        assert_eq!(said("? ?", &values), None, "too few");
        assert_eq!(said("? ? ? ? ?", &values), None, "too many");
    }

    #[test]
    fn a_text_is_read_as_the_session_reads_it() {
        let (broken, letter) = (&b"'\\\x00?\xff"[..], &b"\x95\\'"[..]);
        for (charset, mode, value, expected) in [
            ("utf8mb4", "STRICT_TRANS_TABLES", broken, None),
            ("utf8mb4", "", &b"'\\\xc3\xa4"[..], Some(&b"'''\\\\\xc3\xa4'"[..])),
            ("utf8mb3", "", b"\xc3\xa4", None),
            ("utf8mb3", "", b"a", Some(b"'a'")),
            ("latin1", "ANSI,NO_BACKSLASH_ESCAPES", broken, Some(b"'''\\\x00?\xff'")),
            ("GBK", "", broken, None),
            ("gbk", "NO_BACKSLASH_ESCAPES", broken, None),
            ("gbk", "", b"'\xd6\xd0", Some(b"'''\xd6\xd0'")),
            ("sjis", "", letter, Some(b"_sjis X'955C27'")),
            ("sjis", "NO_BACKSLASH_ESCAPES", letter, Some(b"'\x95\\'''")),
            ("big5", "", letter, None),
            ("latin1", "", letter, Some(b"'\x95\\\\'''")),
        ] {
            let form = form(charset, mode, Dialect::ValuesFunction);
            let text = filled("?", &[text(value)], &[ColumnKind::Other], form);
            assert_eq!(text.as_deref(), expected, "{charset} {mode} {value:?}");
        }
    }

    #[test]
    fn what_is_not_certain_has_no_text() {
        let (mysql, mariadb) = [Dialect::RowAlias, Dialect::ValuesFunction]
            .map(|dialect| form("utf8mb4", "", dialect))
            .into();
        let decimal = ColumnKind::Decimal { scale: 2 };
        let of_collation = |collation| ColumnKind::Text(TextKind::from_collation(collation, 10));
        for (kind, value, on_mysql, on_mariadb) in [
            (of_collation("utf8mb4_bin"), "ä", true, true),
            (of_collation("latin1_swedish_ci"), "ä", false, true),
            (of_collation("latin1_swedish_ci"), "a", true, true),
            (ColumnKind::Other, "ä", false, true),
        ] {
            assert_eq!(has_text(kind, value.as_bytes(), mysql), on_mysql, "{kind:?} {value}");
            assert_eq!(
                has_text(kind, value.as_bytes(), mariadb),
                on_mariadb,
                "{kind:?} {value}"
            );
        }
        for (kind, value, expected) in [
            (ColumnKind::Integer, "-7", true),
            (ColumnKind::Integer, "18446744073709551615", true),
            (ColumnKind::Integer, "-0.4", false),
            (ColumnKind::Integer, "", false),
            (ColumnKind::Integer, "-", false),
            (ColumnKind::Integer, "1-2", false),
            (ColumnKind::Integer, " 7", false),
            (decimal, "-0.45", true),
            (decimal, "1.2.3", false),
            (decimal, "1E5", false),
            (decimal, "--1", false),
            (ColumnKind::Float, "-1.5E+300", true),
            (ColumnKind::Float, "0x41", false),
            (ColumnKind::Date, "2024-02-29", true),
            (ColumnKind::Date, "today", false),
            (ColumnKind::Bit, "1", false),
            (ColumnKind::Binary { padded_to: None }, "\0'", true),
            (ColumnKind::Other, "{\"a\": 1}", true),
        ] {
            assert_eq!(has_text(kind, value.as_bytes(), mysql), expected, "{kind:?} {value}");
        }
    }
}
