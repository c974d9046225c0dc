//! `WriteBuffer\MemorySink`.

use anyhow::Result;
use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};

use crate::classes::parameters::{Parameter, required, with_parameters};
use crate::classes::registration::{Handler, register};
use crate::methods::memory_sink;
use crate::zend::classes::need_constructor;

/// Registers the class.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_class() -> Result<()> {
    register(class()).map(need_constructor)
}

fn class() -> ClassBuilder {
    const fn name() -> Parameter {
        Parameter {
            name: "name",
            kind: DataType::String,
            nullable: false,
            default: Some("''"),
        }
    }
    let function = |name: &str, handler: Handler, parameters: &[Parameter], returns: DataType| {
        with_parameters(FunctionBuilder::new(name, handler), parameters).returns(returns, false, false)
    };
    let times = Parameter {
        name: "times",
        kind: DataType::Long,
        nullable: false,
        default: Some("1"),
    };
    let fail_next = [required("code", DataType::Long), times, name()];
    ClassBuilder::new("WriteBuffer\\MemorySink")
        .flags(ClassFlags::Final | ClassFlags::NotSerializable)
        .method(
            FunctionBuilder::new("__construct", memory_sink::construct),
            MethodFlags::Private,
        )
        .method(
            function("tables", memory_sink::tables, &[name()], DataType::Array),
            MethodFlags::Public | MethodFlags::Static,
        )
        .method(
            function("reset", memory_sink::reset, &[name()], DataType::Void),
            MethodFlags::Public | MethodFlags::Static,
        )
        .method(
            function("failNext", memory_sink::fail_next, &fail_next, DataType::Void),
            MethodFlags::Public | MethodFlags::Static,
        )
}
