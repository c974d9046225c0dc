//! The exception classes.

use std::sync::OnceLock;

use anyhow::Result;
use ext_php_rs::builders::{ClassBuilder, ClassProperty, FunctionBuilder};
use ext_php_rs::class::ClassEntryInfo;
use ext_php_rs::flags::{ClassFlags, DataType, MethodFlags, PropertyFlags};
use ext_php_rs::zend::{ClassEntry, ce};

use crate::classes::interfaces::Interface;
use crate::classes::parameters::{Parameter, with_parameters};
use crate::classes::registration::{Handler, register};
use crate::exceptions::{
    ExceptionClasses, FAILURES, PROCESSED_ROWS, REASONS, SKIPPED_ROWS, TAKEN_GROUPS, TAKEN_ROWS, Waiting,
    construct_flush_exception, construct_incomplete_exception, get_failures, get_processed_rows, get_reasons,
    get_skipped_rows, get_taken_groups, get_taken_rows,
};
use crate::zend::classes::{self, Class};

// The classes that have others below them.
static FLUSH: OnceLock<Class> = OnceLock::new();
static BLOCKED: OnceLock<Class> = OnceLock::new();
static CONNECTION: OnceLock<Class> = OnceLock::new();
static TIMEOUT: OnceLock<Class> = OnceLock::new();

/// Registers the interfaces: the one of all exceptions, and those that mark some of them.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_interfaces() -> Result<()> {
    let throwable = (ce::throwable as fn() -> &'static ClassEntry, "\\Throwable");
    Interface::Exception.set(register(interface("WriteBuffer\\Exception", throwable))?);
    let exception = Interface::Exception.info();
    Interface::NotTaken.set(register(interface("WriteBuffer\\NotTaken", exception))?);
    Interface::Retryable.set(register(interface("WriteBuffer\\Retryable", exception))?);
    Ok(())
}

/// Registers the classes. Their interfaces are registered.
///
/// # Errors
///
/// A name that another extension took.
pub fn register_classes() -> Result<()> {
    use Interface::{NotTaken, Retryable};
    let runtime = spl(classes::runtime_exception, "\\RuntimeException");
    let argument = spl(classes::invalid_argument_exception, "\\InvalidArgumentException");
    let overflow = spl(classes::overflow_exception, "\\OverflowException");
    let length = spl(classes::length_exception, "\\LengthException");
    let logic = spl(classes::logic_exception, "\\LogicException");
    let class = |name: &str, parent, interfaces: &[Interface]| {
        let builder = exception(name, parent, interfaces).flags(ClassFlags::Final);
        register(builder).map(|class| Class(class))
    };
    let open = |builder: ClassBuilder, known: &OnceLock<Class>| {
        let class = Class(register(builder)?);
        known.get_or_init(|| class);
        anyhow::Ok(class)
    };
    let waiting = |name: &str, parent, known: &OnceLock<Class>, itself: ClassEntryInfo| {
        let buffered = exception(&format!("WriteBuffer\\{name}"), parent, &[Retryable]);
        let buffered = open(buffered, known)?;
        let dropped = class(&format!("WriteBuffer\\Synchronous\\{name}"), itself, &[NotTaken])?;
        anyhow::Ok(Waiting { buffered, dropped })
    };
    let flush = open(flush_exception(runtime), &FLUSH)?;
    let of_flush: ClassEntryInfo = (|| known(&FLUSH), "\\WriteBuffer\\FlushException");
    let of_blocked: ClassEntryInfo = (|| known(&BLOCKED), "\\WriteBuffer\\BlockedException");
    let of_connection: ClassEntryInfo = (|| known(&CONNECTION), "\\WriteBuffer\\ConnectionException");
    let of_timeout: ClassEntryInfo = (|| known(&TIMEOUT), "\\WriteBuffer\\TimeoutException");
    ExceptionClasses {
        config: class("WriteBuffer\\ConfigException", argument, &[NotTaken])?,
        full: class("WriteBuffer\\FullException", overflow, &[NotTaken, Retryable])?,
        too_large: class("WriteBuffer\\TooLargeException", length, &[NotTaken])?,
        closed: class("WriteBuffer\\ClosedException", logic, &[NotTaken])?,
        incomplete: Class(register(incomplete_exception(runtime))?),
        flush,
        refused: class("WriteBuffer\\RefusedException", of_flush, &[])?,
        blocked: waiting("BlockedException", of_flush, &BLOCKED, of_blocked)?,
        connection: waiting("ConnectionException", runtime, &CONNECTION, of_connection)?,
        timeout: waiting("TimeoutException", runtime, &TIMEOUT, of_timeout)?,
    }
    .set();
    Ok(())
}

fn spl(class: fn() -> &'static ClassEntry, name: &'static str) -> ClassEntryInfo {
    (class, name)
}

#[expect(clippy::expect_used, reason = "the class is registered before those below it")]
fn known(class: &OnceLock<Class>) -> &'static ClassEntry {
    class.get().expect("the class is registered").0
}

fn interface(name: &str, parent: ClassEntryInfo) -> ClassBuilder {
    ClassBuilder::new(name).flags(ClassFlags::Interface).implements(parent)
}

/// An exception's class. Each interface of ours implies that of all exceptions.
fn exception(name: &str, parent: ClassEntryInfo, interfaces: &[Interface]) -> ClassBuilder {
    let class = ClassBuilder::new(name).extends(parent);
    interfaces
        .iter()
        .fold(class, |class, interface| class.implements(interface.info()))
}

/// The parameters of a constructor: those of `Exception`'s, and more.
fn parameters<const N: usize>(own: [Parameter; N]) -> Vec<Parameter> {
    let parents = [
        defaulting("message", DataType::String, "''"),
        defaulting("code", DataType::Long, "0"),
        Parameter {
            nullable: true,
            ..defaulting("previous", DataType::object("Throwable"), "null")
        },
    ];
    parents.into_iter().chain(own).collect()
}

const fn defaulting(name: &'static str, kind: DataType, default: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        nullable: false,
        default: Some(default),
    }
}

fn private_property(name: &str) -> ClassProperty {
    ClassProperty {
        name: name.to_owned(),
        flags: PropertyFlags::Private,
        default: None,
        docs: &[],
        ty: None,
        nullable: true,
        readonly: false,
        default_stub: None,
    }
}

fn incomplete_exception(parent: ClassEntryInfo) -> ClassBuilder {
    let parameters = parameters([
        defaulting("takenRows", DataType::Long, "0"),
        defaulting("skippedRows", DataType::Long, "0"),
        defaulting("reasons", DataType::Array, "[]"),
        defaulting("takenGroups", DataType::Long, "0"),
        defaulting("processedRows", DataType::Long, "0"),
    ]);
    let constructor = FunctionBuilder::new("__construct", construct_incomplete_exception);
    let getter =
        |name: &str, handler: Handler, returns| FunctionBuilder::new(name, handler).returns(returns, false, false);
    exception("WriteBuffer\\IncompleteException", parent, &[Interface::Exception])
        .flags(ClassFlags::Final)
        .method(with_parameters(constructor, &parameters), MethodFlags::Public)
        .method(
            getter("getTakenRows", get_taken_rows, DataType::Long),
            MethodFlags::Public,
        )
        .method(
            getter("getTakenGroups", get_taken_groups, DataType::Long),
            MethodFlags::Public,
        )
        .method(
            getter("getSkippedRows", get_skipped_rows, DataType::Long),
            MethodFlags::Public,
        )
        .method(
            getter("getProcessedRows", get_processed_rows, DataType::Long),
            MethodFlags::Public,
        )
        .method(getter("getReasons", get_reasons, DataType::Array), MethodFlags::Public)
        .property(private_property(TAKEN_ROWS))
        .property(private_property(TAKEN_GROUPS))
        .property(private_property(SKIPPED_ROWS))
        .property(private_property(REASONS))
        .property(private_property(PROCESSED_ROWS))
}

fn flush_exception(parent: ClassEntryInfo) -> ClassBuilder {
    let parameters = parameters([defaulting("failures", DataType::Array, "[]")]);
    let constructor = FunctionBuilder::new("__construct", construct_flush_exception);
    let get_failures = FunctionBuilder::new("getFailures", get_failures).returns(DataType::Array, false, false);
    exception("WriteBuffer\\FlushException", parent, &[Interface::Exception])
        .method(with_parameters(constructor, &parameters), MethodFlags::Public)
        .method(get_failures, MethodFlags::Public)
        .property(private_property(FAILURES))
}
