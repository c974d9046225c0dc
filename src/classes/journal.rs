//! `WriteBuffer\Journal`.

use anyhow::Result;
use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};

use crate::classes::parameters::{optional, required, with_parameters};
use crate::classes::registration::register;
use crate::methods::journal;
#[cfg(php82)]
use crate::zend::classes::mark_parameter_sensitive;

/// Registers the class.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_class() -> Result<()> {
    let recover = with_parameters(
        FunctionBuilder::new("recover", journal::recover),
        &[
            required("directory", DataType::String),
            optional("dsn", DataType::String),
            optional("timeoutMs", DataType::Long),
        ],
    );
    let inspect = with_parameters(
        FunctionBuilder::new("inspect", journal::inspect),
        &[required("directory", DataType::String)],
    );
    let both = MethodFlags::Public | MethodFlags::Static;
    let class = ClassBuilder::new("WriteBuffer\\Journal")
        .flags(ClassFlags::Final)
        .method(recover.returns(DataType::Array, false, false), both)
        .method(inspect.returns(DataType::Array, false, false), both);
    let entry = register(class)?;
    #[cfg(php82)]
    mark_parameter_sensitive(entry, "recover", 2);
    #[cfg(not(php82))]
    let _ = entry;
    Ok(())
}
