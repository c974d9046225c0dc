//! The classes and interfaces, as the stub in `stubs/` describes them.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use ext_php_rs::args::{Arg, ArgInfoTables};
use ext_php_rs::builders::{ClassBuilder, ClassProperty, FunctionBuilder};
use ext_php_rs::class::ClassEntryInfo;
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags, PropertyFlags};
use ext_php_rs::zend::{ClassEntry, ce};
use parking_lot::Mutex;

use crate::buffer::object;
use crate::methods::{add, construct, find, flush, inspect, memory_sink, retry};
use crate::zend::classes;

/// The registered classes.
#[derive(Clone, Copy)]
pub struct ExceptionClasses {
    /// `WriteBuffer\ConfigException`.
    pub config: &'static ClassEntry,
    /// `WriteBuffer\ConnectionException`.
    pub connection: &'static ClassEntry,
    /// `WriteBuffer\FullException`.
    pub full: &'static ClassEntry,
    /// `WriteBuffer\FlushException`.
    pub flush: &'static ClassEntry,
    /// `WriteBuffer\TimeoutException`.
    pub timeout: &'static ClassEntry,
    /// `WriteBuffer\ClosedException`.
    pub closed: &'static ClassEntry,
}

// SAFETY: class entries of an internal class are written at module start only, before any thread of PHP's begins.
unsafe impl Send for ExceptionClasses {}
// SAFETY: as above.
unsafe impl Sync for ExceptionClasses {}

static CLASSES: OnceLock<ExceptionClasses> = OnceLock::new();

/// PHP reads the methods' argument tables for as long as the process lives.
static ARGUMENT_TABLES: Mutex<Vec<ArgumentTables>> = Mutex::new(Vec::new());

struct ArgumentTables(#[expect(dead_code, reason = "held for the engine, never read back")] ArgInfoTables);

// SAFETY: the tables are only kept.
unsafe impl Send for ArgumentTables {}

/// Where a registration leaves its class for the code that asked for it.
static REGISTERED: Mutex<Option<Registered>> = Mutex::new(None);

struct Registered(&'static mut ClassEntry);

// SAFETY: modules start on one thread.
unsafe impl Send for Registered {}

impl ExceptionClasses {
    /// The classes. They are registered at module start, before any method can run.
    #[expect(clippy::expect_used, reason = "PHP runs no method of a module that did not start")]
    pub fn get() -> &'static Self {
        CLASSES.get().expect("the module has started")
    }

    /// Registers everything.
    ///
    /// # Errors
    ///
    /// A name that another extension took.
    pub fn register() -> Result<()> {
        let buffer = register(buffer_interface())?;
        let exception = register(
            ClassBuilder::new("WriteBuffer\\Exception")
                .flags(ClassFlags::Interface)
                .implements((ce::throwable, "\\Throwable")),
        )?;
        // The classes below name these two as their interfaces.
        INTERFACES.get_or_init(|| Interfaces { buffer, exception });
        let runtime = (
            classes::runtime_exception as fn() -> &'static ClassEntry,
            "\\RuntimeException",
        );
        let argument = (
            classes::invalid_argument_exception as fn() -> &'static ClassEntry,
            "\\InvalidArgumentException",
        );
        let classes = Self {
            config: register(exception_class("WriteBuffer\\ConfigException", argument))?,
            connection: register(exception_class("WriteBuffer\\ConnectionException", runtime))?,
            full: register(exception_class("WriteBuffer\\FullException", runtime))?,
            flush: register(flush_exception(runtime))?,
            timeout: register(exception_class("WriteBuffer\\TimeoutException", runtime))?,
            closed: register(exception_class("WriteBuffer\\ClosedException", runtime))?,
        };
        register(memory_sink_class())?;
        register_buffer_class("WriteBuffer", construct::construct, &WRITE_BUFFER_PARAMETERS)?;
        register_buffer_class(
            "SyncWriteBuffer",
            construct::construct_sync,
            &SYNC_WRITE_BUFFER_PARAMETERS,
        )?;
        CLASSES.get_or_init(|| classes);
        Ok(())
    }
}

struct Interfaces {
    buffer: &'static ClassEntry,
    exception: &'static ClassEntry,
}

// SAFETY: as for `ExceptionClasses`.
unsafe impl Send for Interfaces {}
// SAFETY: as for `ExceptionClasses`.
unsafe impl Sync for Interfaces {}

static INTERFACES: OnceLock<Interfaces> = OnceLock::new();

#[expect(
    clippy::expect_used,
    reason = "the interfaces are registered before the classes that name them"
)]
fn interfaces() -> &'static Interfaces {
    INTERFACES.get().expect("the interfaces are registered")
}

fn register(builder: ClassBuilder) -> Result<&'static ClassEntry> {
    register_mut(builder).map(|class| &*class)
}

fn register_mut(builder: ClassBuilder) -> Result<&'static mut ClassEntry> {
    builder
        .registration(|class, tables| {
            ARGUMENT_TABLES.lock().push(ArgumentTables(tables));
            *REGISTERED.lock() = Some(Registered(class));
        })
        .register()
        .map_err(|error| anyhow::anyhow!("cannot register a class: {error}"))?;
    let registered = REGISTERED.lock().take();
    registered.map(|class| class.0).context("a class was not registered")
}

fn register_buffer_class(name: &str, constructor: Handler, parameters: &[Parameter]) -> Result<()> {
    let buffer: ClassEntryInfo = (|| interfaces().buffer, "\\WriteBuffer\\Buffer");
    let constructor = with_parameters(FunctionBuilder::new("__construct", constructor), parameters);
    let debug_info = FunctionBuilder::new("__debugInfo", inspect::debug_info).returns(DataType::Array, false, false);
    let mut builder = ClassBuilder::new(name)
        .flags(ClassFlags::Final | ClassFlags::NotSerializable | ClassFlags::NoDynamicProperties)
        .implements((ce::countable, "\\Countable"))
        .implements(buffer)
        .method(constructor, MethodFlags::Public)
        .method(debug_info, MethodFlags::Public);
    for method in BUFFER_METHODS {
        let function = FunctionBuilder::new(method.name, method.handler);
        builder = builder.method(method.describe(function), MethodFlags::Public);
    }
    let class = register_mut(builder)?;
    class.__bindgen_anon_2.create_object = Some(object::create);
    #[cfg(php82)]
    classes::mark_first_parameter_sensitive(class);
    Ok(())
}

type Handler = extern "C" fn(&mut ext_php_rs::zend::ExecuteData, &mut ext_php_rs::types::Zval);

/// A parameter: its name, its type, whether it takes null, and its default.
struct Parameter {
    name: &'static str,
    kind: DataType,
    nullable: bool,
    default: Option<&'static str>,
}

const fn required(name: &'static str, kind: DataType) -> Parameter {
    Parameter {
        name,
        kind,
        nullable: false,
        default: None,
    }
}

const fn optional(name: &'static str, kind: DataType) -> Parameter {
    Parameter {
        name,
        kind,
        nullable: true,
        default: Some("null"),
    }
}

const fn tables() -> Parameter {
    Parameter {
        name: "tables",
        kind: DataType::Array,
        nullable: false,
        default: Some("[]"),
    }
}

const WRITE_BUFFER_PARAMETERS: [Parameter; 18] = [
    optional("dsn", DataType::String),
    optional("batchSize", DataType::Long),
    optional("flushIntervalMs", DataType::Long),
    optional("maxRetries", DataType::Long),
    optional("background", DataType::Bool),
    optional("orderTable", DataType::String),
    optional("tradeTable", DataType::String),
    tables(),
    optional("maxPendingRows", DataType::Long),
    optional("maxPendingBytes", DataType::Long),
    optional("overflow", DataType::String),
    optional("overflowTimeoutMs", DataType::Long),
    optional("shutdownTimeoutMs", DataType::Long),
    optional("lanes", DataType::Long),
    optional("routeBy", DataType::String),
    optional("persistent", DataType::String),
    optional("deadLetterFile", DataType::String),
    optional("ledger", DataType::String),
];

const SYNC_WRITE_BUFFER_PARAMETERS: [Parameter; 6] = [
    optional("dsn", DataType::String),
    optional("maxRetries", DataType::Long),
    optional("orderTable", DataType::String),
    optional("tradeTable", DataType::String),
    tables(),
    optional("ledger", DataType::String),
];

fn with_parameters<'a>(mut function: FunctionBuilder<'a>, parameters: &[Parameter]) -> FunctionBuilder<'a> {
    for parameter in parameters {
        let mut argument = Arg::new(parameter.name, parameter.kind);
        // `mixed` takes null by itself, and says so by being nothing else.
        if parameter.nullable && parameter.kind != DataType::Mixed {
            argument = argument.allow_null();
        }
        if let Some(default) = parameter.default {
            argument = argument.default(default);
        }
        function = function.arg(argument);
    }
    let needed = parameters
        .iter()
        .take_while(|parameter| parameter.default.is_none())
        .count();
    function.required_args(needed)
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

const BUFFER_METHODS: [BufferMethod; 10] = [
    method(
        "add",
        add::add,
        &[required("order", DataType::Mixed), optional("trade", DataType::Mixed)],
        DataType::Void,
    ),
    method(
        "put",
        add::put,
        &[required("table", DataType::String), required("row", DataType::Mixed)],
        DataType::Void,
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
    method("isFull", inspect::is_full, &[], DataType::Bool),
    method("getMetrics", inspect::get_metrics, &[], DataType::Array),
    method("count", inspect::count, &[], DataType::Long),
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

fn buffer_interface() -> ClassBuilder {
    let mut builder = ClassBuilder::new("WriteBuffer\\Buffer")
        .flags(ClassFlags::Interface)
        .implements((ce::countable, "\\Countable"));
    for method in &BUFFER_METHODS {
        let function = FunctionBuilder::new_abstract(method.name);
        builder = builder.method(method.describe(function), MethodFlags::Public | MethodFlags::Abstract);
    }
    builder
}

fn exception_class(name: &str, parent: ClassEntryInfo) -> ClassBuilder {
    ClassBuilder::new(name)
        .flags(ClassFlags::Final)
        .extends(parent)
        .implements((|| interfaces().exception, "\\WriteBuffer\\Exception"))
}

fn flush_exception(parent: ClassEntryInfo) -> ClassBuilder {
    let get_failures =
        FunctionBuilder::new("getFailures", inspect::get_failures).returns(DataType::Array, false, false);
    exception_class("WriteBuffer\\FlushException", parent)
        .method(get_failures, MethodFlags::Public)
        .property(ClassProperty {
            name: "failures".to_owned(),
            flags: PropertyFlags::Private,
            default: None,
            docs: &[],
            ty: None,
            nullable: true,
            readonly: false,
            default_stub: None,
        })
}

fn memory_sink_class() -> ClassBuilder {
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
        .flags(ClassFlags::Final)
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
