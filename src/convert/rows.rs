//! Rows: an array, a model, an object with `toArray()`, and lists of these.

use std::sync::Arc;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;
use write_buffer_core::rows::group::{Group, PushError};
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;

use crate::convert::values::{Scalar, ValueError};
use crate::convert::{ConversionError, Tables};
use crate::zend::array::{Elements, HeldArray, Key};
use crate::zend::classes;
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::objects::HeldObject;
use crate::zend::values::{Held, type_name};

type Result<T, E = ConversionError> = std::result::Result<T, E>;

/// So many rows of a generator are read before they are copied.
const ROWS_AT_ONCE: usize = 64;

/// Converts one argument: null, a row or a list of rows.
pub struct Converter<'c, T> {
    /// The buffer's tables.
    pub tables: &'c T,
    /// Where the rows go.
    pub group: &'c mut Group,
    /// The number of the argument, from 1, for messages.
    pub argument: u32,
    /// The table of rows that do not name one.
    pub table: TableId,
}

impl<T: Tables> Converter<'_, T> {
    /// Converts the argument's value. Null is no row, if the parameter allows it.
    ///
    /// # Errors
    ///
    /// The first row that cannot be taken; what user code threw, also when a value was released.
    pub fn convert(&mut self, value: &Zval, allow_null: bool) -> Result<()> {
        if self.copy_alike(value) {
            return Ok(());
        }
        self.value_of_argument(value.dereference(), allow_null)?;
        if exception_is_pending() {
            return Err(PendingException.into());
        }
        Ok(())
    }

    fn value_of_argument(&mut self, value: &Zval, allow_null: bool) -> Result<()> {
        if let Some(array) = HeldArray::of(value) {
            self.row_or_list(array.elements())
        } else if let Some(object) = HeldObject::of(value) {
            self.object(&object, true)
        } else if allow_null && value.is_null() {
            Ok(())
        } else {
            let expected = if allow_null {
                "null, a row or a list of rows"
            } else {
                "a row or a list of rows"
            };
            Err(self.wrong(&format!("must be {expected}, {} given", type_name(value))))
        }
    }

    fn wrong(&self, what: &str) -> ConversionError {
        ConversionError::wrong_type(self.argument, what)
    }

    /// Copies a row by the way of most rows. `false`: it is none, and nothing was copied.
    fn copy_alike(&mut self, value: &Zval) -> bool {
        HeldArray::peek(value, |row| self.tables.copy_alike(self.table, row, self.group)).unwrap_or(false)
    }

    /// An array is a row when its first key is a name, and a list of rows when it is a number.
    fn row_or_list(&mut self, elements: Elements<'_>) -> Result<()> {
        if elements.is_list() {
            self.list(elements)
        } else {
            self.row(elements)
        }
    }

    fn list(&mut self, elements: Elements<'_>) -> Result<()> {
        let listed = elements.values().try_for_each(|element| self.element(element));
        // A row may have a column whose name is a number, and begin with it.
        let hint = || {
            let first = elements.entries().next().map(|(key, _)| key);
            let has_names = elements.entries().any(|(key, _)| matches!(key, Key::Name(_)));
            first.filter(|_| has_names).and_then(|key| match key {
                Key::Number(number) => Some(format!(
                    "; the array was read as a list, since its first key is the number {number}: begin a row with a column whose \
                     name is no number"
                )),
                Key::Name(_) => None,
            })
        };
        listed.map_err(|error| match (error, hint()) {
            (ConversionError::Type { argument, message }, Some(hint)) => {
                ConversionError::wrong_type(argument, message + &hint)
            }
            (error, _) => error,
        })
    }

    /// One row of a list.
    fn element(&mut self, element: &Zval) -> Result<()> {
        if self.copy_alike(element) {
            return Ok(());
        }
        if let Some(array) = HeldArray::of(element) {
            let elements = array.elements();
            if elements.is_list() {
                let message = "must be a list of rows, and a row an associative array: an element is a list";
                return Err(self.wrong(message));
            }
            self.row(elements)
        } else if let Some(object) = HeldObject::of(element) {
            self.object(&object, false)
        } else {
            Err(self.wrong(&format!(
                "must be a list of rows: an element is {}, which is neither an array nor an object",
                type_name(element.dereference())
            )))
        }
    }

    fn object(&mut self, object: &HeldObject, may_be_list: bool) -> Result<()> {
        if object.has_method("getattributes") {
            return self.model(object);
        }
        let class = object.class_name();
        // Objects that are one value: given as a row they are a mistake, whatever else they can do.
        if object.is_enum() || object.is_instance_of(classes::date_time_interface()) {
            return Err(self.wrong(&format!("must be a row, {class} given: it is a value, not a row")));
        }
        if object.is_instance_of(ce::traversable()) {
            if !may_be_list {
                return Err(self.wrong(&format!("must be a list of rows: an element is the list {class}")));
            }
            return self.traversable(object);
        }
        if object.is_instance_of(ce::stdclass()) {
            // A copy: user code that runs for a value may change the object.
            let properties = self.returned(object.properties(), || {
                "must be a row: the object has no properties".to_owned()
            })?;
            return self.row(properties.elements());
        }
        let array = object.call("toarray");
        let without = || format!("must be a row, {class} given: it has neither getAttributes() nor toArray()");
        let held = HeldArray::of_result(self.returned(array, without)?).map_err(|value| {
            let what = type_name(value.dereference());
            self.wrong(&format!("must be a row: {class}::toArray() gave {what}"))
        })?;
        if !may_be_list && held.elements().is_list() {
            return Err(self.wrong(&format!(
                "must be a list of rows: {class}::toArray() of an element gave a list"
            )));
        }
        self.row_or_list(held.elements())
    }

    /// What PHP code returned. `None`: it threw, or there is nothing.
    fn returned<R>(&self, result: Option<R>, without: impl FnOnce() -> String) -> Result<R> {
        match result {
            Some(result) => Ok(result),
            None if exception_is_pending() => Err(PendingException.into()),
            None => Err(self.wrong(&without())),
        }
    }

    /// An Eloquent model, by its methods. Its own table wins.
    fn model(&mut self, object: &HeldObject) -> Result<()> {
        let methods = ["gettable", "getkeyname", "getattributes"];
        let [own, key, attributes] = object.call_each(methods).ok_or(PendingException)?;
        let default_table = self.table;
        if let Some(own) = own.as_ref().and_then(text_of) {
            self.table = self.tables.table(own)?;
        }
        if let Some(key) = key.as_ref().and_then(text_of) {
            self.tables.hint_key(self.table, key);
        }
        let converted = attributes.map_or(Ok(()), |attributes| self.attributes(object, attributes));
        self.table = default_table;
        converted
    }

    fn attributes(&mut self, object: &HeldObject, attributes: Held) -> Result<()> {
        let wrong = |what: &str| {
            self.wrong(&format!(
                "must be a row: {}::getAttributes() gave {what}",
                object.class_name()
            ))
        };
        let held = HeldArray::of_result(attributes).map_err(|value| wrong(type_name(value.dereference())))?;
        let elements = held.elements();
        if elements.is_proper_list() {
            return Err(wrong("a list; return an associative array, by column"));
        }
        self.row(elements)
    }

    fn traversable(&mut self, object: &HeldObject) -> Result<()> {
        let without = || format!("must be a list of rows: {} cannot be iterated", object.class_name());
        // `yield from` of PHP's own: a generator, an iterator or an aggregate, each by its own
        // protocol. A few rows at a time: what it could yield may be more than PHP has memory for.
        let mut iteration = self.returned(object.iterate(), without)?;
        loop {
            let rows = self.returned(iteration.next_values(ROWS_AT_ONCE), without)?;
            if rows.elements().count() == 0 {
                return Ok(());
            }
            self.list(rows.elements())?;
        }
    }

    fn row(&mut self, elements: Elements<'_>) -> Result<()> {
        if self.tables.copy_alike(self.table, elements, self.group) {
            return Ok(());
        }
        let shape = self.shape(elements)?;
        self.tables.remember(&shape, elements);
        self.group.begin_row(&shape).map_err(|_| self.too_large())?;
        for (place, value) in elements.values().enumerate() {
            self.value(&shape, place, value.dereference())?;
        }
        Ok(())
    }

    fn shape(&self, elements: Elements<'_>) -> Result<Arc<Shape>> {
        let names = elements.entries().map(|(key, _)| match key {
            Key::Name(name) => Some(name),
            Key::Number(_) => None,
        });
        if names.clone().all(|name| name.is_some()) {
            return Ok(self.tables.shape(self.table, names.flatten())?);
        }
        // PHP makes an int of a name such as "5".
        let names: Vec<Vec<u8>> = elements
            .entries()
            .map(|(key, _)| match key {
                Key::Name(name) => name.to_vec(),
                Key::Number(number) => number.to_string().into_bytes(),
            })
            .collect();
        Ok(self.tables.shape(self.table, names.iter().map(Vec::as_slice))?)
    }

    /// Copies the value of a column, by its place in the shape.
    fn value(&mut self, shape: &Shape, place: usize, value: &Zval) -> Result<()> {
        let scalar = Scalar::of(value).map_err(|error| match error {
            ValueError::Pending(pending) => pending.into(),
            ValueError::Wrong(what) => self.wrong_value(shape, place, &what),
        })?;
        let pushed = self.group.push(&scalar.value());
        pushed.map_err(|error| match error {
            PushError::ValueTooLong => self.wrong_value(shape, place, "the string is longer than 4 GiB"),
            PushError::GroupTooLarge => self.too_large(),
        })
    }

    fn too_large(&self) -> ConversionError {
        let (rows, bytes) = self.group.refused_size();
        self.tables.too_large(rows, bytes).into()
    }

    fn wrong_value(&self, shape: &Shape, place: usize, what: &str) -> ConversionError {
        let column = shape.columns.get(place).map_or("", |column| &**column);
        self.wrong(&format!(
            "has a wrong value: table {}, column {column}: {what}; \
             give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable",
            self.tables.name(self.table)
        ))
    }
}

/// What a method returned, if it is a string of UTF-8.
fn text_of(value: &Held) -> Option<&str> {
    std::str::from_utf8(value.dereference().zend_str()?.as_bytes()).ok()
}
