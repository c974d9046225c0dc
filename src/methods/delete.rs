//! `Buffer::delete()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::convert::deletions::copy_key;
use crate::export;
use crate::methods::add::take_group;
use crate::methods::arguments::{table, tag, time_zone};
use crate::methods::entry::with_buffer;
use crate::zend::arguments::Arguments;

/// `Buffer::delete()`
pub extern "C" fn delete(call: &mut ExecuteData, result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 3)?;
        let name = arguments.text()?.unwrap_or_default();
        let key = arguments.value();
        let tag = tag(&mut arguments, 3)?;
        let ticket = take_group(buffer, tag, |group| {
            let table = table(buffer, name)?;
            key.map_or(Ok(()), |key| copy_key(&buffer, group, table, key, 2, time_zone(buffer)))
        })?;
        *result = export::int(ticket);
        Ok(())
    });
}
