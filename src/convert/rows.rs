//! Rows: an array, a model, an object with `toArray()`, and lists of these.

use std::borrow::Cow;
use std::sync::Arc;

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ce;
use write_buffer_core::rows::group::{Group, PushError};
use write_buffer_core::table::entry::{Identity, TableId};
use write_buffer_core::table::shape::Shape;

use crate::convert::models::{ModelClass, Names};
use crate::convert::moments::TimeZone;
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
    /// The zone of moments.
    pub zone: TimeZone,
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

    /// Converts a value that is one row, of many that come one by one.
    ///
    /// # Errors
    ///
    /// As [`Self::convert`].
    pub fn convert_row(&mut self, value: &Zval) -> Result<()> {
        self.element(value)?;
        if exception_is_pending() {
            return Err(PendingException.into());
        }
        Ok(())
    }

    /// Converts a row that only updates the row with its key.
    ///
    /// # Errors
    ///
    /// As [`Self::convert`].
    pub fn convert_update(&mut self, row: Elements<'_>) -> Result<()> {
        let columns: Vec<_> = row.entries().map(|(key, value)| (key.bytes(), value)).collect();
        self.update(&columns)
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
        if let Some(class) = self.tables.model_class(object) {
            return self.model(object, &class);
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
    fn model(&mut self, object: &HeldObject, class: &ModelClass) -> Result<()> {
        let is_stored = class.is_stored(object)?;
        if is_stored && class.dirty.is_some() {
            return self.stored_model(object, class);
        }
        let [own, key] = class.names(object)?;
        let [attributes] = object.call_all([Some(class.attributes)]).ok_or(PendingException)?;
        let default_table = self.table;
        self.enter_table_of_model(own.as_ref(), key.as_ref())?;
        let converted = match attributes {
            None => Ok(()),
            Some(attributes) if is_stored => {
                let attributes = self.columns(object, "getAttributes", attributes)?;
                self.convert_update(attributes.elements())
            }
            Some(attributes) => self.attributes(object, attributes),
        };
        self.table = default_table;
        converted
    }

    /// A model whose row is there already.
    fn stored_model(&mut self, object: &HeldObject, class: &ModelClass) -> Result<()> {
        let [own, key] = class.names(object)?;
        let default_table = self.table;
        self.enter_table_of_model(own.as_ref(), key.as_ref())?;
        let identity = self.tables.identity(self.table, key.as_ref().and_then(text_of));
        let converted = match identity {
            None => self.all_of_model(object, class),
            Some(identity) => self.changes(object, class, &identity),
        };
        self.table = default_table;
        converted
    }

    /// Goes on with the table of a model, by what its methods returned.
    fn enter_table_of_model(&mut self, own: Option<&Held>, key: Option<&Held>) -> Result<()> {
        let names = Names::of(own, key);
        if let Some(known) = names.and_then(|names| self.tables.table_of_names(names)) {
            self.table = known;
            return Ok(());
        }
        if let Some(own) = own.and_then(text_of) {
            self.table = self.tables.table(own)?;
        }
        if let Some(key) = key.and_then(text_of) {
            self.tables.hint_key(self.table, key);
        }
        if let Some(names) = names {
            self.tables.remember_names(names, self.table);
        }
        Ok(())
    }

    fn all_of_model(&mut self, object: &HeldObject, class: &ModelClass) -> Result<()> {
        let [attributes] = object.call_all([Some(class.attributes)]).ok_or(PendingException)?;
        attributes.map_or(Ok(()), |attributes| self.attributes(object, attributes))
    }

    fn attributes(&mut self, object: &HeldObject, attributes: Held) -> Result<()> {
        let held = self.columns(object, "getAttributes", attributes)?;
        self.row(held.elements())
    }

    /// What a method of a model returned: an array by column.
    fn columns(&self, object: &HeldObject, method: &str, result: Held) -> Result<HeldArray> {
        let wrong = |what: &str| {
            self.wrong(&format!(
                "must be a row: {}::{method}() gave {what}",
                object.class_name()
            ))
        };
        let held = HeldArray::of_result(result).map_err(|value| wrong(type_name(value.dereference())))?;
        if held.elements().is_proper_list() {
            return Err(wrong("a list; return an associative array, by column"));
        }
        Ok(held)
    }

    /// What has changed of a model whose row is there already, and what says which row it is: an
    /// update. All of it, to be written, if that has changed, or is not there.
    fn changes(&mut self, object: &HeldObject, class: &ModelClass, identity: &Identity) -> Result<()> {
        let methods = [Some(class.attributes), class.dirty];
        let [Some(attributes), Some(dirty)] = object.call_all(methods).ok_or(PendingException)? else {
            return Ok(());
        };
        let dirty = self.columns(object, "getDirty", dirty)?;
        let attributes = self.columns(object, "getAttributes", attributes)?;
        if dirty.elements().count() == 0 {
            return Ok(());
        }
        let Some(columns) = changed_columns(identity, attributes.elements(), dirty.elements()) else {
            return self.row(attributes.elements());
        };
        self.update(&columns)
    }

    fn update(&mut self, columns: &[NamedValue<'_>]) -> Result<()> {
        let names = columns.iter().map(|(name, _)| name.as_ref());
        let shape = self.tables.update(self.table, names)?;
        self.group.begin_row(&shape).map_err(|_| self.too_large())?;
        for (place, (_, value)) in columns.iter().enumerate() {
            self.value(&shape, place, value.dereference())?;
        }
        Ok(())
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
        let names: Vec<_> = elements.entries().map(|(key, _)| key.bytes()).collect();
        Ok(self.tables.shape(self.table, names.iter().map(AsRef::as_ref))?)
    }

    /// Copies the value of a column, by its place in the shape.
    fn value(&mut self, shape: &Shape, place: usize, value: &Zval) -> Result<()> {
        let scalar = Scalar::of(value, &mut self.zone).map_err(|error| match error {
            ValueError::Pending(pending) => pending.into(),
            ValueError::Wrong(what) if value.is_array() => {
                self.wrong_value(shape, place, &format!("{what}, json_encode() it for a JSON column"))
            }
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

/// A column's name and value.
type NamedValue<'e> = (Cow<'e, [u8]>, &'e Zval);

/// The columns that say which row it is, and those that have changed. `None`: one of the key's has
/// changed, or is not there.
fn changed_columns<'e>(
    identity: &Identity,
    attributes: Elements<'e>,
    dirty: Elements<'e>,
) -> Option<Vec<NamedValue<'e>>> {
    let named = |elements: Elements<'e>, wanted: &str| {
        let mut entries = elements.entries().map(|(key, value)| (key.bytes(), value));
        entries.find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
    };
    let mut columns = Vec::with_capacity(identity.key.len() + 1 + dirty.count());
    for column in &identity.key {
        if named(dirty, column).is_some() {
            return None;
        }
        columns.push(named(attributes, column)?);
    }
    if let Some(guard) = &identity.guard
        && named(dirty, guard).is_none()
    {
        columns.push(named(attributes, guard)?);
    }
    columns.extend(dirty.entries().map(|(key, value)| (key.bytes(), value)));
    Some(columns)
}

/// What a method returned, if it is a string of UTF-8.
fn text_of(value: &Held) -> Option<&str> {
    std::str::from_utf8(value.dereference().zend_str()?.as_bytes()).ok()
}
