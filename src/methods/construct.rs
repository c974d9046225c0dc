//! `WriteBuffer::__construct()` and `SyncWriteBuffer::__construct()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};

use crate::buffer::object;
use crate::buffer::state::State;
use crate::exceptions::throw_error;
use crate::settings::configuration::BufferClass;
use crate::settings::read::Given;
use crate::zend::bailout;
use crate::zend::messages::{PendingException, throw};

/// `WriteBuffer::__construct()`
pub extern "C" fn construct(call: &mut ExecuteData, _result: &mut Zval) {
    construct_as(BufferClass::WriteBuffer, call);
}

/// `SyncWriteBuffer::__construct()`
pub extern "C" fn construct_sync(call: &mut ExecuteData, _result: &mut Zval) {
    construct_as(BufferClass::SyncWriteBuffer, call);
}

fn construct_as(class: BufferClass, call: &ExecuteData) {
    bailout::run(|| {
        // Whatever is pending, PHP throws.
        let _: Result<(), PendingException> = make_state(class, call).map(|state| {
            if !object::set_state(call, state) {
                throw(ce::error(), "the buffer is constructed already: create a new one", 0);
            }
        });
    });
}

fn make_state(class: BufferClass, call: &ExecuteData) -> Result<State, PendingException> {
    let given = Given::parse(call, class)?;
    given.configuration().and_then(State::new).map_err(throw_error)
}
