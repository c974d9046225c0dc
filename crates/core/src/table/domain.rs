//! Which values a column takes for certain: the question behind every merge. A row may vanish in a
//! later one only if the server would have taken it.
//!
//! Invariant: a value that is [taken](Domain::takes) here is taken by the server in strict mode, in
//! any row. What is not listed here is left to the server.

use std::sync::Arc;

use crate::value::Value;
use crate::value::decimal::{Decimal, exact, number};
use crate::value::float_text::float_text;

/// The characters that a text column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repertoire {
    /// ASCII, as far as is certain.
    Ascii,
    /// ASCII for certain, and none beyond those of `latin1`, which is Windows-1252 to the servers.
    Latin1,
    /// Characters of the basic plane: `utf8mb3`.
    BasicPlane,
    /// All of Unicode: `utf8mb4`.
    Unicode,
}

/// The values that a column takes for certain, NULL aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Domain {
    /// Only the server can tell.
    #[default]
    Unknown,
    /// Any value: no server describes the column.
    Any,
    /// Whole numbers.
    Integer {
        /// The smallest.
        min: i128,
        /// The largest.
        max: i128,
        /// -0.4 is 0 to an unsigned column: to MariaDB it is, MySQL refuses it.
        rounds_up_to_zero: bool,
    },
    /// Decimal numbers. Digits behind the last one that the column has are rounded, in strict mode
    /// too: <https://dev.mysql.com/doc/refman/8.4/en/precision-math-rounding.html>.
    Decimal {
        /// Digits before the point, at most.
        whole_digits: usize,
        /// Digits behind the point.
        scale: usize,
        /// Not below zero.
        is_unsigned: bool,
    },
    /// `DOUBLE` and `FLOAT`.
    Float {
        /// Not below zero.
        is_unsigned: bool,
        /// Of four bytes: `FLOAT`.
        is_single: bool,
    },
    /// Text.
    Text {
        /// The longest, in bytes; each character may need several.
        max_bytes: usize,
        /// Its characters.
        repertoire: Repertoire,
    },
    /// Bytes.
    Binary {
        /// The longest, in bytes.
        max_bytes: usize,
    },
    /// `DATE`.
    Date,
    /// `DATETIME`.
    DateTime,
    /// `TIMESTAMP`.
    Timestamp {
        /// The session's time zone has no summer time, so each time of day exists on each day.
        has_fixed_zone: bool,
    },
    /// `YEAR`
    Year,
    /// `ENUM`: its members.
    Enum(Arc<[Box<str>]>),
    /// `SET`: its members.
    Set(Arc<[Box<str>]>),
}

/// FLOAT ends at 3.4e38.
const SINGLE_FLOAT_MAX: f64 = 1e38;
/// The digits before the point of the largest FLOAT, and of the largest DOUBLE.
const SINGLE_FLOAT_DIGITS: usize = 39;
const FLOAT_DIGITS: usize = 309;
/// A TIMESTAMP begins with 1970 in UTC, and ends with 2038, or with 2106 since MariaDB 11.5.
const TIMESTAMP_YEARS: std::ops::RangeInclusive<u32> = 1969..=2106;
/// Hours in which a change to summer time may leave out some: it happens at night.
const NIGHT_ENDS_AT: u32 = 4;

/// The characters of Windows-1252 beyond ISO 8859-1:
/// <https://dev.mysql.com/doc/refman/8.4/en/charset-we-sets.html>.
const BEYOND_ISO_8859_1: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";

fn is_latin1(letter: char) -> bool {
    u32::from(letter) <= 0xff || BEYOND_ISO_8859_1.contains(letter)
}

impl Domain {
    /// Whether the server takes the value for certain, in strict mode.
    pub fn takes(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Unknown | Self::Year | Self::Set(_) => false,
            Self::Any => true,
            Self::Integer { min, max, .. } => match value {
                Value::Int(number) => (*min..=*max).contains(&i128::from(*number)),
                _ => exact(value)
                    .and_then(|number| number.to_i128())
                    .is_some_and(|number| (*min..=*max).contains(&number)),
            },
            Self::Decimal {
                whole_digits,
                scale,
                is_unsigned,
            } => exact(value).is_some_and(|number| {
                let is_below_zero = *is_unsigned && number.is_negative();
                number.round(*scale).whole_digits() <= *whole_digits && !is_below_zero
            }),
            Self::Float { is_unsigned, .. } => match value {
                Value::Int(number) => *number >= 0 || !is_unsigned,
                Value::Float(number) => number.abs() < SINGLE_FLOAT_MAX && (*number >= 0.0 || !is_unsigned),
                _ => false,
            },
            Self::Text { max_bytes, repertoire } => text_of(value).is_some_and(|text| {
                text.len() <= *max_bytes
                    && match repertoire {
                        Repertoire::Ascii | Repertoire::Latin1 => text.is_ascii(),
                        Repertoire::BasicPlane => text.chars().all(|letter| u32::from(letter) <= 0xffff),
                        Repertoire::Unicode => true,
                    }
            }),
            Self::Binary { max_bytes } => matches!(value, Value::Bytes(bytes) if bytes.len() <= *max_bytes),
            Self::Date => text_of(value).is_some_and(|text| text.len() == 10 && Moment::parse(text).is_some()),
            Self::DateTime => text_of(value).is_some_and(|text| Moment::parse(text).is_some()),
            Self::Timestamp { has_fixed_zone } => {
                let moment = text_of(value).and_then(Moment::parse);
                moment.is_some_and(|moment| {
                    // From 1970 to 2038 in UTC, and so for certain within these years in any zone.
                    (1971..2038).contains(&moment.year) && (*has_fixed_zone || moment.hour >= NIGHT_ENDS_AT)
                })
            }
            Self::Enum(members) => text_of(value).is_some_and(|text| members.iter().any(|member| **member == *text)),
        }
    }

    /// The value as it is compared with what the column holds. A year of two digits is that of a
    /// century there: the server stores '0' as 2000, and compares it as 0.
    /// <https://dev.mysql.com/doc/refman/8.4/en/two-digit-years.html>
    pub fn in_full<'v>(&self, value: Value<'v>) -> Value<'v> {
        if *self != Self::Year {
            return value;
        }
        let digits = exact(&value).and_then(|number| number.round(0).to_i64());
        let is_zero = match &value {
            // Only this text is the year 0.
            Value::Bytes(bytes) => bytes.len() == 4,
            _ => true,
        };
        match digits {
            Some(0) if is_zero => value,
            Some(year @ 0..70) => Value::Int(2000 + year),
            Some(year @ 70..100) => Value::Int(1900 + year),
            _ => value,
        }
    }

    /// Whether a value of an ENUM or a SET is text as the column holds it: a member's name, or
    /// names in the column's order. The server compares another text as it is, member or not.
    pub fn is_by_name(&self, value: &Value<'_>) -> bool {
        let Some(text) = text_of(value) else { return false };
        match self {
            Self::Enum(members) => members.iter().any(|member| **member == *text),
            Self::Set(members) => {
                let mut members = members.iter();
                text.is_empty() || text.split(',').all(|name| members.any(|member| **member == *name))
            }
            _ => true,
        }
    }

    /// Whether the server refuses the value for certain, in strict mode: a number or a time out of
    /// range, a day that its month has not, text that is too long or has characters that the
    /// column has not.
    pub fn refuses(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Text { max_bytes, repertoire }, Value::Bytes(bytes)) => {
                let is_known = *repertoire != Repertoire::Ascii;
                let Ok(text) = std::str::from_utf8(bytes) else {
                    return is_known;
                };
                // Spaces at the end are cut, not refused. Many columns count characters, not bytes.
                let is_long = || text.trim_end_matches(' ').chars().count() > *max_bytes;
                let is_strange = match repertoire {
                    Repertoire::BasicPlane => text.chars().any(|letter| u32::from(letter) > 0xffff),
                    Repertoire::Latin1 => text.chars().any(|letter| !is_latin1(letter)),
                    Repertoire::Ascii | Repertoire::Unicode => false,
                };
                is_strange || ((is_known || text.is_ascii()) && is_long())
            }
            (Self::Binary { max_bytes }, Value::Bytes(bytes)) => bytes.len() > *max_bytes,
            // Its digits.
            (Self::Text { max_bytes, .. } | Self::Binary { max_bytes }, Value::Int(number)) => {
                number.to_string().len() > *max_bytes
            }
            (Self::Text { max_bytes, .. } | Self::Binary { max_bytes }, Value::Float(number)) => {
                float_text(*number).len() > *max_bytes
            }
            (Self::Date | Self::DateTime, Value::Bytes(_)) => text_of(value).is_some_and(is_impossible),
            (Self::Timestamp { .. }, _) => text_of(value).is_some_and(|text| {
                let year = Moment::parse(text).map(|moment| moment.year);
                let is_out_of_range = year.is_some_and(|year| !TIMESTAMP_YEARS.contains(&year));
                is_out_of_range || is_impossible(text) || is_incomplete(text)
            }),
            (Self::Year, Value::Bytes(bytes)) if !bytes.iter().any(u8::is_ascii_digit) => true,
            // Spaces around a number are no part of it. What is no number is refused, however it
            // begins.
            (Self::Integer { .. } | Self::Decimal { .. }, Value::Bytes(bytes)) => {
                Decimal::parse(bytes.trim_ascii()).is_none_or(|number| self.refuses_number(number))
            }
            // A float is sent as text, so the server reads what `number` does.
            _ => number(value).is_some_and(|number| self.refuses_number(number)),
        }
    }

    fn refuses_number(&self, number: Decimal) -> bool {
        match self {
            Self::Integer {
                min,
                max,
                rounds_up_to_zero,
            } => {
                let is_below_zero = number.is_negative() && *min == 0 && !rounds_up_to_zero;
                let rounded = number.round(0).to_i128();
                is_below_zero || !rounded.is_some_and(|number| (*min..=*max).contains(&number))
            }
            Self::Decimal {
                whole_digits,
                scale,
                is_unsigned,
            } => {
                let is_below_zero = *is_unsigned && number.is_negative() && !number.is_zero();
                is_below_zero || number.round(*scale).whole_digits() > *whole_digits
            }
            Self::Float { is_unsigned, is_single } => {
                let digits = if *is_single { SINGLE_FLOAT_DIGITS } else { FLOAT_DIGITS };
                number.whole_digits() > digits || (number.is_negative() && *is_unsigned)
            }
            // Two digits are a year, too.
            Self::Year => number
                .round(0)
                .to_i64()
                .is_none_or(|year| !matches!(year, 0..=99 | 1901..=2155)),
            _ => false,
        }
    }
}

fn text_of<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        Value::DateTime(text) => Some(text),
        Value::Null | Value::Int(_) | Value::Float(_) => None,
    }
}

/// A date that exists, with or without a time of day.
struct Moment {
    year: u32,
    hour: u32,
}

impl Moment {
    /// Reads `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` and `YYYY-MM-DD HH:MM:SS.ffffff`.
    fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once(' ') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let days = 1..=days_of(year, month);
        if !((1000..=9999).contains(&year) && (1..=12).contains(&month) && days.contains(&day)) {
            return None;
        }
        let Some(time) = time else {
            return Some(Self { year, hour: 0 });
        };
        let (time, fraction) = match time.split_once('.') {
            Some((time, fraction)) => (time, Some(fraction)),
            None => (time, None),
        };
        let is_fraction = |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
        let exists = hour < 24 && minute < 60 && second < 60 && fraction.is_none_or(is_fraction);
        // The server rounds a fraction that the column has no room for: into the next year at
        // worst.
        (exists && (year < 9999 || fraction.is_none())).then_some(Self { year, hour })
    }
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Whether a text is a date of a day that its month has not. Months and days of 0 are the
/// `sql_mode`'s to judge.
fn is_impossible(text: &str) -> bool {
    let [year, month, day] = date_of(text).unwrap_or_default();
    month > 12 || day > days_of(year, month)
}

/// Whether a text is a date without its month or its day, and not the date of zeros.
fn is_incomplete(text: &str) -> bool {
    date_of(text).is_some_and(|date| date.contains(&0) && date != [0; 3])
}

fn date_of(text: &str) -> Option<[u32; 3]> {
    let date = text.split_once(' ').map_or(text, |(date, _)| date);
    fields(date, '-', [4, 2, 2])
}

/// Numbers of fixed lengths, with separators between.
fn fields<const N: usize>(text: &str, separator: char, lengths: [usize; N]) -> Option<[u32; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *number = part
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_server_takes_for_certain() {
        let text = Value::text;
        let tiny = Domain::Integer {
            min: -128,
            max: 127,
            rounds_up_to_zero: false,
        };
        let money = Domain::Decimal {
            whole_digits: 3,
            scale: 2,
            is_unsigned: false,
        };
        let positive = Domain::Decimal {
            whole_digits: 3,
            scale: 2,
            is_unsigned: true,
        };
        let word = Domain::Text {
            max_bytes: 4,
            repertoire: Repertoire::Ascii,
        };
        let any = Domain::Text {
            max_bytes: 4,
            repertoire: Repertoire::Unicode,
        };
        let zoned = Domain::Timestamp { has_fixed_zone: false };
        let fixed = Domain::Timestamp { has_fixed_zone: true };
        let status = Domain::Enum(["open".into(), "done".into()].into());
        for (domain, value, expected) in [
            (&tiny, Value::Int(127), true),
            (&tiny, Value::Int(128), false),
            (&tiny, text("-128"), true),
            (&tiny, text("1.5"), false),
            (&tiny, text("x"), false),
            (&tiny, Value::Float(3.0), true),
            (&tiny, Value::Float(0.5), false),
            (&money, text("999.994"), true),
            (&money, text("999.995"), false),
            (&money, text("-999.99"), true),
            (&money, Value::Int(1000), false),
            (&money, Value::Float(0.1), false),
            (&positive, text("-0.001"), false),
            (&positive, text("-0.01"), false),
            (&word, text("abcd"), true),
            (&word, text("abcde"), false),
            (&word, text("ä"), false),
            (&word, Value::Int(1), false),
            (&any, text("ää"), true),
            (&any, text("äää"), false),
            (&any, Value::bytes(b"\xff"), false),
            (&Domain::Date, text("2024-02-29"), true),
            (&Domain::Date, text("2023-02-29"), false),
            (&Domain::Date, text("2024-1-1"), false),
            (&Domain::Date, text("0000-00-00"), false),
            (&Domain::DateTime, text("2024-12-31 23:59:59.999999"), true),
            (&Domain::DateTime, text("9999-12-31 23:59:59.9"), false),
            (&Domain::DateTime, text("2024-12-31 24:00:00"), false),
            (&zoned, text("2024-03-31 02:30:00"), false),
            (&zoned, text("2024-03-31 12:30:00"), true),
            (&fixed, text("2024-03-31 02:30:00"), true),
            (&fixed, text("2038-03-31 02:30:00"), false),
            (&status, text("open"), true),
            (&status, text("OPEN"), false),
            (&status, Value::Int(1), false),
            (&Domain::Unknown, text("x"), false),
            (&Domain::Any, text("x"), true),
        ] {
            assert_eq!(domain.takes(&value), expected, "{domain:?}: {value:?}");
        }
    }

    #[test]
    fn members_are_compared_by_their_names() {
        let members: Arc<[Box<str>]> = ["x".into(), "y".into(), "z".into()].into();
        let (one, several) = (Domain::Enum(Arc::clone(&members)), Domain::Set(members));
        for (value, of_one, of_several) in [
            (Value::text("x"), true, true),
            (Value::text("X"), false, false),
            (Value::text("z,x"), false, false),
            (Value::text("x,z"), false, true),
            (Value::text("x,x"), false, false),
            (Value::text(""), false, true),
            (Value::text("1"), false, false),
            (Value::Int(1), false, false),
            (Value::Float(1.0), false, false),
        ] {
            assert_eq!(one.is_by_name(&value), of_one, "{value:?}");
            assert_eq!(several.is_by_name(&value), of_several, "{value:?}");
        }
    }

    #[test]
    fn refuses_what_the_server_refuses_for_certain() {
        use Repertoire as R;
        let [ascii, latin1, basic, any] =
            [R::Ascii, R::Latin1, R::BasicPlane, R::Unicode].map(|repertoire| Domain::Text {
                max_bytes: 3,
                repertoire,
            });
        let bytes = Domain::Binary { max_bytes: 3 };
        let positive = Domain::Decimal {
            whole_digits: 2,
            scale: 2,
            is_unsigned: true,
        };
        let zoned = Domain::Timestamp { has_fixed_zone: false };
        let [single, double] = [true, false].map(|is_single| Domain::Float {
            is_unsigned: false,
            is_single,
        });
        let tiny = Domain::Integer {
            min: -128,
            max: 127,
            rounds_up_to_zero: false,
        };
        for (domain, value, expected) in [
            (&any, Value::bytes(b"a\x80"), true),
            (&basic, Value::bytes(b"a\x80"), true),
            (&ascii, Value::bytes(b"a\x80"), false),
            (&latin1, Value::bytes(b"a\x80"), true),
            (&latin1, Value::text("ÿ€Ž"), false),
            (&latin1, Value::text("Ā"), true),
            (&latin1, Value::text("ä\u{1f600}"), true),
            (&latin1, Value::text("ääää"), true),
            (&any, Value::text("\u{1f600}"), false),
            (&basic, Value::text("\u{1f600}"), true),
            (&any, Value::text("ääää"), true),
            (&any, Value::text("äää"), false),
            (&ascii, Value::text("ääää"), false),
            (&ascii, Value::text("abcd"), true),
            (&any, Value::text("abc  "), false),
            (&any, Value::Int(1000), true),
            (&any, Value::Int(-99), false),
            (&ascii, Value::Float(0.25), true),
            (&bytes, Value::Int(-100), true),
            (&bytes, Value::Float(2.5), false),
            (&bytes, Value::bytes(b"abc "), true),
            (&bytes, Value::bytes(b"\xff"), false),
            (&tiny, Value::text("3x"), true),
            (&tiny, Value::text(""), true),
            (&tiny, Value::text(" 7 "), false),
            (&tiny, Value::text(" 128"), true),
            (&tiny, Value::text("1e1"), false),
            (&Domain::Unknown, Value::text("abcd"), false),
            (&Domain::Date, Value::text("2023-02-29"), true),
            (&Domain::Date, Value::text("2024-02-29"), false),
            (&Domain::Date, Value::text("2024-13-01"), true),
            (&Domain::Date, Value::text("2024-00-00"), false),
            (&Domain::Date, Value::text("abc"), false),
            (&Domain::DateTime, Value::text("2023-02-29 10:00:00"), true),
            (&zoned, Value::text("2023-02-29 10:00:00"), true),
            (&zoned, Value::text("9999-12-31"), true),
            (&zoned, Value::text("2024-00-10"), true),
            (&zoned, Value::text("0000-00-00 00:00:00"), false),
            (&zoned, Value::text("1969-12-31 23:00:00"), false),
            (&zoned, Value::text("2050-01-01 00:00:00"), false),
            (&positive, Value::text("-0.001"), true),
            (&positive, Value::text("-0.00"), false),
            (&single, Value::text("1e39"), true),
            (&single, Value::text("1e38"), false),
            (&double, Value::text("1e39"), false),
            (&Domain::Year, Value::Int(1900), true),
            (&Domain::Year, Value::Int(2155), false),
            (&Domain::Year, Value::text("70"), false),
            (&Domain::Year, Value::text("abc"), true),
        ] {
            assert_eq!(domain.refuses(&value), expected, "{domain:?}: {value:?}");
        }
    }

    #[test]
    fn a_year_of_two_digits_has_a_century() {
        for (value, year) in [
            (Value::text("0"), Value::Int(2000)),
            (Value::text("00"), Value::Int(2000)),
            (Value::text("69"), Value::Int(2069)),
            (Value::text("70"), Value::Int(1970)),
            (Value::Int(1), Value::Int(2001)),
            (Value::Int(99), Value::Int(1999)),
            (Value::Int(0), Value::Int(0)),
            (Value::text("0000"), Value::text("0000")),
            (Value::text("2010"), Value::text("2010")),
            (Value::text("abc"), Value::text("abc")),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(Domain::Year.in_full(value.clone()), year, "{value:?}");
            assert_eq!(Domain::Any.in_full(value.clone()), value);
        }
    }
}
