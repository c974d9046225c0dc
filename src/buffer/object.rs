//! A PHP object with a buffer behind it.
//!
//! PHP allocates the object, and the Rust value stands before it, as in every C extension:
//! <https://www.phpinternalsbook.com/php7/classes_objects.html>. The constructor makes the value.
//! It is dropped when the object is freed, also after `exit`, an uncaught exception and a fatal
//! error.
//!
//! An object ends in two phases. In the first PHP code can still run: all is written, and what
//! cannot be is a warning. Rows may come after it, from another object's destructor. The second
//! writes these and ends the thread; after a fatal error it is the only one.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use ext_php_rs::ffi::{
    ext_php_rs_zend_object_alloc, object_properties_init, std_object_handlers, zend_object, zend_object_handlers,
    zend_object_std_dtor, zend_object_std_init, zval,
};
use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ClassEntry, ExecuteData};

use crate::buffer::state::State;
use crate::zend::{bailout, messages};

unsafe extern "C" {
    fn zend_objects_not_comparable(one: *mut zval, other: *mut zval) -> c_int;
}

#[repr(C)]
struct BufferObject {
    state: Option<Box<State>>,
    /// Last: PHP puts the object's properties behind it.
    std: zend_object,
}

/// A table that is filled once and then only read.
struct Handlers(zend_object_handlers);

// SAFETY: the table holds function pointers and numbers, and nobody writes to it after it is made.
unsafe impl Send for Handlers {}
// SAFETY: as above.
unsafe impl Sync for Handlers {}

/// The handlers of our objects. They are made at module start. If a thread made them later, a fork
/// at that moment would leave a child that waits forever for a thread which it does not have.
pub fn handlers() -> &'static zend_object_handlers {
    static HANDLERS: OnceLock<Handlers> = OnceLock::new();
    let made = HANDLERS.get_or_init(|| {
        // SAFETY: PHP's own table is complete before any module starts.
        let mut table = unsafe { ptr::read(&raw const std_object_handlers) };
        // The offset's type differs between PHP versions.
        table.offset = offset_of!(BufferObject, std).try_into().unwrap_or_default();
        table.dtor_obj = Some(destroy);
        table.free_obj = Some(free);
        // A copy would write the same rows twice: `clone` is an Error.
        table.clone_obj = None;
        // Two buffers are never equal, nor is one less than another.
        table.compare = Some(zend_objects_not_comparable);
        Handlers(table)
    });
    &made.0
}

/// Makes an object without its value, which the constructor makes.
pub unsafe extern "C" fn create(class: *mut ClassEntry) -> *mut zend_object {
    // SAFETY: PHP calls this with one of our classes. Its allocator adds room for the class's
    // properties, and ends the process rather than return null.
    unsafe {
        let object = ext_php_rs_zend_object_alloc(size_of::<BufferObject>(), class).cast::<BufferObject>();
        ptr::write(&raw mut (*object).state, None);
        let std = &raw mut (*object).std;
        zend_object_std_init(std, class);
        object_properties_init(std, class);
        (*std).handlers = handlers();
        std
    }
}

/// # Safety
///
/// `object` is alive and was made by [`create`].
unsafe fn container(object: *mut zend_object) -> *mut BufferObject {
    // SAFETY: the caller says so.
    unsafe { object.byte_sub(offset_of!(BufferObject, std)).cast() }
}

/// The first phase of destruction, while PHP code can still run: flush, and warn.
unsafe extern "C" fn destroy(object: *mut zend_object) {
    // SAFETY: PHP destroys an object once, while it is alive.
    let state = unsafe { &mut (*container(object)).state };
    let ended = catch_unwind(AssertUnwindSafe(|| state.as_mut().map(|state| state.drain(false))));
    for message in messages_of(ended) {
        messages::warn(&format!("WriteBuffer: {message}"));
    }
    bailout::go_on();
}

/// What an end has to tell.
fn messages_of(ended: std::thread::Result<Option<Vec<String>>>) -> Vec<String> {
    ended.map_or_else(
        |_| vec!["a bug in write_buffer ended the last flush; rows may be lost: please report this".to_owned()],
        Option::unwrap_or_default,
    )
}

/// The second phase, after which the object's memory goes. No PHP code can run any more, so what is
/// lost is logged.
unsafe extern "C" fn free(object: *mut zend_object) {
    // SAFETY: PHP frees an object once.
    let state = unsafe { (*container(object)).state.take() };
    let ended = catch_unwind(AssertUnwindSafe(|| state.map(|mut state| state.end())));
    for message in messages_of(ended) {
        messages::log(&format!("WriteBuffer: {message}"));
    }
    // SAFETY: the last step of freeing an object.
    unsafe { zend_object_std_dtor(object) };
}

/// The buffer behind `$this`, for as long as the call lasts.
///
/// PHP code that runs during a call may reach the same object: so nobody keeps a reference to the
/// state, and all that is done with it is a step of [`Self::with`].
#[derive(Clone, Copy)]
pub struct Handle<'call> {
    state: NonNull<State>,
    call: PhantomData<&'call ExecuteData>,
}

impl<'call> Handle<'call> {
    /// The buffer of `$this`. `None`: its constructor has not run, or threw.
    pub fn of(call: &'call ExecuteData) -> Option<Self> {
        let object = ptr::from_ref(call.This.object()?).cast_mut();
        // SAFETY: the methods are those of our final classes, so `$this` was made by `create`.
        let state = unsafe { &mut (*container(object)).state };
        Some(Self {
            state: NonNull::from(state.as_deref_mut()?),
            call: PhantomData,
        })
    }

    /// The buffer in an argument. `None`: it is none of ours, or its constructor has not run.
    pub fn of_argument(argument: &'call Zval) -> Option<Self> {
        let object = ptr::from_ref(argument.dereference().object()?).cast_mut();
        // SAFETY: an object that has our handlers was made by `create`. The caller's frame holds it
        // as long as the argument.
        let state = unsafe {
            if !ptr::eq((*object).handlers, handlers()) {
                return None;
            }
            &mut (*container(object)).state
        };
        Some(Self {
            state: NonNull::from(state.as_deref_mut()?),
            call: PhantomData,
        })
    }

    /// Runs a step on the buffer's state. No user code runs in a step, and no step in another.
    pub fn with<R>(self, step: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: the call holds `$this`, and nobody replaces its state: a second constructor call
        // is refused. An object belongs to one thread. User code is all that could come back to the
        // same object meanwhile, and it runs between steps, so this reference is the only one.
        step(unsafe { &mut *self.state.as_ptr() })
    }
}

/// Gives `$this` its state. `false`: it has one.
pub fn set_state(call: &ExecuteData, state: State) -> bool {
    let Some(object) = call.This.object() else {
        return false;
    };
    // SAFETY: as for `Handle::of`.
    let slot = unsafe { &mut (*container(ptr::from_ref(object).cast_mut())).state };
    let is_new = slot.is_none();
    if is_new {
        *slot = Some(Box::new(state));
    }
    is_new
}
