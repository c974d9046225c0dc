//! `DateTimeInterface` objects as text: the wall-clock time in their own zone, or in the one that
//! the buffer is told.

use ext_php_rs::types::{ZendStr, Zval};

use crate::zend::array::{Elements, HeldArray};
use crate::zend::callable::call_function;
use crate::zend::messages::PendingException;
use crate::zend::objects::HeldObject;
use crate::zend::values::Held;

/// The format of a moment: `2024-01-15 09:00:00.000000`.
const FORMAT: &str = "Y-m-d H:i:s.u";

/// The zone that moments are converted to, if any. PHP's object for it lives as long as a call.
#[derive(Default)]
pub struct TimeZone {
    name: Option<String>,
    object: Option<Held>,
}

impl TimeZone {
    /// The zone of a name that PHP knows. `None`: each moment's own.
    pub fn of(name: Option<String>) -> Self {
        Self { name, object: None }
    }

    /// A moment's text. User code may run: a class may have methods of its own.
    ///
    /// # Errors
    ///
    /// It threw.
    pub fn text_of(&mut self, moment: &HeldObject) -> Result<Held, PendingException> {
        let Some(name) = &self.name else {
            return moment.call_with("format", FORMAT).ok_or(PendingException);
        };
        if self.object.is_none() {
            self.object = Some(zone_object(name).ok_or(PendingException)?);
        }
        let zone = self.object.as_ref().ok_or(PendingException)?;
        // A DateTime is set to another zone itself: the caller's stays as it is.
        let copy = moment.copy().ok_or(PendingException)?;
        let moved = copy
            .call_with_value("settimezone", zone.shallow_clone())
            .ok_or(PendingException)?;
        let moved = HeldObject::of(&moved).unwrap_or(copy);
        moved.call_with("format", FORMAT).ok_or(PendingException)
    }
}

/// Whether PHP knows a zone of this name.
pub fn is_time_zone(name: &str) -> bool {
    // `timezone_open()` warns of a name that it does not know.
    let list = call_function("timezone_identifiers_list", []);
    let is_listed = list.is_some_and(|list| {
        let listed = |names: Elements<'_>| {
            names
                .values()
                .any(|value| value.zend_str().is_some_and(|text| text.as_bytes() == name.as_bytes()))
        };
        HeldArray::peek(&list, listed).unwrap_or(false)
    });
    (is_listed || is_offset(name)) && zone_object(name).is_some()
}

/// `+02:00`
fn is_offset(name: &str) -> bool {
    let digits = |text: &str, most: u8| {
        text.len() == 2
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse().is_ok_and(|number: u8| number <= most)
    };
    let rest = name.strip_prefix(['+', '-']);
    let parts = rest.and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(hours, minutes)| digits(hours, 14) && digits(minutes, 59))
}

fn zone_object(name: &str) -> Option<Held> {
    let mut text = Zval::new();
    text.set_zend_string(ZendStr::new(name, false));
    call_function("timezone_open", [text]).filter(|made| made.is_object())
}
