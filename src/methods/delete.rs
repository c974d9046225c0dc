//! `Buffer::delete()`.

use ext_php_rs::types::Zval;
use ext_php_rs::zend::ExecuteData;

use crate::convert::deletions::copy_key;
use crate::methods::add::take_group;
use crate::methods::arguments::{table, time_zone};
use crate::methods::entry::with_buffer;
use crate::zend::arguments::Arguments;

/// `Buffer::delete()`
pub extern "C" fn delete(call: &mut ExecuteData, _result: &mut Zval) {
    with_buffer(call, |call, buffer| {
        let mut arguments = Arguments::of(call, 2, 2)?;
        let name = arguments.text()?.unwrap_or_default();
        let key = arguments.value();
        take_group(buffer, |group| {
            let table = table(buffer, name)?;
            key.map_or(Ok(()), |key| copy_key(&buffer, group, table, key, 2, time_zone(buffer)))
        })
    });
}
