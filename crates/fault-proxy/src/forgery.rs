//! Answers that the server did not give: an ERR packet, with one of some codes, in the place of its
//! own. Pure; the [relay](crate::relay) does it.
//!
//! ```text
//! answer=CODE,CODE,… [when=instead|after] [then=keep|cut]
//! ```
//!
//! `instead` of being carried out, or `after` it, the command is answered by an error; then the
//! connection is kept or cut. What is left out is chosen at random each time, and so is the code.
//!
//! The report says how: `code=N when=instead|after then=keep|cut on=query|prepare|execute TEXT`.
//!
//! A command that is not to be carried out reaches the server as a ping, whose answer keeps the
//! order of all answers. A command whose answer is more than one packet changes nothing, so it is
//! never carried out.

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;

use crate::command::{Command, Way};

/// The beginnings of statements that the server answers by one packet.
const ANSWERED_AT_ONCE: [&[u8]; 11] = [
    b"BEGIN",
    b"COMMIT",
    b"CREATE",
    b"DELETE",
    b"INSERT",
    b"KILL",
    b"REPLACE",
    b"ROLLBACK",
    b"SET",
    b"START",
    b"UPDATE",
];

/// A packet with `COM_PING`, which the server answers by OK.
pub const PING: &[u8] = b"\x01\x00\x00\x00\x0e";

/// One answer that is forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgery {
    /// The error's code.
    pub code: u16,
    /// The server carries the command out.
    pub is_carried_out: bool,
    /// The connection ends behind the answer.
    pub is_cut: bool,
}

impl Forgery {
    /// The packet, with its number in the sequence.
    pub fn packet(self, sequence: u8) -> Vec<u8> {
        let code = self.code.to_le_bytes();
        let payload = [b"\xff", &code[..], b"#HY000", b"an answer of the proxy"].concat();
        let length = u32::try_from(payload.len()).unwrap_or_default().to_le_bytes();
        [&length[..3], &[sequence], &payload].concat()
    }

    /// What is reported of it.
    pub fn report(self, command: &Command) -> String {
        let way = match command.way {
            Way::Query => "query",
            Way::Prepare => "prepare",
            Way::Execute => "execute",
            Way::Other => "other",
        };
        let word = |byte: u8| if byte.is_ascii_graphic() { char::from(byte) } else { ' ' };
        let text: String = command.text.iter().take(40).copied().map(word).collect();
        format!(
            " code={} when={} then={} on={way} {}",
            self.code,
            if self.is_carried_out { "after" } else { "instead" },
            if self.is_cut { "cut" } else { "keep" },
            text.trim_end()
        )
    }
}

/// What is forged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forger {
    codes: Vec<u16>,
    is_carried_out: Option<bool>,
    is_cut: Option<bool>,
    random: Rng,
}

impl Forger {
    /// Reads the codes, and takes those settings that are its own out of the others.
    ///
    /// # Errors
    ///
    /// A code or a setting that is none.
    pub fn parse(codes: &str, settings: &mut Vec<(&str, &str)>, random: Rng) -> Result<Self> {
        let codes = codes
            .split(',')
            .map(|code| code.parse().ok().filter(|code| *code > 0))
            .collect::<Option<Vec<u16>>>()
            .with_context(|| format!("not codes: {codes}"))?;
        let mut forger = Self {
            codes,
            is_carried_out: None,
            is_cut: None,
            random,
        };
        let mut others = Vec::new();
        for (setting, value) in settings.drain(..) {
            match (setting, value) {
                ("when", "instead") => forger.is_carried_out = Some(false),
                ("when", "after") => forger.is_carried_out = Some(true),
                ("then", "keep") => forger.is_cut = Some(false),
                ("then", "cut") => forger.is_cut = Some(true),
                ("when" | "then", _) => bail!("no such setting: {setting}={value}"),
                other => others.push(other),
            }
        }
        *settings = others;
        Ok(forger)
    }

    /// The next answer, to this command. `None`: it has no answer.
    pub fn forge(&mut self, command: &Command) -> Option<Forgery> {
        if command.way == Way::Other {
            return None;
        }
        let code = *self.random.choice(&self.codes)?;
        let is_carried_out = self.is_carried_out.unwrap_or_else(|| self.random.bool());
        let is_cut = self.is_cut.unwrap_or_else(|| self.random.bool());
        let is_answered_at_once = command.way != Way::Prepare
            && ANSWERED_AT_ONCE.iter().any(|beginning| {
                let text = command.text.get(..beginning.len());
                text.is_some_and(|text| text.eq_ignore_ascii_case(beginning))
            });
        Some(Forgery {
            code,
            is_carried_out: is_carried_out && is_answered_at_once,
            is_cut,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn command(way: Way, text: &str) -> Command {
        Command {
            way,
            text: text.as_bytes().to_vec(),
        }
    }

    fn forger(codes: &str, settings: &[(&'static str, &'static str)]) -> Forger {
        let mut settings = settings.to_vec();
        let forger = Forger::parse(codes, &mut settings, Rng::with_seed(1)).unwrap();
        assert_eq!(settings, [], "all are its own");
        forger
    }

    #[test]
    fn what_is_left_out_is_chosen_at_random() {
        let mut random = forger("1062,1105,1213", &[]);
        let commit = command(Way::Query, "commit");
        let mut kinds = BTreeSet::new();
        for _ in 0..200 {
            let forged = random.forge(&commit).unwrap();
            kinds.insert((forged.code, forged.is_carried_out, forged.is_cut));
        }
        assert_eq!(kinds.len(), 3 * 2 * 2, "{kinds:?}");
        let mut chosen = forger("1105", &[("when", "after"), ("then", "keep")]);
        for _ in 0..20 {
            let expected = Forgery {
                code: 1105,
                is_carried_out: true,
                is_cut: false,
            };
            assert_eq!(chosen.forge(&commit), Some(expected));
        }
    }

    #[test]
    fn only_what_is_answered_by_one_packet_is_carried_out() {
        let mut after = forger("1105", &[("when", "after")]);
        for (way, text, expected) in [
            (Way::Query, "SET NAMES 'utf8mb4'", Some(true)),
            (Way::Query, "Select 1", Some(false)),
            (Way::Query, "COM", Some(false)),
            (Way::Prepare, "INSERT INTO t", Some(false)),
            (Way::Execute, "INSERT INTO t", Some(true)),
            (Way::Execute, "", Some(false)),
            (Way::Other, "", None),
        ] {
            let forged = after.forge(&command(way, text)).map(|forged| forged.is_carried_out);
            assert_eq!(forged, expected, "{way:?} {text}");
        }
    }

    #[test]
    fn the_packet_is_an_error() {
        let forgery = Forgery {
            code: 1062,
            is_carried_out: true,
            is_cut: false,
        };
        let packet = forgery.packet(3);
        assert_eq!(&packet[..4], [u8::try_from(packet.len()).unwrap() - 4, 0, 0, 3]);
        assert_eq!(&packet[4..], b"\xff\x26\x04#HY000an answer of the proxy");
        assert_eq!(
            forgery.report(&command(Way::Query, "INSERT\nINTO `t`")),
            " code=1062 when=after then=keep on=query INSERT INTO `t`"
        );
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for (codes, settings) in [
            ("", &[][..]),
            ("1062,", &[]),
            ("0", &[]),
            ("65536", &[]),
            ("1062", &[("when", "never")]),
            ("1062", &[("then", "")]),
        ] {
            let parsed = Forger::parse(codes, &mut settings.to_vec(), Rng::with_seed(1));
            assert!(parsed.is_err(), "{codes} {settings:?}");
        }
    }
}
