//! A column's type, as far as comparing, summing and keying its values needs it.
//!
//! Aim: a comparison or a key from here agrees with the server's. If that is not certain the answer
//! is `None`: the rows go to the server one after the other, and it decides.
//!
//! Key equality is known for:
//! - integers and decimals;
//! - dates and times of day in canonical form (`2024-01-31 12:00:00`);
//! - binary strings;
//! - `_bin` collations of utf8mb4, for any text without a space at its end;
//! - plain ASCII words (letters, digits and `-_.:/`) under `_bin` collations and under the
//!   language-neutral ones (`general_ci`, `unicode_ci`, `0900_ai_ci`, `uca1400_ai_ci` …).
//!
//! It is not known for 'ä', for 'a ' with a space, for a Swedish collation, or in a session whose
//! `sql_mode` is not strict. `docs/design/coalescing.md` says what happens then.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use crate::table::domain::Domain;
use crate::value::Value;
use crate::value::decimal::{Decimal, exact, number};

/// A column, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts that the server states")]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// The kind of its values.
    pub kind: ColumnKind,
    /// The values that it takes for certain.
    pub domain: Domain,
    /// It takes NULL.
    pub is_nullable: bool,
    /// `AUTO_INCREMENT`: the server makes a number in the place of NULL, and mostly of 0.
    pub is_auto_increment: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`: the server sets it whenever a row changes that does not give
    /// it.
    pub is_set_on_update: bool,
    /// NOT NULL, without a default, not filled by the server: an INSERT must name it.
    pub is_required: bool,
    /// Left out, it becomes NULL or a fresh number: no two rows are equal in it.
    pub is_filled_uniquely: bool,
    /// Left out, it becomes a value other than NULL.
    pub has_default: bool,
    /// Left out, it becomes a value other than NULL and 0.
    pub has_nonzero_default: bool,
    /// Left out, it becomes a value that tells in which order rows came: the next number of a
    /// counter.
    pub tells_order: bool,
    /// ENUM, SET, MySQL's JSON: it reads a text as it comes.
    pub takes_text: bool,
    /// The collation of a text column.
    pub collation: Option<Arc<str>>,
}

/// The kind of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnKind {
    /// TINYINT to BIGINT, signed or not.
    Integer,
    /// DECIMAL.
    Decimal {
        /// Digits behind the point.
        scale: usize,
    },
    /// FLOAT or DOUBLE.
    Float,
    /// CHAR, VARCHAR, TEXT.
    Text(TextKind),
    /// BINARY (padded), VARBINARY, BLOB.
    Binary {
        /// BINARY(n): padded with NUL bytes up to n.
        padded_to: Option<usize>,
    },
    /// DATE.
    Date,
    /// DATETIME or TIMESTAMP.
    DateTime {
        /// Digits behind the seconds.
        precision: usize,
    },
    /// TIME.
    Time {
        /// Digits behind the seconds.
        precision: usize,
    },
    /// BIT: bytes are its bits.
    Bit,
    /// Any other type.
    #[default]
    Other,
    /// No server describes the column: the sink is `memory:`.
    Untyped,
}

/// When two values of a text column are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextKind {
    /// When two plain ASCII words are equal.
    pub equality: TextEquality,
    /// Whether any Unicode text can be told apart by its bytes: a `_bin` collation of utf8mb4.
    pub unicode_by_bytes: bool,
    /// Whether it has all letters: those of utf8mb4.
    pub has_all_letters: bool,
    /// The longest value, in characters. A strict server refuses a longer one, a lenient one cuts
    /// it.
    pub max_chars: usize,
}

/// When two plain ASCII words (letters, digits and `-_.:/`) are equal under a collation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEquality {
    /// If their bytes are.
    Bytes,
    /// If they differ at most in case.
    AsciiCase,
    /// Not known: the collation may contract or fold letters.
    Unknown,
}

impl TextKind {
    /// What a collation's name says. Only collations with known rules for ASCII are told apart.
    /// `CollationsTest` asks both servers whether these rules hold.
    pub fn from_collation(collation: &str, max_chars: usize) -> Self {
        let equality = if collation.ends_with("_bin") {
            TextEquality::Bytes
        } else if is_plain_collation(collation) {
            if collation.ends_with("_as_cs") {
                TextEquality::Bytes
            } else {
                TextEquality::AsciiCase
            }
        } else {
            TextEquality::Unknown
        };
        Self {
            equality,
            unicode_by_bytes: collation.starts_with("utf8mb4_") && collation.ends_with("_bin"),
            has_all_letters: collation.starts_with("utf8mb4_"),
            max_chars,
        }
    }
}

/// Whether the collation is language-neutral. One of a language may fold `v` and `w`, or contract
/// `ch`.
fn is_plain_collation(collation: &str) -> bool {
    const CHARSETS: [&str; 5] = ["utf8mb4_", "utf8mb3_", "utf8_", "ascii_", "uca1400_"];
    const PLAIN: [&str; 15] = [
        "general_ci",
        "general_nopad_ci",
        "general_mysql500_ci",
        "unicode_ci",
        "unicode_nopad_ci",
        "unicode_520_ci",
        "unicode_520_nopad_ci",
        "0900_ai_ci",
        "0900_as_ci",
        "0900_as_cs",
        "uca1400_ai_ci",
        "uca1400_as_ci",
        "uca1400_as_cs",
        "uca1400_nopad_ai_ci",
        "uca1400_nopad_as_ci",
    ];
    CHARSETS
        .iter()
        .find_map(|charset| collation.strip_prefix(charset))
        .is_some_and(|rest| PLAIN.contains(&rest))
}

impl ColumnKind {
    /// The value as this column stores it. A `DateTimeInterface` is cut to the column's precision:
    /// the server would round 23:59:59.9 into the next day. Any other value is left as it is.
    pub fn cut(self, value: Value<'_>) -> Value<'_> {
        let Value::DateTime(text) = &value else {
            return value;
        };
        let length = match self {
            Self::Date => 10,
            Self::DateTime { precision: 0 } => 19,
            Self::DateTime { precision } => 20 + precision.min(6),
            _ => return value,
        };
        match text {
            Cow::Borrowed(text) => Value::DateTime(Cow::Borrowed(text.get(..length).unwrap_or(text))),
            Cow::Owned(text) => Value::DateTime(Cow::Owned(text.get(..length).unwrap_or(text).to_owned())),
        }
    }

    /// The number as this column stores it: rounded to its scale.
    pub fn round(self, number: Decimal) -> Decimal {
        match self {
            Self::Integer => number.round(0),
            Self::Decimal { scale } => number.round(scale),
            _ => number,
        }
    }

    /// Compares two values as the server compares them in this column. `None` if only the server
    /// can tell.
    pub fn compare(self, left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
        if let (Self::Integer | Self::Untyped, Value::Int(left), Value::Int(right)) = (self, left, right) {
            return Some(left.cmp(right));
        }
        match self {
            Self::Integer | Self::Decimal { .. } => Some(self.round(exact(left)?).cmp(&self.round(exact(right)?))),
            Self::Date | Self::DateTime { .. } => {
                let (left, right) = (self.moment(left)?, self.moment(right)?);
                Some(left.cmp(&right))
            }
            Self::Untyped => Some(match (number(left), number(right)) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => plain_bytes(left).cmp(&plain_bytes(right)),
            }),
            // FLOAT rounds, text compares by its collation.
            Self::Float | Self::Text(_) | Self::Binary { .. } | Self::Time { .. } | Self::Bit | Self::Other => None,
        }
    }

    /// A date or time in the one form in which text order is time order, padded to microseconds.
    fn moment(self, value: &Value<'_>) -> Option<[u8; 26]> {
        let value = self.cut(value.clone());
        let text: &[u8] = match &value {
            Value::Bytes(bytes) => bytes,
            Value::DateTime(text) => text.as_bytes(),
            _ => return None,
        };
        let precision = match self {
            Self::DateTime { precision } => precision,
            _ => 0,
        };
        let longest = if precision == 0 { 19 } else { 20 + precision };
        let mut padded = *b"0000-00-00 00:00:00.000000";
        let fits = match self {
            Self::Date => text.len() == 10,
            _ => text.len() == 10 || text.len() == 19 || (text.len() > 20 && text.len() <= longest),
        };
        if !fits {
            return None;
        }
        for (slot, byte) in padded.iter_mut().zip(text) {
            let same_form = if slot.is_ascii_digit() {
                byte.is_ascii_digit()
            } else {
                byte == slot
            };
            if !same_form {
                return None;
            }
            *slot = *byte;
        }
        Some(padded)
    }

    /// Whether a value that has a key form is the one that the column holds: not a number with more
    /// digits behind the point, and no bytes that an insert would pad.
    pub fn holds_as_it_is(self, value: &Value<'_>) -> bool {
        match self {
            Self::Decimal { .. } => exact(value).is_some_and(|number| self.round(number.clone()) == number),
            Self::Binary {
                padded_to: Some(length),
            } => matches!(value, Value::Bytes(bytes) if bytes.len() >= length),
            _ => true,
        }
    }

    /// Whether a WHERE may find a row by the value that an insert would make the row's key. A WHERE
    /// compares a number with a text as numbers: the bits of "\x05" are 0 to it, and MariaDB finds
    /// the BIGINT 0 by 'abc'. `false`: no row is looked for.
    pub fn may_be_looked_up(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Integer | Self::Decimal { .. }, Value::Bytes(bytes)) => is_number_among_spaces(bytes),
            // As digits, bytes are the number of their bits only if that is 0.
            (Self::Bit, Value::Bytes(bytes)) => bytes.iter().all(|byte| *byte == 0),
            (Self::Integer | Self::Decimal { .. } | Self::Bit, Value::DateTime(_)) | (Self::Bit, Value::Float(_)) => {
                false
            }
            _ => true,
        }
    }

    /// Appends the key form of a value. Two forms have equal bytes if and only if the server sees
    /// equal keys. Their order is the same in every process. `None` if the server's equality is not
    /// certain.
    pub fn key(self, value: &Value<'_>, key: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Integer => {
                let number = match value {
                    Value::Int(number) => i128::from(*number),
                    _ => exact(value)?.to_i128()?,
                };
                push_integer_key(key, number);
            }
            Self::Decimal { .. } => push_text_key(key, self.round(exact(value)?).to_string().as_bytes()),
            Self::Text(text) => push_text_key(key, &text_key(text, value)?),
            Self::Binary { padded_to } => {
                let Value::Bytes(bytes) = value else { return None };
                if padded_to.is_some() && bytes.last() == Some(&0) {
                    return None;
                }
                push_text_key(key, bytes);
            }
            Self::Date | Self::DateTime { .. } => push_text_key(key, &self.moment(value)?),
            Self::Untyped => match value {
                Value::Int(number) => push_integer_key(key, i128::from(*number)),
                Value::Bytes(bytes) => match canonical_integer(bytes) {
                    Some(number) => push_integer_key(key, i128::from(number)),
                    None => {
                        key.push(1);
                        push_text_key(key, bytes);
                    }
                },
                Value::Float(number) => {
                    key.push(1);
                    push_text_key(key, number.to_string().as_bytes());
                }
                Value::DateTime(text) => {
                    key.push(1);
                    push_text_key(key, text.as_bytes());
                }
                Value::Null => key.push(2),
            },
            Self::Float | Self::Time { .. } | Self::Bit | Self::Other => return None,
        }
        Some(())
    }
}

/// A 16-byte form in which byte order is number order.
fn push_integer_key(key: &mut Vec<u8>, number: i128) {
    key.push(0);
    let flipped = number.cast_unsigned() ^ (1 << 127);
    key.extend_from_slice(&flipped.to_be_bytes());
}

/// A form that is no prefix of another text's: parts of a composite key cannot run into each other.
fn push_text_key(key: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        key.push(*byte);
        if *byte == 0 {
            key.push(0xff);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

fn text_key(text: TextKind, value: &Value<'_>) -> Option<Vec<u8>> {
    let bytes: Cow<'_, [u8]> = match value {
        Value::Int(number) => Cow::Owned(number.to_string().into_bytes()),
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        _ => return None,
    };
    if bytes.len() > text.max_chars {
        return None;
    }
    let plain = bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/'));
    match text.equality {
        TextEquality::Unknown => None,
        TextEquality::Bytes if plain => Some(bytes.into_owned()),
        TextEquality::AsciiCase if plain => Some(bytes.to_ascii_lowercase()),
        // A `_bin` collation pads with spaces, or not. Without a space at the end, both compare
        // bytes.
        _ if text.unicode_by_bytes && !bytes.ends_with(b" ") && std::str::from_utf8(&bytes).is_ok() => {
            Some(bytes.into_owned())
        }
        _ => None,
    }
}

/// Whether an insert takes the text for a number: blanks may stand before it, and any space behind
/// it.
fn is_number_among_spaces(text: &[u8]) -> bool {
    let start = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let number = text.get(start..).unwrap_or_default().trim_ascii_end();
    Decimal::parse(number).is_some()
}

/// The number, if the text is how PHP itself writes it.
fn canonical_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn plain_bytes<'v>(value: &'v Value<'_>) -> Cow<'v, [u8]> {
    match value {
        Value::Null => Cow::Borrowed(b""),
        Value::Int(number) => Cow::Owned(number.to_string().into_bytes()),
        Value::Float(number) => Cow::Owned(number.to_string().into_bytes()),
        Value::Bytes(bytes) => Cow::Borrowed(bytes),
        Value::DateTime(text) => Cow::Borrowed(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CI: ColumnKind = ColumnKind::Text(TextKind {
        equality: TextEquality::AsciiCase,
        unicode_by_bytes: false,
        has_all_letters: true,
        max_chars: 36,
    });
    const BIN: ColumnKind = ColumnKind::Text(TextKind {
        equality: TextEquality::Bytes,
        unicode_by_bytes: true,
        has_all_letters: true,
        max_chars: 36,
    });

    fn key(kind: ColumnKind, value: &Value<'_>) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        kind.key(value, &mut key).map(|()| key)
    }

    #[test]
    fn keys_are_equal_where_the_server_sees_one_row() {
        let text = Value::text;
        for (kind, left, right, expected) in [
            (ColumnKind::Integer, Value::Int(1), text("1"), Some(true)),
            (ColumnKind::Integer, Value::Int(1), text("01"), Some(true)),
            (
                ColumnKind::Integer,
                text("18446744073709551615"),
                text("18446744073709551614"),
                Some(false),
            ),
            (ColumnKind::Integer, Value::Int(1), text("1.5"), None),
            (ColumnKind::Integer, Value::Int(1), text("1abc"), None),
            (ColumnKind::Decimal { scale: 2 }, text("1.5"), text("1.50"), Some(true)),
            (CI, text("ABC-1"), text("abc-1"), Some(true)),
            (CI, text("abc"), text("abd"), Some(false)),
            (CI, text("abc"), text("äbc"), None),
            (CI, text("abc"), text("abc "), None),
            (CI, text("1"), Value::Int(1), Some(true)),
            (BIN, text("A"), text("a"), Some(false)),
            (BIN, text("ä"), text("ä"), Some(true)),
            (BIN, text("a"), text("a "), None),
            (ColumnKind::Binary { padded_to: Some(3) }, text("a"), text("a\0"), None),
            (
                ColumnKind::Binary { padded_to: None },
                text("a"),
                text("a\0"),
                Some(false),
            ),
            (ColumnKind::Date, text("2024-01-02"), text("2024-1-2"), None),
            (ColumnKind::Other, text("a"), text("a"), None),
            (ColumnKind::Untyped, Value::Int(7), text("7"), Some(true)),
            (ColumnKind::Untyped, text("07"), text("7"), Some(false)),
        ] {
            let equal = key(kind, &left)
                .zip(key(kind, &right))
                .map(|(left, right)| left == right);
            assert_eq!(equal, expected, "{kind:?}: {left:?}, {right:?}");
        }
    }

    #[test]
    fn a_key_is_looked_up_only_by_what_an_insert_takes_for_it() {
        let (text, bytes) = (Value::text, Value::bytes);
        let decimal = ColumnKind::Decimal { scale: 2 };
        let moment = || Value::DateTime(Cow::Borrowed("2024-01-02 03:04:05.000000"));
        for (kind, value, expected) in [
            (ColumnKind::Bit, Value::Int(5), true),
            (ColumnKind::Bit, bytes(b"\x05"), false),
            (ColumnKind::Bit, bytes(b"\0\x05"), false),
            (ColumnKind::Bit, bytes(b"\0\0"), true),
            (ColumnKind::Bit, text("0"), false),
            (ColumnKind::Bit, Value::Float(1.0), false),
            (ColumnKind::Integer, Value::Int(5), true),
            (ColumnKind::Integer, Value::Float(1.5), true),
            (ColumnKind::Integer, text("5"), true),
            (ColumnKind::Integer, text("1.5"), true),
            (ColumnKind::Integer, text(" 5 "), true),
            (ColumnKind::Integer, text("5\n"), true),
            (ColumnKind::Integer, text("abc"), false),
            (ColumnKind::Integer, text(""), false),
            (ColumnKind::Integer, text(" "), false),
            (ColumnKind::Integer, text("3x"), false),
            (ColumnKind::Integer, text("\n5"), false),
            (ColumnKind::Integer, moment(), false),
            (decimal, text("0.30"), true),
            (decimal, text("abc"), false),
            (decimal, moment(), false),
            (ColumnKind::DateTime { precision: 0 }, moment(), true),
            (BIN, text("abc"), true),
            (ColumnKind::Other, text("abc"), true),
        ] {
            assert_eq!(kind.may_be_looked_up(&value), expected, "{kind:?}: {value:?}");
        }
    }

    #[test]
    fn integer_keys_keep_their_order() {
        let keys: Vec<_> = [-5, -1, 0, 1, 300]
            .map(|number| key(ColumnKind::Integer, &Value::Int(number)))
            .into();
        assert!(keys.is_sorted());
    }

    #[test]
    fn values_compare_as_in_their_column() {
        let text = Value::text;
        let micros = ColumnKind::DateTime { precision: 6 };
        let seconds = ColumnKind::DateTime { precision: 0 };
        for (kind, left, right, expected) in [
            (ColumnKind::Integer, Value::Int(9), text("10"), Some(Ordering::Less)),
            (
                ColumnKind::Decimal { scale: 2 },
                text("1.004"),
                text("1"),
                Some(Ordering::Equal),
            ),
            (ColumnKind::Decimal { scale: 2 }, text("x"), text("1"), None),
            (
                micros,
                text("2024-01-02 03:04:05"),
                text("2024-01-02 03:04:05.1"),
                Some(Ordering::Less),
            ),
            (
                seconds,
                text("2024-01-02 03:04:05.9"),
                text("2024-01-02 03:04:05"),
                None,
            ),
            (
                seconds,
                Value::DateTime(Cow::Borrowed("2024-01-02 03:04:05.900000")),
                text("2024-01-02 03:04:05"),
                Some(Ordering::Equal),
            ),
            (ColumnKind::Float, Value::Float(1.0), Value::Float(2.0), None),
            (CI, text("a"), text("b"), None),
            (ColumnKind::Untyped, text("9"), text("10"), Some(Ordering::Less)),
            (ColumnKind::Untyped, text("b"), text("a"), Some(Ordering::Greater)),
        ] {
            assert_eq!(kind.compare(&left, &right), expected, "{kind:?}: {left:?}, {right:?}");
        }
    }

    #[test]
    fn collations_of_a_language_are_not_trusted() {
        for (collation, expected) in [
            ("utf8mb4_unicode_ci", TextEquality::AsciiCase),
            ("utf8mb4_general_ci", TextEquality::AsciiCase),
            ("utf8mb4_0900_ai_ci", TextEquality::AsciiCase),
            ("utf8mb4_0900_as_cs", TextEquality::Bytes),
            ("utf8mb4_uca1400_ai_ci", TextEquality::AsciiCase),
            ("utf8mb4_bin", TextEquality::Bytes),
            ("ascii_bin", TextEquality::Bytes),
            ("ascii_general_ci", TextEquality::AsciiCase),
            ("utf8mb4_swedish_ci", TextEquality::Unknown),
            ("utf8mb4_czech_ci", TextEquality::Unknown),
            ("latin1_german1_ci", TextEquality::Unknown),
            ("utf8mb4_tr_0900_ai_ci", TextEquality::Unknown),
        ] {
            assert_eq!(
                TextKind::from_collation(collation, 10).equality,
                expected,
                "{collation}"
            );
        }
    }
}
