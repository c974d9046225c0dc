//! The parameters of methods, as Reflection shows them.

use ext_php_rs::args::Arg;
use ext_php_rs::builders::FunctionBuilder;
use ext_php_rs::flags::DataType;

/// A parameter: its name, its type, whether it takes null, and its default.
pub struct Parameter {
    pub name: &'static str,
    pub kind: DataType,
    pub nullable: bool,
    pub default: Option<&'static str>,
}

/// One that must be given.
pub const fn required(name: &'static str, kind: DataType) -> Parameter {
    Parameter {
        name,
        kind,
        nullable: false,
        default: None,
    }
}

/// One that may be left out, or null.
pub const fn optional(name: &'static str, kind: DataType) -> Parameter {
    Parameter {
        name,
        kind,
        nullable: true,
        default: Some("null"),
    }
}

/// Adds parameters to a method.
pub fn with_parameters<'a>(mut function: FunctionBuilder<'a>, parameters: &[Parameter]) -> FunctionBuilder<'a> {
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
