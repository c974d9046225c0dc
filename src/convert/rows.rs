//! Rows: an array, a model, an object with `toArray()`, and lists of these.

use std::sync::Arc;

use ext_php_rs::ffi::zend_object;
use ext_php_rs::types::{ZendStr, Zval};
use ext_php_rs::zend::ce;
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;

use crate::convert::values::{Scalar, ValueError};
use crate::convert::{ConversionError, Tables};
use crate::zend::array::{Elements, HeldArray, key_of, present};
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::values::{hold, object_of, type_name};
use crate::zend::{classes, objects};

type Result<T, E = ConversionError> = std::result::Result<T, E>;

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
    /// The first row that cannot be taken.
    pub fn convert(&mut self, value: &Zval, allow_null: bool) -> Result<()> {
        let value = value.dereference();
        if let Some(array) = HeldArray::of(value) {
            self.row_or_list(array.elements())
        } else if let Some(object) = object_of(value) {
            self.object(object, true)
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

    /// An array is a row when its first key is a name, and a list of rows when it is a number.
    fn row_or_list(&mut self, elements: Elements<'_>) -> Result<()> {
        if elements.is_list() {
            self.list(elements)
        } else {
            self.row(elements)
        }
    }

    fn list(&mut self, elements: Elements<'_>) -> Result<()> {
        elements.values().try_for_each(|element| self.element(element))
    }

    /// One row of a list.
    fn element(&mut self, element: &Zval) -> Result<()> {
        let element = element.dereference();
        if let Some(array) = HeldArray::of(element) {
            let elements = array.elements();
            if elements.is_list() {
                let message = "must be a list of rows, and a row an associative array: an element is a list";
                return Err(self.wrong(message));
            }
            self.row(elements)
        } else if let Some(object) = object_of(element) {
            self.object(object, false)
        } else {
            Err(self.wrong(&format!(
                "must be a list of rows: an element is {}, which is neither an array nor an object",
                type_name(element)
            )))
        }
    }

    fn object(&mut self, object: *mut zend_object, may_be_list: bool) -> Result<()> {
        // The conversion calls the object's methods, which may drop the last reference that the
        // caller's variables hold.
        let held = hold(object);
        if objects::public_method(object, "getattributes").is_some() {
            return self.model(object);
        }
        let class = objects::class_name(object);
        // Objects that are one value: given as a row they are a mistake, whatever else they can do.
        if objects::is_enum(object) || objects::is_instance_of(object, classes::date_time_interface()) {
            return Err(self.wrong(&format!("must be a row, {class} given: it is a value, not a row")));
        }
        if objects::is_instance_of(object, ce::traversable()) {
            if !may_be_list {
                return Err(self.wrong(&format!("must be a list of rows: an element is the list {class}")));
            }
            return self.traversable(held, &class);
        }
        if objects::is_instance_of(object, ce::stdclass()) {
            let table =
                objects::properties(object).ok_or_else(|| self.wrong("must be a row: the object has no properties"))?;
            // A copy: user code that runs for a value may change the object.
            return self.row(HeldArray::copy_of(table).elements());
        }
        let Some(array) = objects::call_method(object, "toarray") else {
            if exception_is_pending() {
                return Err(PendingException.into());
            }
            return Err(self.wrong(&format!(
                "must be a row, {class} given: it has neither getAttributes() nor toArray()"
            )));
        };
        let array = array.dereference();
        let Some(held) = HeldArray::of(array) else {
            return Err(self.wrong(&format!("must be a row: {class}::toArray() gave {}", type_name(array))));
        };
        if !may_be_list && held.elements().is_list() {
            return Err(self.wrong(&format!(
                "must be a list of rows: {class}::toArray() of an element gave a list"
            )));
        }
        self.row_or_list(held.elements())
    }

    /// An Eloquent model, by its methods. Its own table wins.
    fn model(&mut self, object: *mut zend_object) -> Result<()> {
        let default_table = self.table;
        let own = string_of(object, "gettable")?;
        if let Some(own) = &own {
            self.table = self.tables.table(own)?;
        }
        let converted = self.model_row(object);
        self.table = default_table;
        converted
    }

    fn model_row(&mut self, object: *mut zend_object) -> Result<()> {
        if let Some(key) = string_of(object, "getkeyname")? {
            self.tables.hint_key(self.table, &key);
        }
        let attributes = objects::call_method(object, "getattributes").ok_or(PendingException)?;
        let attributes = attributes.dereference();
        let Some(held) = HeldArray::of(attributes) else {
            return Err(self.wrong(&format!(
                "must be a row: {}::getAttributes() gave {}",
                objects::class_name(object),
                type_name(attributes)
            )));
        };
        self.row(held.elements())
    }

    fn traversable(&mut self, mut list: Zval, class: &str) -> Result<()> {
        // `yield from` of PHP's own: a generator, an iterator or an aggregate, each by its own
        // protocol.
        let rows: Option<Vec<Zval>> = list.traversable().and_then(|iterator| {
            let rows = iterator.iter().map(|rows| rows.map(|(_, row)| row).collect());
            objects::release_iterator(iterator);
            rows
        });
        if exception_is_pending() {
            return Err(PendingException.into());
        }
        let Some(rows) = rows else {
            return Err(self.wrong(&format!("must be a list of rows: {class} cannot be iterated")));
        };
        rows.iter().try_for_each(|row| self.element(row))
    }

    fn row(&mut self, elements: Elements<'_>) -> Result<()> {
        if self.tables.copy_alike(self.table, elements, self.group) {
            return Ok(());
        }
        let shape = self.shape(elements)?;
        self.tables.remember(&shape, elements);
        self.group.begin_row(&shape);
        for (place, value) in elements.values().enumerate() {
            self.value(&shape, place, value.dereference())?;
        }
        Ok(())
    }

    fn shape(&self, elements: Elements<'_>) -> Result<Arc<Shape>> {
        if let Some(buckets) = elements.buckets() {
            let keys = present(buckets).map(key_of);
            if keys.clone().all(|key| key.is_some()) {
                let names = keys.flatten().map(ZendStr::as_bytes);
                return Ok(self.tables.shape(self.table, names)?);
            }
        }
        // PHP makes an int of a name such as "5".
        let names = elements.names();
        Ok(self.tables.shape(self.table, names.iter().map(Vec::as_slice))?)
    }

    /// Copies the value of a column, by its place in the shape.
    fn value(&mut self, shape: &Shape, place: usize, value: &Zval) -> Result<()> {
        let scalar = Scalar::of(value).map_err(|error| match error {
            ValueError::Pending(pending) => pending.into(),
            ValueError::Wrong(what) => self.wrong_value(shape, place, &what),
        })?;
        let pushed = self.group.push(&scalar.value());
        pushed.map_err(|_| self.wrong_value(shape, place, "the string is longer than 4 GiB"))
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

/// What a method returns, if it is a string.
fn string_of(object: *mut zend_object, method: &str) -> Result<Option<String>> {
    match objects::call_method(object, method) {
        Some(value) => Ok(value.dereference().string()),
        None if exception_is_pending() => Err(PendingException.into()),
        None => Ok(None),
    }
}
