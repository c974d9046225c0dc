//! The commands, encoded from the memory that holds their values.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>,
//! <https://mariadb.com/kb/en/com_stmt_execute/>.

use crate::sink::mysql::parameters::Parameter;
use crate::sink::mysql::wire::fields::push_length;

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_CLOSE: u8 = 0x19;
const TYPE_NULL: u8 = 0x06;
const TYPE_LONGLONG: u8 = 0x08;
const TYPE_VAR_STRING: u8 = 0xfd;

/// A command.
#[derive(Debug, Clone, Copy)]
pub enum Command<'c> {
    /// A statement's text.
    Query(&'c str),
    /// The same, of any bytes.
    Text(&'c [u8]),
    /// A statement's text, to be executed later.
    Prepare(&'c str),
    /// A prepared statement, by the server's number, and its parameters.
    Execute(u32, &'c [Parameter<'c>]),
    /// A prepared statement that is not needed any more. Has no answer.
    Close(u32),
    /// The end. Has no answer.
    Quit,
}

impl Command<'_> {
    /// Whether the server answers.
    pub fn has_answer(&self) -> bool {
        !matches!(self, Self::Close(_) | Self::Quit)
    }

    /// Appends the command.
    pub fn encode(&self, output: &mut Vec<u8>) {
        match self {
            Self::Query(sql) => {
                output.push(COM_QUERY);
                output.extend_from_slice(sql.as_bytes());
            }
            Self::Text(sql) => {
                output.push(COM_QUERY);
                output.extend_from_slice(sql);
            }
            Self::Prepare(sql) => {
                output.push(COM_STMT_PREPARE);
                output.extend_from_slice(sql.as_bytes());
            }
            Self::Execute(statement, parameters) => {
                output.push(COM_STMT_EXECUTE);
                encode_execute(output, *statement, parameters);
            }
            Self::Close(statement) => {
                output.push(COM_STMT_CLOSE);
                output.extend_from_slice(&statement.to_le_bytes());
            }
            Self::Quit => output.push(COM_QUIT),
        }
    }
}

/// The body of `COM_STMT_EXECUTE`, with the types of the parameters. The server remembers types,
/// but the rows may mix them.
fn encode_execute(output: &mut Vec<u8>, statement: u32, parameters: &[Parameter<'_>]) {
    output.extend_from_slice(&statement.to_le_bytes());
    // No cursor, one execution.
    output.push(0);
    output.extend_from_slice(&1_u32.to_le_bytes());
    if parameters.is_empty() {
        return;
    }
    // At once: each append looks whether there is room.
    output.reserve(parameters.len().div_ceil(8) + 1 + parameters.iter().map(encoded_bytes).sum::<usize>());
    for eight in parameters.chunks(8) {
        let nulls = (0_u8..8)
            .zip(eight)
            .map(|(at, one)| u8::from(matches!(one, Parameter::Null)) << at);
        output.push(nulls.fold(0, |all, one| all | one));
    }
    output.push(1);
    let types = output.len();
    output.resize(types + 2 * parameters.len(), 0);
    let types = output.get_mut(types..).unwrap_or_default().chunks_exact_mut(2);
    for (kind, parameter) in types.zip(parameters) {
        kind.copy_from_slice(&[type_of(parameter), 0]);
    }
    for parameter in parameters {
        match parameter {
            Parameter::Null => {}
            Parameter::Int(number) => output.extend_from_slice(&number.to_le_bytes()),
            Parameter::Text(text) => {
                push_length(output, text.len());
                output.extend_from_slice(text);
            }
        }
    }
}

fn type_of(parameter: &Parameter<'_>) -> u8 {
    match parameter {
        Parameter::Null => TYPE_NULL,
        Parameter::Int(_) => TYPE_LONGLONG,
        Parameter::Text(_) => TYPE_VAR_STRING,
    }
}

/// The bytes of a parameter and of its type, at most.
fn encoded_bytes(parameter: &Parameter<'_>) -> usize {
    match parameter {
        Parameter::Null => 2,
        Parameter::Int(_) => 2 + 8,
        Parameter::Text(text) => 2 + 9 + text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_common::packets::ComStmtExecuteRequestBuilder;
    use mysql_common::proto::MySerialize as _;
    use mysql_common::value::Value as SqlValue;
    use proptest::prelude::*;
    use std::borrow::Cow;

    fn parameter() -> impl Strategy<Value = Parameter<'static>> {
        prop_oneof![
            Just(Parameter::Null),
            any::<i64>().prop_map(Parameter::Int),
            prop::collection::vec(any::<u8>(), 0..400).prop_map(|bytes| Parameter::Text(Cow::Owned(bytes))),
        ]
    }

    proptest! {
        /// The client library's own encoding is the reference.
        #[test]
        fn an_execution_is_encoded_as_the_library_does(parameters in prop::collection::vec(parameter(), 0..40), id: u32) {
            let values: Vec<SqlValue> = parameters.iter().cloned().map(SqlValue::from).collect();
            let (request, _) = ComStmtExecuteRequestBuilder::new(id).build(&values);
            let mut expected = Vec::new();
            request.serialize(&mut expected);
            let mut encoded = Vec::new();
            Command::Execute(id, &parameters).encode(&mut encoded);
            prop_assert_eq!(encoded, expected);
        }
    }
}
