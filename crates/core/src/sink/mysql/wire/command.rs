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
    let nulls = output.len();
    let has_types = nulls.saturating_add(parameters.len().div_ceil(8));
    let types = has_types.saturating_add(1);
    output.resize(types.saturating_add(parameters.len().saturating_mul(2)), 0);
    set(output, has_types, |mark| *mark = 1);
    for (place, (at, parameter)) in (types..).step_by(2).zip(parameters.iter().enumerate()) {
        let kind = match parameter {
            Parameter::Null => {
                set(output, nulls.saturating_add(at / 8), |eight| *eight |= 1 << (at % 8));
                TYPE_NULL
            }
            Parameter::Int(number) => {
                output.extend_from_slice(&number.to_le_bytes());
                TYPE_LONGLONG
            }
            Parameter::Text(text) => {
                push_length(output, text.len());
                output.extend_from_slice(text);
                TYPE_VAR_STRING
            }
        };
        set(output, place, |place| *place = kind);
    }
}

/// Changes a byte that is there.
#[inline]
fn set(output: &mut [u8], at: usize, change: impl FnOnce(&mut u8)) {
    if let Some(byte) = output.get_mut(at) {
        change(byte);
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
