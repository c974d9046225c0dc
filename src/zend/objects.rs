//! Objects: their classes, methods and properties. User code may run in a call of a method.
//!
//! Invariant: an object is held as long as anybody asks it: its own methods may drop the last
//! reference that a variable has.

use std::ffi::c_char;
use std::ptr::{self, NonNull};

use ext_php_rs::ffi::{self, zend_class_entry, zend_function, zend_object, zval};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendStr, Zval};
use ext_php_rs::zend::ClassEntry;

use crate::zend::array::{ArrayBuilder, HeldArray};
use crate::zend::bailout;
use crate::zend::messages::{PendingException, exception_is_pending};
use crate::zend::values::{Held, to_string};

unsafe extern "C" {
    fn zend_update_property(
        scope: *mut zend_class_entry,
        object: *mut zend_object,
        name: *const c_char,
        name_length: usize,
        value: *mut zval,
    );
    fn zend_iterator_dtor(iterator: *mut ffi::zend_object_iterator);
}

/// An object, with a reference of its own.
pub struct HeldObject(Held);

/// A public, non-static method of a class: found once, for all objects of that class. It is kept
/// no longer than the class, which may go with the request.
#[derive(Clone, Copy)]
pub struct Method {
    class: *const zend_class_entry,
    function: *mut zend_function,
}

impl Method {
    /// The name of the class that declares it, which may be one above its objects'.
    pub fn declared_by(&self) -> Option<&str> {
        // SAFETY: the method is kept no longer than its class, and so than the class above it. All
        // functions have the fields of `common`.
        let class = unsafe { (*self.function).common.scope.as_ref() };
        class.and_then(ClassEntry::name)
    }
}

/// Where a property stands in the objects of a class, if nothing runs when it is read there. Kept
/// as [`Method`].
#[derive(Clone, Copy)]
pub struct Slot {
    class: *const zend_class_entry,
    offset: u32,
}

/// A public, non-static property that a class declares, as [`Method`].
#[derive(Clone, Copy)]
pub struct Property {
    class: *const zend_class_entry,
    info: *const ffi::zend_property_info,
}

impl HeldObject {
    /// The object that is in a variable now.
    pub fn of(variable: &Zval) -> Option<Self> {
        let value = variable.dereference();
        value.is_object().then(|| Self(Held::of(value)))
    }

    fn pointer(&self) -> *mut zend_object {
        // SAFETY: the value is an object.
        unsafe { self.0.value.obj }
    }

    fn class(&self) -> &ClassEntry {
        // SAFETY: the object is alive, and so is its class.
        unsafe { &*(*self.pointer()).ce }
    }

    /// The name of its class. Of one without a name, what PHP's own messages say: not the file,
    /// which stands behind a NUL.
    pub fn class_name(&self) -> &str {
        let name = self.class().name().unwrap_or("object");
        name.split_once('\0').map_or(name, |(shown, _)| shown)
    }

    /// Whether it is of a class, or of one below it.
    pub fn is_instance_of(&self, class: &ClassEntry) -> bool {
        self.class().instance_of(class)
    }

    /// Whether its class, one above it or an interface has one of these names, in any namespace.
    pub fn is_instance_of_any_named(&self, names: &[&str]) -> bool {
        let is_named = |class: &ClassEntry| {
            let name = class.name().unwrap_or_default();
            let short = name.rsplit('\\').next().unwrap_or_default();
            names.iter().any(|name| short.eq_ignore_ascii_case(name))
        };
        std::iter::successors(Some(self.class()), |class| class.parent())
            .any(|class| is_named(class) || class.interfaces().is_some_and(|mut all| all.any(is_named)))
    }

    /// Whether its class is an enum.
    pub fn is_enum(&self) -> bool {
        self.class().ce_flags & ffi::ZEND_ACC_ENUM != 0
    }

    /// The value of a backed enum's case. `None`: a pure enum.
    pub fn enum_value(&self) -> Option<&Zval> {
        if self.class().default_properties_count < 2 {
            return None;
        }
        // SAFETY: an enum's case holds its name in the first property and, if it is backed, its
        // value in the second (`zend_enum_fetch_case_value`).
        unsafe { (*self.pointer()).properties_table.as_ptr().add(1).as_ref() }
    }

    /// An enum's case, as PHP code names it: `Enum::Case`. `None`: it is no enum's.
    pub fn case_name(&self) -> Option<String> {
        if !self.is_enum() {
            return None;
        }
        // SAFETY: as above.
        let name = unsafe { (*self.pointer()).properties_table.as_ptr().as_ref() };
        name.and_then(Zval::str)
            .map(|name| format!("{}::{name}", self.class_name()))
    }

    /// What no other class has while this one is there.
    pub fn class_address(&self) -> usize {
        ptr::from_ref(self.class()).addr()
    }

    /// Whether it has a public, non-static method of this lower-case name.
    pub fn has_method(&self, name: &str) -> bool {
        self.method(name).is_some()
    }

    /// Its public, non-static method of this lower-case name.
    pub fn method(&self, name: &str) -> Option<Method> {
        // SAFETY: a class's table of functions lives as long as the class.
        unsafe {
            let class = (*self.pointer()).ce;
            let table = &raw const (*class).function_table;
            let found = ffi::zend_hash_str_find_ptr_lc(table, name.as_ptr().cast(), name.len());
            let function = found.cast::<zend_function>();
            let flags = function.as_ref()?.common.fn_flags;
            let is_open = flags & ffi::ZEND_ACC_PUBLIC != 0 && flags & ffi::ZEND_ACC_STATIC == 0;
            is_open.then_some(Method { class, function })
        }
    }

    /// The public, non-static property of this name that its class declares.
    pub fn property(&self, name: &str) -> Option<Property> {
        // SAFETY: a class's table of properties lives as long as the class, and holds pointers to
        // their descriptions.
        unsafe {
            let class = (*self.pointer()).ce;
            let table = &raw const (*class).properties_info;
            let found = ffi::zend_hash_str_find(table, name.as_ptr().cast(), name.len());
            let info = found.as_ref()?.value.ptr.cast::<ffi::zend_property_info>();
            let flags = info.as_ref()?.flags;
            let is_open = flags & ffi::ZEND_ACC_PUBLIC != 0 && flags & ffi::ZEND_ACC_STATIC == 0;
            is_open.then_some(Property { class, info })
        }
    }

    /// Where its declared property of this name stands, whoever may read it. `None`: it has none,
    /// or PHP code may run for it.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        // Since PHP 8.4 a property may have hooks.
        if cfg!(php84) {
            return None;
        }
        // SAFETY: as for `Self::property`. The offset is that of a slot of the object, unless the
        // property is static.
        unsafe {
            let object = self.pointer();
            let class = (*object).ce;
            let is_plain = (*(*object).handlers).read_property.is_some_and(|read| {
                ptr::fn_addr_eq(
                    read,
                    ffi::zend_std_read_property as unsafe extern "C" fn(_, _, _, _, _) -> _,
                )
            });
            let table = &raw const (*class).properties_info;
            let found = ffi::zend_hash_str_find(table, name.as_ptr().cast(), name.len());
            let info = found.as_ref()?.value.ptr.cast::<ffi::zend_property_info>().as_ref()?;
            let is_there = is_plain && info.flags & ffi::ZEND_ACC_STATIC == 0;
            is_there.then_some(Slot {
                class,
                offset: info.offset,
            })
        }
    }

    /// The value that stands in a slot now. `None`: the slot is another class's, or empty.
    pub fn value_in(&self, slot: Slot) -> Option<Held> {
        if !self.is_of(slot.class) {
            return None;
        }
        // SAFETY: the object is of the class that has a slot there, and alive.
        let value = unsafe { self.pointer().cast::<Zval>().byte_add(slot.offset as usize).as_ref()? };
        (value.get_type() != DataType::Undef).then(|| Held::of(value))
    }

    fn is_of(&self, class: *const zend_class_entry) -> bool {
        // SAFETY: the object is alive.
        ptr::eq(unsafe { (*self.pointer()).ce }, class)
    }

    /// The value of a property. User code may run. `None`: it threw, or the property is another
    /// class's.
    pub fn read(&self, property: Property) -> Option<Held> {
        if !self.is_of(property.class) {
            return None;
        }
        let object = self.pointer();
        let mut slot = Zval::new();
        // SAFETY: the class is alive, since the object is, and with it the property's description
        // and name. The value is copied before the slot goes.
        let value = run(|| unsafe {
            let name = (*property.info).name;
            let read = (*(*object).handlers).read_property?;
            let found = read(
                object,
                name,
                ffi::BP_VAR_IS.cast_signed(),
                ptr::null_mut(),
                &raw mut slot,
            );
            found.as_ref().map(|value| value.dereference().shallow_clone())
        });
        let (_slot, value) = (Held::new(slot), Held::new(value??));
        (!exception_is_pending()).then_some(value)
    }

    /// Calls a public method without arguments. `None`: there is no such method, or it threw.
    pub fn call(&self, name: &str) -> Option<Held> {
        let [result] = self.call_all([self.method(name)])?;
        result
    }

    /// Calls methods without arguments, one after the other. `None` in the place of one that there
    /// is not, or that is another class's. `None` for all: one of them threw.
    pub fn call_all<const N: usize>(&self, methods: [Option<Method>; N]) -> Option<[Option<Held>; N]> {
        let methods = methods.map(|method| method.filter(|method| self.is_of(method.class)));
        let mut results = [const { Zval::new() }; N];
        run(|| {
            for (method, result) in methods.iter().zip(&mut results) {
                if let Some(method) = method {
                    self.call_function(*method, result, &mut []);
                }
            }
        });
        // Each is released as what PHP code made, also after an exception.
        let results = results.map(Held::new);
        if exception_is_pending() {
            return None;
        }
        let mut methods = methods.into_iter();
        Some(results.map(|result| methods.next().flatten().map(|_| result)))
    }

    /// Calls a public method with one string argument. `None`: there is no such method, or it
    /// threw.
    pub fn call_with(&self, name: &str, argument: &str) -> Option<Held> {
        let mut text = Zval::new();
        text.set_zend_string(ZendStr::new(argument, false));
        self.call_with_value(name, text)
    }

    /// Calls a public method with one argument. `None`: there is no such method, or it threw.
    pub fn call_with_value(&self, name: &str, mut argument: Zval) -> Option<Held> {
        let method = self.method(name)?;
        let mut result = Zval::new();
        run(|| self.call_function(method, &mut result, std::slice::from_mut(&mut argument)));
        let result = Held::new(result);
        (!exception_is_pending()).then_some(result)
    }

    /// A clone of it. User code may run. `None`: it has none, or it threw.
    pub fn copy(&self) -> Option<Self> {
        let object = self.pointer();
        // SAFETY: the object is held; its class's handler makes an object with a reference of its
        // own, which the value takes over.
        let copy = run(|| unsafe {
            let clone = (*(*object).handlers).clone_obj?;
            let mut value = Zval::new();
            value.value.obj = clone(object);
            value.u1.type_info = ffi::IS_OBJECT_EX;
            Some(value)
        });
        let copy = Held::new(copy??);
        (!exception_is_pending()).then(|| Self(copy))
    }

    /// PHP calls nothing while an exception is pending.
    fn call_function(&self, method: Method, result: &mut Zval, arguments: &mut [Zval]) {
        let object = self.pointer();
        // SAFETY: the method belongs to the class of the object, which is held; the arguments and
        // the result outlive the call.
        unsafe {
            ffi::zend_call_known_function(
                method.function,
                object,
                (*object).ce,
                result,
                u32::try_from(arguments.len()).unwrap_or(0),
                arguments.as_mut_ptr(),
                ptr::null_mut(),
            );
        }
    }

    /// The object as PHP casts it to a string. `None`: it threw.
    pub fn to_text(&self) -> Option<Zval> {
        to_string(&self.0)
    }

    /// A copy of its properties, as `get_object_vars()` from inside sees them. `None`: there are
    /// none, or it threw.
    pub fn properties(&self) -> Option<HeldArray> {
        let object = self.pointer();
        // SAFETY: the object is held, and every table of handlers has this one. The object owns
        // the properties.
        let table = run(|| unsafe {
            let handler = (*(*object).handlers).get_properties?;
            Some(handler(object)).filter(|table| !table.is_null())
        })??;
        (!exception_is_pending()).then(|| HeldArray::copy_of(table))
    }

    /// What it yields, as a `foreach` sees it. `None`: it cannot be iterated, or threw.
    pub fn iterate(&self) -> Option<Iteration> {
        let get_iterator = self.class().get_iterator?;
        let mut object = self.0.shallow_clone();
        // SAFETY: the object is held; its class's function makes the iterator.
        let iterator = run(|| unsafe { get_iterator((*object.value.obj).ce, &raw mut object, 0) });
        let object = Held::new(object);
        let iteration = Iteration {
            iterator: NonNull::new(iterator?)?,
            is_begun: false,
            _object: object,
        };
        (!exception_is_pending()).then_some(iteration)
    }
}

/// Runs PHP code, unless an exception is pending: PHP's own functions call nothing then, and a
/// generator that went on would run into it. `None`: so it was, or the request is ending.
fn run<R>(php: impl FnOnce() -> R) -> Option<R> {
    if exception_is_pending() {
        return None;
    }
    bailout::catch(php)
}

/// The value of a case of this backed enum. `None`: it is no case of it. Whoever holds the variable
/// holds the case, whose value never changes.
pub fn value_of_case<'v>(variable: &'v Zval, enum_name: &str) -> Option<&'v Zval> {
    let object = HeldObject::of(variable)?;
    if !object.is_enum() || object.class_name() != enum_name {
        return None;
    }
    let value: *const Zval = object.enum_value()?;
    // SAFETY: the caller holds the case as long.
    unsafe { value.as_ref() }
}

/// What an object yields, a few values at a time, or one: an iteration keeps to one of the two.
pub struct Iteration {
    iterator: NonNull<ffi::zend_object_iterator>,
    is_begun: bool,
    /// Dropped last.
    _object: Held,
}

impl Iteration {
    /// The next values, up to `count` of them, in a list, which is empty at the end. `None`: PHP
    /// code threw.
    pub fn next_values(&mut self, count: usize) -> Option<HeldArray> {
        let iterator = self.iterator.as_ptr();
        let begins = !std::mem::replace(&mut self.is_begun, true);
        // What the frames of a jump own is PHP's memory.
        let list = run(|| {
            let mut list = ArrayBuilder::new();
            // SAFETY: the iterator is alive, and has all functions but those that are checked
            // here. What it yields is copied before it moves on.
            unsafe {
                let functions = (*iterator).funcs.as_ref()?;
                let (Some(valid), Some(current), Some(next)) =
                    (functions.valid, functions.get_current_data, functions.move_forward)
                else {
                    return Some(list.build());
                };
                if let Some(rewind) = functions.rewind.filter(|_| begins) {
                    rewind(iterator);
                }
                for _ in 0..count {
                    if exception_is_pending()
                        || valid(iterator) != ffi::ZEND_RESULT_CODE_SUCCESS
                        || exception_is_pending()
                    {
                        break;
                    }
                    let Some(value) = current(iterator).as_ref().filter(|_| !exception_is_pending()) else {
                        break;
                    };
                    list.push(value.dereference().shallow_clone());
                    next(iterator);
                }
            }
            Some(list.build())
        });
        let list = Held::new(list??);
        if exception_is_pending() {
            return None;
        }
        HeldArray::of_result(list).ok()
    }
}

impl Iteration {
    /// The next value. `None`: the end. PHP code behind a value runs when the one after it is asked
    /// for, not before.
    ///
    /// # Errors
    ///
    /// PHP code threw.
    pub fn next_value(&mut self) -> Result<Option<Held>, PendingException> {
        let iterator = self.iterator.as_ptr();
        let begins = !std::mem::replace(&mut self.is_begun, true);
        // SAFETY: the iterator is alive, and has all functions but those that are checked here.
        // What it yields is copied before it moves on.
        let value = run(|| unsafe {
            let functions = (*iterator).funcs.as_ref()?;
            let (Some(valid), Some(current), Some(next)) =
                (functions.valid, functions.get_current_data, functions.move_forward)
            else {
                return None;
            };
            if !begins {
                next(iterator);
            } else if let Some(rewind) = functions.rewind {
                rewind(iterator);
            }
            if exception_is_pending() || valid(iterator) != ffi::ZEND_RESULT_CODE_SUCCESS || exception_is_pending() {
                return None;
            }
            let value = current(iterator).as_ref().filter(|_| !exception_is_pending())?;
            Some(value.dereference().shallow_clone())
        });
        let value = value.flatten().map(Held::new);
        if exception_is_pending() {
            return Err(PendingException);
        }
        Ok(value)
    }
}

impl Drop for Iteration {
    fn drop(&mut self) {
        // SAFETY: the iterator is alive, and nobody uses it afterwards. Its end may run PHP code.
        bailout::catch(|| unsafe { zend_iterator_dtor(self.iterator.as_ptr()) });
    }
}

/// Sets a property of an exception, whatever its visibility.
pub fn set_property(class: &'static ClassEntry, object: *mut zend_object, name: &str, value: &mut Zval) {
    // SAFETY: the object is alive and of that class; PHP copies the value.
    unsafe {
        zend_update_property(
            ptr::from_ref(class).cast_mut(),
            object,
            name.as_ptr().cast(),
            name.len(),
            value,
        );
    }
}

/// Reads a property of an object, whatever its visibility.
pub fn property(class: &'static ClassEntry, object: *mut zend_object, name: &str) -> Option<Zval> {
    let mut slot = Zval::new();
    // SAFETY: the object is alive and of that class; the value is copied before the slot goes.
    unsafe {
        let found = ffi::zend_read_property(
            ptr::from_ref(class).cast_mut(),
            object,
            name.as_ptr().cast(),
            name.len(),
            true,
            &raw mut slot,
        );
        found.as_ref().map(|value| value.dereference().shallow_clone())
    }
}
