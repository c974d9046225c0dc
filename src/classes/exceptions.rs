//! The exception classes.

use anyhow::Result;
use ext_php_rs::builders::{ClassBuilder, ClassProperty, FunctionBuilder};
use ext_php_rs::class::ClassEntryInfo;
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags, PropertyFlags};
use ext_php_rs::zend::{ClassEntry, ce};

use crate::classes::interfaces::Interface;
use crate::classes::registration::register;
use crate::exceptions::{ExceptionClasses, FAILURES, get_failures};
use crate::zend::classes::{self, Class};

/// Registers the classes. Their interface is registered.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_classes() -> Result<()> {
    let runtime = (
        classes::runtime_exception as fn() -> &'static ClassEntry,
        "\\RuntimeException",
    );
    let argument = (
        classes::invalid_argument_exception as fn() -> &'static ClassEntry,
        "\\InvalidArgumentException",
    );
    let register = |builder| register(builder).map(|class| Class(class));
    ExceptionClasses {
        config: register(exception("WriteBuffer\\ConfigException", argument))?,
        connection: register(exception("WriteBuffer\\ConnectionException", runtime))?,
        full: register(exception("WriteBuffer\\FullException", runtime))?,
        flush: register(flush_exception(runtime))?,
        timeout: register(exception("WriteBuffer\\TimeoutException", runtime))?,
        closed: register(exception("WriteBuffer\\ClosedException", runtime))?,
    }
    .set();
    Ok(())
}

/// The interface.
pub fn interface() -> ClassBuilder {
    ClassBuilder::new("WriteBuffer\\Exception")
        .flags(ClassFlags::Interface)
        .implements((ce::throwable, "\\Throwable"))
}

fn exception(name: &str, parent: ClassEntryInfo) -> ClassBuilder {
    ClassBuilder::new(name)
        .flags(ClassFlags::Final)
        .extends(parent)
        .implements(Interface::Exception.info())
}

fn flush_exception(parent: ClassEntryInfo) -> ClassBuilder {
    let get_failures = FunctionBuilder::new("getFailures", get_failures).returns(DataType::Array, false, false);
    exception("WriteBuffer\\FlushException", parent)
        .method(get_failures, MethodFlags::Public)
        .property(ClassProperty {
            name: FAILURES.to_owned(),
            flags: PropertyFlags::Private,
            default: None,
            docs: &[],
            ty: None,
            nullable: true,
            readonly: false,
            default_stub: None,
        })
}
