//! Which rows may share an UPDATE, and in which form their values stand in it.
//!
//! A row that can only update goes into a derived table, from where one UPDATE takes many. There a
//! value has a type of its own, unlike a parameter that is compared or assigned. So a row shares an
//! UPDATE only if each of its values is one that means the same in both places. Any other row has
//! an UPDATE of its own.
//!
//! Invariants:
//! - A key's form has the column's own type and collation. Else the server compares as DOUBLE or
//!   refuses to compare, and finds no row by the index.
//! - A value that is compared or added has the cast that it has in an UPDATE of one row.
//! - All else is a text that the column stores, as it stores a parameter.

use std::sync::Arc;

use crate::table::column::ColumnKind;
use crate::table::domain::{Domain, Repertoire};
use crate::table::model::TableModel;
use crate::table::rules::MergeRule;
use crate::value::Value;
use crate::value::decimal::number;

/// Characters of a number, a date or a time.
const PLAIN_CHARS: usize = 96;
/// Characters of an ENUM or a SET.
const MEMBER_CHARS: usize = 255;
/// Bytes or characters of the longest text or bytes that share an UPDATE.
const LONGEST: usize = 16_777_215;
/// Digits before the point of a text that stands for a DOUBLE or a FLOAT.
const FLOAT_DIGITS: usize = 37;

/// The form of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueForm {
    /// A whole number.
    Integer {
        /// Not below zero.
        is_unsigned: bool,
    },
    /// A decimal number.
    Decimal {
        /// Its digits.
        precision: usize,
        /// Those behind the point.
        scale: usize,
    },
    /// A text of the session's character set.
    Text {
        /// The longest, in characters.
        chars: usize,
    },
    /// A text that is compared.
    TextKey {
        /// The longest, in characters.
        chars: usize,
        /// The column's collation.
        collation: Arc<str>,
    },
    /// Bytes.
    Binary {
        /// The longest.
        bytes: usize,
        /// BINARY(n): no shorter one either.
        is_exact: bool,
    },
    /// A date or a time of the column's kind.
    Moment(ColumnKind),
    /// What an UPDATE of one row compares or adds.
    Computed,
}

/// How rows of one column set share an UPDATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedUpdate {
    /// The key's index.
    pub index: Arc<str>,
    /// The form of each column's values, by column. `None`: the column has no part in an update.
    pub forms: Vec<Option<ValueForm>>,
}

impl SharedUpdate {
    /// Which rows of these columns share an UPDATE. `None`: none does.
    pub(super) fn of(
        model: &TableModel,
        columns: &[Box<str>],
        key: &[usize],
        guard: Option<usize>,
        rules: &[MergeRule],
    ) -> Option<Self> {
        let schema = model.schema.as_ref()?;
        // To a history the rows of one statement changed at one time.
        if !schema.is_strict || schema.keeps_history {
            return None;
        }
        let index = schema.unique_indexes.iter().find(|index| index.is_on(&model.key))?;
        let mut forms = Vec::with_capacity(columns.len());
        for (at, name) in columns.iter().enumerate() {
            let rule = rules.get(at).copied().unwrap_or(MergeRule::Replace);
            forms.push(if key.contains(&at) {
                Some(key_form(model, name)?)
            } else if guard == Some(at) || matches!(rule, MergeRule::Sum | MergeRule::Min | MergeRule::Max) {
                Some(computed_form(model, name)?)
            } else if rule == MergeRule::Keep {
                None
            } else {
                Some(assigned_form(model, name, guard.is_some())?)
            });
        }
        let assigns = (0..columns.len()).any(|at| !key.contains(&at) && forms.get(at).is_some_and(Option::is_some));
        assigns.then(|| Self {
            index: Arc::from(index.name.as_str()),
            forms,
        })
    }
}

fn key_form(model: &TableModel, name: &str) -> Option<ValueForm> {
    Some(match (model.kind(name), model.domain(name).0) {
        (ColumnKind::Integer, Domain::Integer { min, .. }) => ValueForm::Integer { is_unsigned: min >= 0 },
        (
            ColumnKind::Decimal { scale },
            Domain::Decimal {
                whole_digits,
                scale: digits,
                ..
            },
        ) if scale == digits => ValueForm::Decimal {
            precision: whole_digits + scale,
            scale,
        },
        (ColumnKind::Text(text), _) => ValueForm::TextKey {
            chars: text.max_chars,
            collation: Arc::clone(model.column(name)?.collation.as_ref()?),
        },
        (ColumnKind::Binary { padded_to }, Domain::Binary { max_bytes }) => ValueForm::Binary {
            bytes: max_bytes,
            is_exact: padded_to.is_some(),
        },
        (kind @ (ColumnKind::Date | ColumnKind::DateTime { .. }), _) => ValueForm::Moment(kind),
        _ => return None,
    })
}

fn computed_form(model: &TableModel, name: &str) -> Option<ValueForm> {
    match model.kind(name) {
        ColumnKind::Integer
        | ColumnKind::Decimal { .. }
        | ColumnKind::Float
        | ColumnKind::Date
        | ColumnKind::DateTime { .. }
        | ColumnKind::Time { .. } => Some(ValueForm::Computed),
        _ => None,
    }
}

fn assigned_form(model: &TableModel, name: &str, is_guarded: bool) -> Option<ValueForm> {
    if is_guarded {
        // IF() makes one type of the value and of what is there: of a text and a DOUBLE a text.
        if let Some(form) = computed_form(model, name) {
            return Some(form);
        }
    }
    Some(match model.kind(name) {
        ColumnKind::Integer
        | ColumnKind::Decimal { .. }
        | ColumnKind::Float
        | ColumnKind::Date
        | ColumnKind::DateTime { .. }
        | ColumnKind::Time { .. } => ValueForm::Text { chars: PLAIN_CHARS },
        ColumnKind::Text(text) => ValueForm::Text {
            chars: text.max_chars.clamp(1, LONGEST),
        },
        ColumnKind::Binary { .. } => match model.domain(name).0 {
            Domain::Binary { max_bytes } => ValueForm::Binary {
                bytes: max_bytes.clamp(1, LONGEST),
                is_exact: false,
            },
            _ => return None,
        },
        ColumnKind::Bit if !is_guarded => ValueForm::Integer { is_unsigned: true },
        ColumnKind::Other if model.column(name)?.takes_text => ValueForm::Text {
            chars: match model.domain(name).0 {
                Domain::Enum(_) => MEMBER_CHARS,
                _ => LONGEST,
            },
        },
        ColumnKind::Bit | ColumnKind::Other | ColumnKind::Untyped => return None,
    })
}

impl SharedUpdate {
    /// Whether a row with these values may share an UPDATE. Its key has a [key
    /// form](ColumnKind::key). `domains`: what each column takes, and whether it takes NULL.
    pub(super) fn takes(&self, values: &[Value<'_>], kinds: &[ColumnKind], domains: &[(Domain, bool)]) -> bool {
        let columns = self.forms.iter().zip(values).zip(kinds.iter().zip(domains));
        columns
            .into_iter()
            .all(|((form, value), (kind, (domain, is_nullable)))| {
                form.as_ref().is_none_or(|form| {
                    if value.is_null() {
                        *is_nullable
                    } else {
                        form.takes(value, *kind, domain)
                    }
                })
            })
    }
}

impl ValueForm {
    fn takes(&self, value: &Value<'_>, kind: ColumnKind, domain: &Domain) -> bool {
        match self {
            Self::Integer { is_unsigned } => match value {
                Value::Int(number) => *number >= 0 || !is_unsigned,
                Value::Bytes(bytes) if kind == ColumnKind::Integer => is_plain_integer(bytes) && domain.takes(value),
                _ => false,
            },
            Self::Decimal { .. } => match value {
                Value::Int(_) => domain.takes(value),
                Value::Bytes(bytes) => is_plain_decimal(bytes) && domain.takes(value),
                _ => false,
            },
            Self::Text { chars } => match kind {
                ColumnKind::Text(_) => match value {
                    Value::Bytes(bytes) => has_chars(bytes, *chars, domain),
                    Value::Int(number) => number.to_string().len() <= *chars,
                    Value::DateTime(text) => text.len() <= *chars,
                    Value::Float(_) | Value::Null => false,
                },
                ColumnKind::Other => matches!(value, Value::Bytes(bytes) if has_chars(bytes, *chars, domain)),
                _ => is_certain(value, kind, domain),
            },
            Self::TextKey { chars, .. } => match value {
                Value::Bytes(bytes) => bytes.len() <= *chars || has_chars(bytes, *chars, domain),
                Value::Int(_) => true,
                _ => false,
            },
            Self::Binary {
                bytes: longest,
                is_exact,
            } => match value {
                Value::Bytes(bytes) => bytes.len() == *longest || (bytes.len() < *longest && !is_exact),
                _ => false,
            },
            Self::Moment(_) => domain.takes(value),
            Self::Computed => is_certain(value, kind, domain),
        }
    }
}

/// Whether a number, a date or a time is one that the column takes for certain.
fn is_certain(value: &Value<'_>, kind: ColumnKind, domain: &Domain) -> bool {
    let is_short = match value {
        Value::Bytes(bytes) => bytes.len() <= PLAIN_CHARS,
        _ => true,
    };
    is_short
        && match kind {
            ColumnKind::Time { precision } => matches!(value, Value::Bytes(bytes) if is_plain_time(bytes, precision)),
            ColumnKind::Float => domain.takes(value) || is_small_float(value, domain),
            _ => domain.takes(value),
        }
}

/// A text that stands for a DOUBLE or a FLOAT, far from their ends.
fn is_small_float(value: &Value<'_>, domain: &Domain) -> bool {
    let Value::Bytes(bytes) = value else { return false };
    let number = number(value).filter(|_| is_plain_decimal(bytes));
    number.is_some_and(|number| number.whole_digits() <= FLOAT_DIGITS && !domain.refuses(value))
}

/// Whether a text has at most so many characters of the session's character set.
fn has_chars(bytes: &[u8], chars: usize, domain: &Domain) -> bool {
    let counts_bytes = matches!(
        domain,
        Domain::Text {
            repertoire: Repertoire::Ascii,
            ..
        }
    );
    std::str::from_utf8(bytes)
        .is_ok_and(|text| bytes.len() <= chars || (!counts_bytes && text.chars().count() <= chars))
}

/// Digits, with a sign or not.
fn is_plain_integer(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Digits, and others behind a point.
fn is_plain_decimal(bytes: &[u8]) -> bool {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut parts = unsigned.splitn(2, |byte| *byte == b'.');
    parts.all(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// `HH:MM:SS` or `HHH:MM:SS` in a column's range, with no more digits behind the seconds than it
/// has.
fn is_plain_time(bytes: &[u8], precision: usize) -> bool {
    const HOURS_MAX: u32 = 838;
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(unsigned) else {
        return false;
    };
    let (time, fraction) = match text.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (text, None),
    };
    let parts: Vec<&str> = time.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else {
        return false;
    };
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let below = |text: &str, end: u32| are_digits(text) && text.parse().is_ok_and(|number: u32| number < end);
    (2..=3).contains(&hours.len())
        && below(hours, HOURS_MAX)
        && [minutes, seconds].iter().all(|part| part.len() == 2 && below(part, 60))
        && fraction.is_none_or(|fraction| are_digits(fraction) && fraction.len() <= precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_and_times_are_told_from_others() {
        for (text, integer, decimal) in [
            ("1", true, true),
            ("-007", true, true),
            ("-1.50", false, true),
            ("", false, false),
            ("-", false, false),
            ("1.", false, false),
            (".5", false, false),
            ("1e1", false, false),
            ("1.2.3", false, false),
            (" 1", false, false),
        ] {
            assert_eq!(is_plain_integer(text.as_bytes()), integer, "{text}");
            assert_eq!(is_plain_decimal(text.as_bytes()), decimal, "{text}");
        }
        for (text, precision, expected) in [
            ("10:00:00", 0, true),
            ("-837:59:59", 0, true),
            ("838:59:59", 0, false),
            ("10:00:00.5", 0, false),
            ("10:00:00.5", 3, true),
            ("10:00:00.5678", 3, false),
            ("10:60:00", 0, false),
            ("1:00:00", 0, false),
            ("10:00", 0, false),
            ("1000:00:00", 0, false),
            ("10:00:00:00", 0, false),
            ("10:00:00.", 3, false),
        ] {
            assert_eq!(is_plain_time(text.as_bytes(), precision), expected, "{text}");
        }
    }

    #[test]
    fn values_share_an_update_only_in_a_form_that_says_the_same() {
        let tiny = Domain::Integer {
            min: -128,
            max: 127,
            rounds_up_to_zero: false,
        };
        let text = Domain::Text {
            max_bytes: 100,
            repertoire: Repertoire::Unicode,
        };
        let kind = |precision| ColumnKind::DateTime { precision };
        let integer = ValueForm::Integer { is_unsigned: false };
        let plain = ValueForm::Text { chars: PLAIN_CHARS };
        let exact = ValueForm::Binary {
            bytes: 2,
            is_exact: true,
        };
        let bits = ValueForm::Integer { is_unsigned: true };
        for (form, value, kind, domain, expected) in [
            (&integer, Value::text("12"), ColumnKind::Integer, &tiny, true),
            (&integer, Value::text("1e1"), ColumnKind::Integer, &tiny, false),
            (&integer, Value::text("128"), ColumnKind::Integer, &tiny, false),
            (&plain, Value::Int(127), ColumnKind::Integer, &tiny, true),
            (&plain, Value::Int(128), ColumnKind::Integer, &tiny, false),
            (&ValueForm::Computed, Value::Int(128), ColumnKind::Integer, &tiny, false),
            (
                &plain,
                Value::text("2024-01-01 00:00:00"),
                kind(0),
                &Domain::DateTime,
                true,
            ),
            (&plain, Value::text("2024-1-1"), kind(0), &Domain::DateTime, false),
            (
                &plain,
                Value::text("1e400"),
                ColumnKind::Float,
                &Domain::Float {
                    is_unsigned: false,
                    is_single: false,
                },
                false,
            ),
            (
                &plain,
                Value::text("2.5"),
                ColumnKind::Float,
                &Domain::Float {
                    is_unsigned: false,
                    is_single: false,
                },
                true,
            ),
            (
                &plain,
                Value::text("-2.5"),
                ColumnKind::Float,
                &Domain::Float {
                    is_unsigned: true,
                    is_single: false,
                },
                false,
            ),
            (&plain, Value::bytes(b"\xff"), ColumnKind::Other, &text, false),
            (&plain, Value::Int(1), ColumnKind::Other, &Domain::Unknown, false),
            (
                &exact,
                Value::bytes(b"\xff\x00"),
                ColumnKind::Binary { padded_to: Some(2) },
                &tiny,
                true,
            ),
            (
                &exact,
                Value::bytes(b"\xff"),
                ColumnKind::Binary { padded_to: Some(2) },
                &tiny,
                false,
            ),
            (&bits, Value::Int(-1), ColumnKind::Bit, &Domain::Unknown, false),
            (&bits, Value::text("1"), ColumnKind::Bit, &Domain::Unknown, false),
            (&bits, Value::Int(200), ColumnKind::Bit, &Domain::Unknown, true),
        ] {
            assert_eq!(form.takes(&value, kind, domain), expected, "{form:?}: {value:?}");
        }
    }
}
