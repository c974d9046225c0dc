//! What a client says: the commands of one connection, and the texts of its prepared statements.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>
//!
//! Invariant: the client may send several commands ahead, if each of their answers is one packet. A
//! command whose answer has several packets must be the last one without an answer.
//!
//! Bounds: 256 bytes of the text of each prepared statement that is not closed
//! ([`TEXT_BYTES_MAX`]).

use std::collections::{HashMap, VecDeque};

use crate::command::{Command, Way};
use crate::forgery::Forgery;

/// The bytes of a statement's text that are kept, at most, for its execution.
const TEXT_BYTES_MAX: usize = 256;

const COM_QUIT: u8 = 0x01;
const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_SEND_LONG_DATA: u8 = 0x18;
const COM_STMT_CLOSE: u8 = 0x19;
/// MariaDB: a prepared statement for many rows.
const COM_STMT_BULK_EXECUTE: u8 = 0xfa;

/// The first byte of an answer that reports an error.
const ERR: u8 = 0xff;

/// What the server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Anything but an error.
    Ok,
    /// An error.
    Error,
}

impl Answer {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// An answer to be forged, and what to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forged {
    /// The fault's name.
    pub name: String,
    /// The command.
    pub command: Command,
    /// The answer.
    pub forgery: Forgery,
}

/// A connection's prepared statements, and the commands that wait for an answer: a client may send
/// several before it reads.
#[derive(Debug, Default)]
pub struct Session {
    statements: HashMap<u32, Vec<u8>>,
    unanswered: VecDeque<(Command, Option<Forged>)>,
}

impl Session {
    /// Notes a command, by the beginning of its payload.
    pub fn command(&mut self, payload: &[u8]) -> Command {
        let (code, body) = payload.split_first().map_or((0, payload), |(code, body)| (*code, body));
        let (way, text) = match code {
            COM_QUERY => (Way::Query, beginning(body)),
            COM_STMT_PREPARE => (Way::Prepare, beginning(body)),
            COM_STMT_EXECUTE | COM_STMT_BULK_EXECUTE => {
                let text = number(body).and_then(|id| self.statements.get(&id));
                (Way::Execute, text.cloned().unwrap_or_default())
            }
            _ => (Way::Other, Vec::new()),
        };
        if code == COM_STMT_CLOSE
            && let Some(id) = number(body)
        {
            self.statements.remove(&id);
        }
        let command = Command { way, text };
        if !matches!(code, COM_QUIT | COM_STMT_CLOSE | COM_STMT_SEND_LONG_DATA) {
            self.unanswered.push_back((command.clone(), None));
        }
        command
    }

    /// The answer to the last command will be forged.
    pub fn forge(&mut self, name: &str, forgery: Forgery) {
        if let Some((command, forged)) = self.unanswered.back_mut() {
            *forged = Some(Forged {
                name: name.to_owned(),
                command: command.clone(),
                forgery,
            });
        }
    }

    /// The answer that is to stand in the place of the next packet of the server.
    pub fn forged(&self) -> Option<&Forged> {
        self.unanswered.front().and_then(|(_, forged)| forged.as_ref())
    }

    /// How many answers there are to come.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Notes a packet of the server. Returns its answer, if it is the first packet of one. An
    /// answer of several packets must be the only one to come.
    pub fn answer(&mut self, payload: &[u8]) -> Option<Answer> {
        let (command, forged) = self.unanswered.pop_front()?;
        if payload.first() == Some(&ERR) {
            return Some(Answer::Error);
        }
        if command.way == Way::Prepare
            && forged.is_none()
            && let Some(id) = payload.get(1..).and_then(number)
        {
            self.statements.insert(id, command.text);
        }
        Some(Answer::Ok)
    }
}

fn beginning(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii_start();
    text[..text.len().min(TEXT_BYTES_MAX)].to_vec()
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK_OF_PREPARE_7: &[u8] = b"\x00\x07\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00";
    const EXECUTE_7: &[u8] = b"\x17\x07\x00\x00\x00\x00\x01\x00\x00\x00";

    fn said(way: Way, text: &str) -> Command {
        Command {
            way,
            text: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn queries_have_their_text() {
        let mut session = Session::default();
        assert_eq!(session.command(b"\x03 \n COMMIT"), said(Way::Query, "COMMIT"));
        assert_eq!(session.answer(b"\x00\x00\x00"), Some(Answer::Ok));
        assert_eq!(session.answer(b"\xff\x00\x00"), None, "nothing was asked");
        assert_eq!(session.command(b"\x0e"), said(Way::Other, ""));
        assert_eq!(session.answer(b"\xff\x48\x04"), Some(Answer::Error));
    }

    #[test]
    fn executions_have_the_text_that_was_prepared() {
        let mut session = Session::default();
        assert_eq!(
            session.command(b"\x16INSERT INTO t"),
            said(Way::Prepare, "INSERT INTO t")
        );
        assert_eq!(session.answer(OK_OF_PREPARE_7), Some(Answer::Ok));
        assert_eq!(session.answer(b"\x03def"), None, "a column of the same answer");
        assert_eq!(session.command(EXECUTE_7), said(Way::Execute, "INSERT INTO t"));
        assert_eq!(session.answer(b"\x00"), Some(Answer::Ok));
        assert_eq!(session.command(b"\xfa\x07\x00\x00\x00").way, Way::Execute);
        session.answer(b"\x00");
        session.command(b"\x19\x07\x00\x00\x00");
        assert_eq!(session.command(EXECUTE_7), said(Way::Execute, ""), "closed");
    }

    #[test]
    fn commands_that_are_sent_ahead_are_answered_in_their_order() {
        let mut session = Session::default();
        for payload in [b"\x03UPDATE".as_slice(), b"\x03INSERT"] {
            session.command(payload);
        }
        assert_eq!(session.unanswered(), 2);
        assert_eq!(session.answer(b"\xff"), Some(Answer::Error));
        assert_eq!(session.answer(b"\x00"), Some(Answer::Ok));
        assert_eq!(session.answer(b"\x00"), None);
    }

    #[test]
    fn a_forged_answer_takes_its_turn() {
        let forgery = Forgery {
            code: 1105,
            is_carried_out: false,
            is_cut: false,
        };
        let mut session = Session::default();
        session.command(b"\x03UPDATE");
        session.command(b"\x16INSERT INTO t");
        session.forge("f", forgery);
        assert_eq!(session.forged(), None, "the first answer is the server's");
        session.answer(b"\x00");
        let forged = session.forged().cloned().unwrap();
        assert_eq!((forged.name.as_str(), forged.command.way), ("f", Way::Prepare));
        // The answer to a ping has no number of a statement.
        assert_eq!(session.answer(OK_OF_PREPARE_7), Some(Answer::Ok));
        assert_eq!(session.forged(), None);
        assert_eq!(session.command(EXECUTE_7), said(Way::Execute, ""));
    }

    #[test]
    fn a_refused_statement_is_not_prepared() {
        let mut session = Session::default();
        session.command(b"\x16INSERT INTO t");
        assert_eq!(session.answer(b"\xff\x07\x00\x00\x00"), Some(Answer::Error));
        assert_eq!(session.command(EXECUTE_7), said(Way::Execute, ""));
    }

    #[test]
    fn some_commands_have_no_answer() {
        let mut session = Session::default();
        for payload in [&b"\x19\x07\x00\x00\x00"[..], b"\x18\x07\x00\x00\x00\x00\x00x", b"\x01"] {
            session.command(payload);
            assert_eq!(session.answer(b"\x00"), None, "{payload:?}");
        }
        assert_eq!(
            session.command(b""),
            said(Way::Other, ""),
            "an empty packet is no command that we know"
        );
    }
}
