//! `Buffer::lastTicket()`, `committedThrough()` and `waitFor()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::{ExecuteData, ce};

use crate::buffer::object::Handle;
use crate::buffer::wait;
use crate::exceptions::throw_flush_error;
use crate::export;
use crate::methods::entry::{kept_rows, with_buffer};
use crate::methods::flush::timeout;
use crate::zend::arguments::{Arguments, refuse};
use crate::zend::messages::PendingException;

/// `Buffer::lastTicket()`
pub extern "C" fn last_ticket(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::int(buffer.with(|state| state.last_ticket));
        Ok(())
    });
}

/// `Buffer::committedThrough()`
pub extern "C" fn committed_through(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        Arguments::none(call)?;
        *result = export::int(buffer.with(|state| state.buffer.settled_through()));
        Ok(())
    });
}

/// `Buffer::waitFor()`
pub extern "C" fn wait_for(call: &mut ExecuteData, _result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 1, 2)?;
        let ticket = arguments.int()?.unwrap_or_default();
        let timeout = timeout(&mut arguments, 2)?;
        let ticket = u64::try_from(ticket).map_err(|_| unknown(buffer))?;
        if ticket == 0 {
            return no_ticket(buffer);
        }
        let waited = wait::wait_for(buffer, ticket, timeout);
        let is_known = waited.map_err(|failed| throw_flush_error(&failed, kept_rows(buffer)))?;
        if is_known { Ok(()) } else { Err(unknown(buffer)) }
    });
}

/// 0 is no group's ticket. It is what `add()` returns before the first one, if there was no row to
/// take: then there is nothing to wait for.
fn no_ticket(buffer: Handle<'_>) -> Result<(), PendingException> {
    if buffer.with(|state| state.last_ticket == 0 && !state.is_gathering()) {
        return Ok(());
    }
    let message = "must be a ticket, and 0 is none: it is what add(), put() and delete() return within group(), whose \
                   own ticket lastTicket() returns afterwards";
    Err(refuse(ce::value_error(), 1, message))
}

fn unknown(buffer: Handle<'_>) -> PendingException {
    let message = match buffer.with(|state| state.buffer.taken()) {
        0 => "must be a ticket of this buffer, which has given none yet".to_owned(),
        last => format!("must be a ticket of this buffer, which has given those from 1 to {last}"),
    };
    refuse(ce::value_error(), 1, &message)
}
