//! From a PHP value to one of the engine's. User code may run for an object.

use std::borrow::Cow;

use ext_php_rs::types::Zval;
use write_buffer_core::value::Value;

use crate::convert::moments::TimeZone;
use crate::zend::classes;
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::objects::HeldObject;
use crate::zend::values::{Held, Plain, type_name};

/// The length of a moment: `2024-01-15 09:00:00.000000`.
const MOMENT_BYTES: usize = 26;

/// The names of classes whose objects stand for SQL, in Laravel, Yii, `CakePHP`, Laminas and
/// Doctrine.
const EXPRESSIONS: [&str; 3] = ["Expression", "ExpressionInterface", "CompositeExpression"];

/// Why a value cannot be stored.
pub enum ValueError {
    /// User code threw.
    Pending(PendingException),
    /// What is wrong with it.
    Wrong(String),
}

impl From<PendingException> for ValueError {
    fn from(pending: PendingException) -> Self {
        Self::Pending(pending)
    }
}

/// What a value became. Keeps alive what an object became.
pub enum Scalar<'v> {
    /// It was one.
    Plain(Plain<'v>),
    /// An enum's value, or an object's text.
    Owned(Zval),
    /// A `DateTimeInterface`, as text.
    Moment(Held),
}

impl<'v> Scalar<'v> {
    /// What a value becomes.
    ///
    /// # Errors
    ///
    /// User code threw; no row can have such a value.
    pub fn of(value: &'v Zval, zone: &mut TimeZone) -> Result<Self, ValueError> {
        match Plain::of(value) {
            Some(Plain::Float(number)) if !number.is_finite() => {
                let name = match number {
                    f64::INFINITY => "INF",
                    f64::NEG_INFINITY => "-INF",
                    _ => "NAN",
                };
                Err(ValueError::Wrong(format!("{name} is no finite number")))
            }
            Some(plain) => Ok(Self::Plain(plain)),
            None => match HeldObject::of(value) {
                Some(object) => Self::of_object(&object, zone),
                None => Err(ValueError::Wrong(format!("{} is no value", type_name(value)))),
            },
        }
    }

    fn of_object(object: &HeldObject, zone: &mut TimeZone) -> Result<Self, ValueError> {
        let class = || object.class_name();
        if object.is_enum() {
            let case = object.enum_value().map(Zval::dereference);
            return match case.filter(|case| Plain::of(case).is_some()) {
                Some(case) => Ok(Self::Owned(case.shallow_clone())),
                None => Err(ValueError::Wrong(format!("the enum {} has no backing value", class()))),
            };
        }
        if object.is_instance_of(classes::date_time_interface()) {
            let text = zone.text_of(object).map_err(|pending| {
                if exception_is_pending() {
                    ValueError::Pending(pending)
                } else {
                    ValueError::Wrong(format!("the {} cannot be converted to timeZone", class()))
                }
            })?;
            if moment_of(&text).is_none_or(|text| text.len() != MOMENT_BYTES) {
                let message = format!("the {} is not within the years 0 to 9999", class());
                return Err(ValueError::Wrong(message));
            }
            return Ok(Self::Moment(text));
        }
        if object.is_instance_of_any_named(&EXPRESSIONS) {
            return Err(ValueError::Wrong(format!(
                "an object of {} stands for SQL; give its value, or run the statement yourself",
                class()
            )));
        }
        // GMP has no method for what PHP's cast does.
        if object.has_method("__tostring") || object.class_name() == "GMP" {
            return Ok(Self::Owned(object.to_text().ok_or(PendingException)?));
        }
        Err(ValueError::Wrong(format!("an object of {} is no value", class())))
    }

    /// What a part of a key becomes, which must be a value and not null.
    ///
    /// # Errors
    ///
    /// As [`Self::of`].
    pub fn of_key(value: &'v Zval, zone: &mut TimeZone) -> Result<Self, ValueError> {
        if value.is_null() {
            return Err(ValueError::Wrong("null is no key".to_owned()));
        }
        Self::of(value, zone)
    }

    /// What a key of one column becomes. Null, a bool and a float are more likely what another call
    /// returned: as values of a key they stand in an array.
    ///
    /// # Errors
    ///
    /// As [`Self::of`].
    pub fn of_lone_key(value: &'v Zval, zone: &mut TimeZone) -> Result<Self, ValueError> {
        let is_model = |object: &HeldObject| object.has_method("getattributes");
        if let Some(object) = HeldObject::of(value).filter(is_model) {
            let class = object.class_name();
            return Err(ValueError::Wrong(format!(
                "the model {class}: give its key, as getKey() returns it"
            )));
        }
        if value.is_bool() || value.is_double() {
            return Err(ValueError::Wrong(type_name(value).to_owned()));
        }
        Self::of_key(value, zone)
    }

    /// The engine's value.
    pub fn value(&self) -> Value<'_> {
        let plain = match self {
            Self::Plain(plain) => Some(*plain),
            Self::Owned(value) => Plain::of(value),
            Self::Moment(text) => return Value::DateTime(Cow::Borrowed(moment_of(text).unwrap_or_default())),
        };
        match plain {
            None | Some(Plain::Null) => Value::Null,
            Some(Plain::Int(number)) => Value::Int(number),
            Some(Plain::Float(number)) => Value::Float(number),
            Some(Plain::Text(text)) => Value::bytes(text),
        }
    }
}

fn moment_of(value: &Zval) -> Option<&str> {
    std::str::from_utf8(value.zend_str()?.as_bytes()).ok()
}
