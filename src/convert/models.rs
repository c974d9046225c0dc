//! What is known of classes of models: their methods, and the table and the key that they named
//! last. So nothing is looked up again for each model, and what Eloquent's own getters return is
//! read where it stands.
//!
//! Invariant: it is kept no longer than a request, as the classes and the names are.
//!
//! Bound: 16 classes and 16 tables. Then it begins anew.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use ext_php_rs::ffi::zend_string;
use ext_php_rs::types::Zval;
use write_buffer_core::table::entry::TableId;

use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::objects::{HeldObject, Method, Property, Slot};
use crate::zend::values::{Held, is_interned};

/// So many classes are remembered, and so many tables.
const KNOWN_MAX: usize = 16;

/// What the Laravel package makes of a model.
const ROW_OF_A_MODEL: &str = "WriteBuffer\\Laravel\\Models\\ModelRow";

/// The classes whose `getTable()` and `getKeyName()` return what stands in a property, if it is a
/// string, and do nothing else.
const CLASSES_OF_GETTERS: [&str; 2] = ["Illuminate\\Database\\Eloquent\\Model", ROW_OF_A_MODEL];

/// A class whose objects are models: they have a `getAttributes()`.
pub struct ModelClass {
    address: usize,
    /// `getAttributes()`.
    pub attributes: Method,
    /// `getTable()`.
    pub table: Option<Method>,
    /// `getKeyName()`.
    pub key_name: Option<Method>,
    /// `getDirty()`.
    pub dirty: Option<Method>,
    exists: Exists,
    /// Where the names stand that its methods return, if they only return them. It is believed once
    /// a model was asked by its methods.
    names: Option<[Slot; 2]>,
    names_are_right: Cell<bool>,
}

/// What says whether a model's row is there already.
enum Exists {
    Slot(Slot, Property),
    Property(Property),
    Method(Method),
    Nothing,
}

/// The names of a table and its key that stay where they are, as those that stand in the source
/// do: by their addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Names {
    table: *const zend_string,
    key: *const zend_string,
}

impl Names {
    /// The names that a model gave. `None`: one of them may go.
    pub fn of(table: Option<&Held>, key: Option<&Held>) -> Option<Self> {
        let lasting = |name: Option<&Held>| {
            let name = name?.dereference().zend_str()?;
            is_interned(name).then_some(ptr::from_ref(name))
        };
        Some(Self {
            table: lasting(table)?,
            key: lasting(key)?,
        })
    }
}

impl ModelClass {
    /// The class of an object. `None`: it is no model.
    fn of(object: &HeldObject) -> Option<Self> {
        // Most objects that are no models end here.
        let attributes = object.method("getattributes")?;
        let exists = object.property("exists").map(|property| match object.slot("exists") {
            Some(slot) => Exists::Slot(slot, property),
            None => Exists::Property(property),
        });
        let dirty = object.method("getdirty");
        // A method is asked only of a model that also says what has changed: a query has such a one
        // too.
        let by_method = || object.method("exists").filter(|_| dirty.is_some()).map(Exists::Method);
        let (table, key_name) = (object.method("gettable"), object.method("getkeyname"));
        let is_getter = |method: Option<Method>| {
            let class = method.as_ref().and_then(Method::declared_by);
            class.is_some_and(|class| CLASSES_OF_GETTERS.contains(&class))
        };
        let names = || Some([object.slot("table")?, object.slot(name_of_key_name(object))?]);
        Some(Self {
            address: object.class_address(),
            attributes,
            names: names().filter(|_| is_getter(table) && is_getter(key_name)),
            names_are_right: Cell::new(false),
            table,
            key_name,
            dirty,
            exists: exists.or_else(by_method).unwrap_or(Exists::Nothing),
        })
    }

    /// Whether a model says that its row is there already.
    ///
    /// # Errors
    ///
    /// It threw.
    pub fn is_stored(&self, object: &HeldObject) -> Result<bool, PendingException> {
        let exists = match self.exists {
            Exists::Slot(slot, property) => match object.value_in(slot) {
                Some(value) => Some(value),
                None => object.read(property),
            },
            Exists::Property(property) => object.read(property),
            Exists::Method(method) => object.call_all([Some(method)]).and_then(|[exists]| exists),
            Exists::Nothing => None,
        };
        if exception_is_pending() {
            return Err(PendingException);
        }
        Ok(exists.and_then(|exists| exists.dereference().bool()) == Some(true))
    }

    /// What `getTable()` and `getKeyName()` return.
    ///
    /// # Errors
    ///
    /// They threw.
    pub fn names(&self, object: &HeldObject) -> Result<[Option<Held>; 2], PendingException> {
        let in_place = || self.names.map(|slots| slots.map(|slot| object.value_in(slot)));
        if self.names_are_right.get()
            && let Some([Some(table), Some(key)]) = in_place()
            && table.is_string()
            && key.is_string()
        {
            return Ok([Some(table), Some(key)]);
        }
        let names = object.call_all([self.table, self.key_name]).ok_or(PendingException)?;
        let returned = names.each_ref().map(|name| address(name.as_deref()));
        let found = in_place().map(|names| names.map(|name| address(name.as_deref())));
        let is_right = returned.iter().all(Option::is_some) && found == Some(returned);
        self.names_are_right.set(is_right);
        Ok(names)
    }
}

/// The address of a name.
fn address(name: Option<&Zval>) -> Option<*const zend_string> {
    name?.zend_str().map(ptr::from_ref)
}

fn name_of_key_name(object: &HeldObject) -> &'static str {
    if object.class_name() == ROW_OF_A_MODEL {
        "keyName"
    } else {
        "primaryKey"
    }
}

/// What a buffer knows of the models that were added.
#[derive(Default)]
pub struct Models {
    classes: Vec<Rc<ModelClass>>,
    /// The tables whose keys are known.
    tables: Vec<(Names, TableId)>,
}

impl Models {
    /// The class of an object. `None`: it is no model.
    pub fn class_of(&mut self, object: &HeldObject) -> Option<Rc<ModelClass>> {
        let address = object.class_address();
        if let Some(class) = self.classes.iter().find(|class| class.address == address) {
            return Some(Rc::clone(class));
        }
        let class = Rc::new(ModelClass::of(object)?);
        push(&mut self.classes, Rc::clone(&class));
        Some(class)
    }

    /// The table of a model that gave these names, if another one gave them before.
    pub fn table_of(&self, names: Names) -> Option<TableId> {
        let known = self.tables.iter().find(|(known, _)| *known == names);
        known.map(|(_, table)| *table)
    }

    /// Remembers the table of a model that gave these names, and whose key it knows.
    pub fn remember_table(&mut self, names: Names, table: TableId) {
        push(&mut self.tables, (names, table));
    }
}

fn push<T>(known: &mut Vec<T>, new: T) {
    if known.len() >= KNOWN_MAX {
        known.clear();
    }
    known.push(new);
}
