//! `WriteBuffer\Buffer`, and its two classes.

use anyhow::Result;
use ext_php_rs::builders::{ClassBuilder, FunctionBuilder};
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags};
use ext_php_rs::zend::{ClassEntry, ce};

use crate::buffer::object;
use crate::classes::interfaces::Interface;
use crate::classes::parameters::{Parameter, optional, required, with_parameters};
use crate::classes::registration::{Handler, register};
use crate::methods::{add, construct, delete, find, flush, group, inspect, put_all, retry, tickets};
use crate::settings::SETTINGS;
use crate::settings::configuration::BufferClass;
use crate::settings::setting::{Field, Setting};
#[cfg(php82)]
use crate::zend::classes::mark_parameter_sensitive;
use crate::zend::classes::{add_false_to_return_type, add_string_to_parameter_type};

/// Registers the two classes. Their interface is registered.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_classes() -> Result<()> {
    register_class(BufferClass::WriteBuffer, construct::construct)?;
    register_class(BufferClass::SyncWriteBuffer, construct::construct_sync)
}

fn register_class(class: BufferClass, constructor: Handler) -> Result<()> {
    let parameters: Vec<_> = SETTINGS.iter().map(constructor_parameter).collect();
    let constructor = with_parameters(FunctionBuilder::new("__construct", constructor), &parameters);
    let debug_info = FunctionBuilder::new("__debugInfo", inspect::debug_info).returns(DataType::Array, false, false);
    let mut builder = ClassBuilder::new(class.name())
        .flags(ClassFlags::Final | ClassFlags::NotSerializable | ClassFlags::NoDynamicProperties)
        .implements((ce::countable, "\\Countable"))
        .implements(Interface::Buffer.info())
        .method(constructor, MethodFlags::Public)
        .method(debug_info, MethodFlags::Public);
    for method in BUFFER_METHODS {
        let function = FunctionBuilder::new(method.name, method.handler);
        builder = builder.method(method.describe(function), MethodFlags::Public);
    }
    let entry = register(builder)?;
    widen_return_types(entry);
    entry.__bindgen_anon_2.create_object = Some(object::create);
    for (number, setting) in (1..).zip(SETTINGS) {
        if matches!(setting.field, Field::Word(..)) {
            add_string_to_parameter_type(entry, number);
        }
    }
    #[cfg(php82)]
    for (number, setting) in (1..).zip(SETTINGS) {
        if setting.is_secret() {
            mark_parameter_sensitive(entry, "__construct", number);
        }
    }
    Ok(())
}

/// A setting as a constructor's parameter. Null takes php.ini's value.
fn constructor_parameter(setting: &Setting) -> Parameter {
    Parameter {
        name: setting.name,
        kind: setting.field.data_type(),
        nullable: setting.ini.is_some(),
        default: Some(if setting.ini.is_some() { "null" } else { "[]" }),
    }
}

/// A method of `WriteBuffer\Buffer`.
struct BufferMethod {
    name: &'static str,
    handler: Handler,
    parameters: &'static [Parameter],
    returns: DataType,
    returns_null: bool,
}

impl BufferMethod {
    fn describe<'a>(&self, function: FunctionBuilder<'a>) -> FunctionBuilder<'a> {
        with_parameters(function, self.parameters).returns(self.returns, false, self.returns_null)
    }
}

const fn method(
    name: &'static str,
    handler: Handler,
    parameters: &'static [Parameter],
    returns: DataType,
) -> BufferMethod {
    BufferMethod {
        name,
        handler,
        parameters,
        returns,
        returns_null: false,
    }
}

const BUFFER_METHODS: [BufferMethod; 18] = [
    method(
        "add",
        add::add,
        &[required("order", DataType::Mixed), optional("trade", DataType::Mixed)],
        DataType::Long,
    ),
    method(
        "put",
        add::put,
        &[
            required("table", DataType::String),
            required("row", DataType::Mixed),
            optional("tag", DataType::String),
        ],
        DataType::Long,
    ),
    method(
        "putAll",
        put_all::put_all,
        &[
            required("table", DataType::String),
            required("rows", DataType::Iterable),
            optional("progress", DataType::Callable),
        ],
        DataType::Long,
    ),
    method(
        "delete",
        delete::delete,
        &[
            required("table", DataType::String),
            required("key", DataType::Mixed),
            optional("tag", DataType::String),
        ],
        DataType::Long,
    ),
    method(
        "group",
        group::group,
        &[required("rows", DataType::Callable), optional("tag", DataType::String)],
        DataType::Mixed,
    ),
    BufferMethod {
        returns_null: true,
        ..method(
            "find",
            find::find,
            &[required("table", DataType::String), required("key", DataType::Mixed)],
            DataType::Array,
        )
    },
    method(
        "flush",
        flush::flush,
        &[optional("timeoutMs", DataType::Long)],
        DataType::Long,
    ),
    method(
        "sync",
        flush::sync,
        &[optional("timeoutMs", DataType::Long)],
        DataType::Void,
    ),
    method("lastTicket", tickets::last_ticket, &[], DataType::Long),
    method("committedThrough", tickets::committed_through, &[], DataType::Long),
    method(
        "waitFor",
        tickets::wait_for,
        &[
            required("ticket", DataType::Long),
            optional("timeoutMs", DataType::Long),
        ],
        DataType::Void,
    ),
    method("isFull", inspect::is_full, &[], DataType::Bool),
    method("getMetrics", inspect::get_metrics, &[], DataType::Array),
    method("count", inspect::count, &[], DataType::Long),
    method("failures", inspect::failures, &[], DataType::Array),
    method("takeFailures", inspect::take_failures, &[], DataType::Array),
    method(
        "retry",
        retry::retry,
        &[required("failures", DataType::Array)],
        DataType::Long,
    ),
    method(
        "close",
        flush::close,
        &[optional("timeoutMs", DataType::Long)],
        DataType::Void,
    ),
];

/// Says of a registered class or interface what its builder cannot.
fn widen_return_types(entry: &mut ClassEntry) {
    add_false_to_return_type(entry, "find");
}

/// Registers the interface.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_interface() -> Result<&'static mut ClassEntry> {
    let entry = register(interface())?;
    widen_return_types(entry);
    Ok(entry)
}

fn interface() -> ClassBuilder {
    let mut builder = ClassBuilder::new("WriteBuffer\\Buffer")
        .flags(ClassFlags::Interface)
        .implements((ce::countable, "\\Countable"));
    for method in &BUFFER_METHODS {
        let function = FunctionBuilder::new_abstract(method.name);
        builder = builder.method(method.describe(function), MethodFlags::Public | MethodFlags::Abstract);
    }
    builder
}
