//! From PHP to Rust: rows of any form, copied value by value into a [`Group`].
//!
//! This is where user code may run: a model's `getAttributes()`, a `toArray()`, a `__toString()`, a generator. It may
//! throw, call back into the same buffer, or end the request. So nothing of the buffer is borrowed or locked while it
//! runs: the buffer is asked for a table or a shape between such calls, through [`Tables`], and an array that is being
//! read is held with a reference of its own.

pub mod fast_path;

use std::borrow::Cow;
use std::sync::Arc;

use ext_php_rs::ffi::{HashTable, zend_object};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::Zval;
use write_buffer_core::error::{Error, Result as CoreResult};
use write_buffer_core::rows::group::Group;
use write_buffer_core::table::entry::TableId;
use write_buffer_core::table::shape::Shape;
use write_buffer_core::value::Value;

use crate::zend::array::Elements;
use crate::zend::messages::PendingException;
use crate::zend::{classes, messages, objects, values};

/// Why a row was not taken.
#[derive(Debug)]
pub enum ConversionError {
    /// User code threw.
    Pending(PendingException),
    /// A value or a row of a wrong type.
    Type {
        /// The number of the argument, from 1.
        argument: u32,
        /// What it must be.
        message: String,
    },
    /// A row that its table cannot take.
    Config(Error),
}

impl ConversionError {
    /// An argument, by its number from 1, is or has a value of a wrong type.
    pub fn wrong_type(argument: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Type { argument, message }
    }
}

impl From<Error> for ConversionError {
    fn from(error: Error) -> Self {
        Self::Config(error)
    }
}

type Result<T, E = ConversionError> = std::result::Result<T, E>;

/// What the conversion asks of the buffer.
pub trait Tables {
    /// A table by its name.
    fn table(&self, name: &str) -> CoreResult<TableId>;
    /// The name of a table.
    fn name(&self, table: TableId) -> String;
    /// The shape of a row's columns.
    fn shape<'c>(&self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> CoreResult<Arc<Shape>>;
    /// The key that a model names.
    fn hint_key(&self, table: TableId, column: &str);
    /// Copies a row that looks like the last one of its table. `false`: it does not, and nothing was copied.
    fn copy_alike(&self, table: TableId, row: &Elements<'_>, group: &mut Group) -> bool;
    /// Remembers what a row of a table looks like.
    fn remember(&self, shape: &Arc<Shape>, row: &Elements<'_>);
}

/// Converts one parameter: null, a row or a list of rows.
pub struct Converter<'c, T> {
    /// The buffer's tables.
    pub tables: &'c T,
    /// Where the rows go.
    pub group: &'c mut Group,
    /// The number of the argument, from 1, for messages.
    pub argument: u32,
    /// The table of rows that name none.
    pub table: TableId,
}

impl<T: Tables> Converter<'_, T> {
    /// Converts the parameter's value. Null is no row where the parameter allows it.
    pub fn convert(&mut self, value: &Zval, allow_null: bool) -> Result<()> {
        let value = value.dereference();
        match value.get_type() {
            DataType::Null | DataType::Undef if allow_null => Ok(()),
            DataType::Array => self.array(value),
            DataType::Object(_) => self.object(object_of(value), true),
            _ => Err(self.wrong(&format!("must be {}, {} given", expected(allow_null), type_name(value)))),
        }
    }

    fn wrong(&self, what: &str) -> ConversionError {
        ConversionError::wrong_type(self.argument, what)
    }

    /// An array is a row when its first key is a name, and a list of rows when it is a number.
    fn array(&mut self, value: &Zval) -> Result<()> {
        let held = value.shallow_clone();
        let table = Elements::of(&held);
        if table.is_list() {
            self.list(&table)
        } else {
            self.row(&table)
        }
    }

    fn list(&mut self, elements: &Elements) -> Result<()> {
        for at in 0..elements.slots() {
            let Some(element) = elements.slot(at) else { continue };
            self.element(element)?;
        }
        Ok(())
    }

    /// One row of a list.
    fn element(&mut self, element: &Zval) -> Result<()> {
        let element = element.dereference();
        match element.get_type() {
            DataType::Array => {
                let held = element.shallow_clone();
                let table = Elements::of(&held);
                if table.is_list() {
                    return Err(
                        self.wrong("must be a list of rows, and a row an associative array: an element is a list")
                    );
                }
                self.row(&table)
            }
            DataType::Object(_) => self.object(object_of(element), false),
            _ => Err(self.wrong(&format!(
                "must be a list of rows: an element is {}, which is neither an array nor an object",
                type_name(element)
            ))),
        }
    }

    fn object(&mut self, object: *mut zend_object, may_be_list: bool) -> Result<()> {
        // The conversion calls the object's methods, which may drop the last reference that the caller's variables hold.
        let held = hold(object);
        if objects::public_method(object, "getattributes").is_some() {
            return self.model(object);
        }
        let class = objects::class_name(object);
        if is_value_object(&held, object) {
            return Err(self.wrong(&format!("must be a row, {class} given: it is a value, not a row")));
        }
        if is_instance_of(object, ext_php_rs::zend::ce::traversable()) {
            if !may_be_list {
                return Err(self.wrong(&format!("must be a list of rows: an element is the list {class}")));
            }
            return self.traversable(&held, object);
        }
        if is_instance_of(object, ext_php_rs::zend::ce::stdclass()) {
            let table =
                objects::properties(object).ok_or_else(|| self.wrong("must be a row: the object has no properties"))?;
            // A copy: user code that runs for a value may change the object.
            let copy = copy_of(table);
            return self.row(&Elements::of(&copy));
        }
        let Some(array) = objects::call_method(object, "toarray") else {
            if messages::exception_is_pending() {
                return Err(ConversionError::Pending(PendingException));
            }
            return Err(self.wrong(&format!(
                "must be a row, {class} given: it has neither getAttributes() nor toArray()"
            )));
        };
        let array = array.dereference();
        if !array.is_array() {
            return Err(self.wrong(&format!("must be a row: {class}::toArray() gave {}", type_name(array))));
        }
        let table = Elements::of(array);
        match table.is_list() {
            false => self.row(&table),
            true if may_be_list => self.list(&table),
            true => Err(self.wrong(&format!(
                "must be a list of rows: {class}::toArray() of an element gave a list"
            ))),
        }
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
        let attributes =
            objects::call_method(object, "getattributes").ok_or(ConversionError::Pending(PendingException))?;
        let attributes = attributes.dereference();
        if !attributes.is_array() {
            let class = objects::class_name(object);
            return Err(self.wrong(&format!(
                "must be a row: {class}::getAttributes() gave {}",
                type_name(attributes)
            )));
        }
        self.row(&Elements::of(attributes))
    }

    fn traversable(&mut self, held: &Zval, object: *mut zend_object) -> Result<()> {
        // `yield from` of PHP's own: a generator, an iterator or an aggregate, each by its own protocol.
        let mut list = held.shallow_clone();
        let class = objects::class_name(object);
        let rows: Option<Vec<Zval>> = list.traversable().and_then(|iterator| {
            let rows = iterator.iter().map(|rows| rows.map(|(_, row)| row).collect());
            objects::release_iterator(iterator);
            rows
        });
        if messages::exception_is_pending() {
            return Err(ConversionError::Pending(PendingException));
        }
        let Some(rows) = rows else {
            return Err(self.wrong(&format!("must be a list of rows: {class} cannot be iterated")));
        };
        rows.iter().try_for_each(|row| self.element(row))
    }

    fn row(&mut self, elements: &Elements) -> Result<()> {
        if self.tables.copy_alike(self.table, elements, self.group) {
            return Ok(());
        }
        let shape = self.shape(elements)?;
        self.tables.remember(&shape, elements);
        self.group.begin_row(&shape);
        for at in 0..elements.slots() {
            let Some(element) = elements.slot(at) else { continue };
            self.value(&shape, elements, at, element.dereference())?;
        }
        Ok(())
    }

    fn shape(&self, elements: &Elements) -> Result<Arc<Shape>> {
        let present_slots = (0..elements.slots()).filter(|at| elements.slot(*at).is_some());
        let all_named = present_slots.clone().all(|at| elements.key(at).is_some());
        if all_named {
            return Ok(self
                .tables
                .shape(self.table, present_slots.filter_map(|at| elements.key(at)))?);
        }
        // PHP makes an int of a name such as "5".
        let names: Vec<Vec<u8>> = present_slots.map(|at| elements.name(at)).collect();
        Ok(self.tables.shape(self.table, names.iter().map(Vec::as_slice))?)
    }

    fn value(&mut self, shape: &Shape, elements: &Elements, at: usize, value: &Zval) -> Result<()> {
        let owned;
        let converted = match value.get_type() {
            DataType::Undef | DataType::Null => Value::Null,
            DataType::False => Value::Int(0),
            DataType::True => Value::Int(1),
            DataType::Long => Value::Int(value.long().unwrap_or_default()),
            DataType::Double => Value::Float(value.double().unwrap_or_default()),
            DataType::String => Value::bytes(bytes_of(value)),
            DataType::Object(_) => {
                owned = self.object_value(object_of(value), value, || column(shape, elements, at))?;
                match &owned {
                    Scalar::Plain(value) => Value::bytes(bytes_of(value)),
                    Scalar::Number(number) => Value::Int(*number),
                    Scalar::Moment(value) => Value::DateTime(Cow::Borrowed(moment_of(value).unwrap_or_default())),
                }
            }
            _ => {
                return Err(self.wrong_value(
                    &column(shape, elements, at),
                    &format!("{} is no value", type_name(value)),
                ));
            }
        };
        if let Value::Float(number) = converted
            && !number.is_finite()
        {
            let name = match number {
                f64::INFINITY => "INF",
                f64::NEG_INFINITY => "-INF",
                _ => "NAN",
            };
            return Err(self.wrong_value(&column(shape, elements, at), &format!("{name} is no finite number")));
        }
        self.group
            .push(&converted)
            .map_err(|_| self.wrong_value(&column(shape, elements, at), "the string is longer than 4 GiB"))
    }

    fn wrong_value(&self, column: &str, what: &str) -> ConversionError {
        self.wrong(&format!(
            "has a wrong value: table {}, column {column}: {what}; \
             give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable",
            self.tables.name(self.table)
        ))
    }

    fn object_value(&self, object: *mut zend_object, value: &Zval, column: impl Fn() -> String) -> Result<Scalar> {
        let class = || objects::class_name(object);
        if objects::is_enum(object) {
            let case = objects::enum_value(object).map(Zval::dereference);
            return match case.map(|case| (case, case.get_type())) {
                Some((case, DataType::String)) => Ok(Scalar::Plain(case.shallow_clone())),
                Some((case, DataType::Long)) => Ok(Scalar::Number(case.long().unwrap_or_default())),
                _ => Err(self.wrong_value(&column(), &format!("the enum {} has no backing value", class()))),
            };
        }
        if is_instance_of(object, classes::date_time_interface()) {
            let text = objects::call_method_with(object, "format", "Y-m-d H:i:s.u")
                .ok_or(ConversionError::Pending(PendingException))?;
            if moment_of(&text).is_none_or(|text| text.len() != 26) {
                return Err(self.wrong_value(&column(), &format!("the {} is not within the years 0 to 9999", class())));
            }
            return Ok(Scalar::Moment(text));
        }
        if objects::public_method(object, "__tostring").is_some() {
            return values::to_string(value)
                .map(Scalar::Plain)
                .ok_or(ConversionError::Pending(PendingException));
        }
        Err(self.wrong_value(&column(), &format!("an object of {} is no value", class())))
    }
}

/// What an object became, kept alive until it is copied.
enum Scalar {
    Plain(Zval),
    Number(i64),
    Moment(Zval),
}

fn expected(allow_null: bool) -> &'static str {
    if allow_null {
        "null, a row or a list of rows"
    } else {
        "a row or a list of rows"
    }
}

fn type_name(value: &Zval) -> &'static str {
    match value.get_type() {
        DataType::Undef | DataType::Null => "null",
        DataType::False | DataType::True | DataType::Bool => "bool",
        DataType::Long => "int",
        DataType::Double => "float",
        DataType::String => "string",
        DataType::Array => "array",
        DataType::Object(_) => "object",
        DataType::Resource => "resource",
        _ => "value of an unknown type",
    }
}

fn column(shape: &Shape, elements: &Elements, at: usize) -> String {
    let place = (0..at).filter(|slot| elements.slot(*slot).is_some()).count();
    shape.columns.get(place).map_or_else(String::new, ToString::to_string)
}

fn bytes_of(value: &Zval) -> &[u8] {
    value.zend_str().map_or(&[], |text| text.as_bytes())
}

fn moment_of(value: &Zval) -> Option<&str> {
    std::str::from_utf8(bytes_of(value)).ok()
}

fn object_of(value: &Zval) -> *mut zend_object {
    // SAFETY: called for values whose type is object.
    unsafe { value.value.obj }
}

/// A value with a reference of its own to the object.
fn hold(object: *mut zend_object) -> Zval {
    let mut held = Zval::new();
    // SAFETY: the object is alive: its caller holds it. `set_object` takes a reference.
    unsafe { held.set_object(&mut *object) };
    held
}

fn copy_of(table: *mut HashTable) -> Zval {
    let mut copy = Zval::new();
    // SAFETY: the table is alive; the duplicate is a fresh array that the value takes over.
    copy.value.arr = unsafe { ext_php_rs::ffi::zend_array_dup(table) };
    copy.u1.type_info = ext_php_rs::ffi::IS_ARRAY_EX;
    copy
}

fn is_instance_of(object: *mut zend_object, class: &ext_php_rs::zend::ClassEntry) -> bool {
    // SAFETY: the object is alive, and so is its class.
    unsafe { (*(*object).ce).instance_of(class) }
}

/// Objects that are one value: given as a row they are a mistake, whatever else they can do.
fn is_value_object(_held: &Zval, object: *mut zend_object) -> bool {
    objects::is_enum(object) || is_instance_of(object, classes::date_time_interface())
}

fn string_of(object: *mut zend_object, method: &str) -> Result<Option<String>> {
    match objects::call_method(object, method) {
        Some(value) => Ok(value.dereference().string()),
        None if messages::exception_is_pending() => Err(ConversionError::Pending(PendingException)),
        None => Ok(None),
    }
}
