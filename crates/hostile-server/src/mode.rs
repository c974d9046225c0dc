//! What the server does, and at which phase: a line of words.
//!
//! | words | what it does |
//! |---|---|
//! | `honest` | nothing bad: a client writes its row |
//! | `count N` | a result of N columns, of which none comes |
//! | `rows BYTES` | rows of this size without an end |
//! | `results` | one result after the other without an end |
//! | `flood BYTES` | one packet of this length, in parts |
//! | `slow MS` | an error, one byte each MS milliseconds |
//! | `silent` | nothing more |
//! | `close` | the end of the connection |
//! | `raw HEX` | a packet with this payload |
//! | `claim N` | the header of a packet of N bytes, and one byte of it |
//! | `sequence N` | an OK with this number in the sequence |
//! | `oks N` | N OKs instead of one |
//! | `refuse CODE BYTES` | an error with a message of this size, with control characters in it |
//! | `infile` | the request for a file of the client |
//! | `switch NAME` | at the login: another plugin is to be used; `endless`: again and again |
//! | `key BITS` | at the login: an RSA key of so many bits; 0: one that is broken |
//! | `damage SEED` | answers cut off, extended, repeated, in another order, with other bytes |
//!
//! Behind the words stands `at PHASE`, one of [`NAMES`](crate::phase::NAMES). `damage` strikes in
//! all phases, and refuses COMMIT. `shift` has no phase: an OK too many at the begin, and COMMIT is
//! refused. `forge PORT` is another program: see [`crate::forge`].

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::phase::Phase;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Honest,
    Count(u64),
    Rows(usize),
    Results,
    Flood(u64),
    Slow(Duration),
    Silent,
    Close,
    Raw(Vec<u8>),
    Claim(u32),
    Sequence(u8),
    Oks(usize),
    Refuse(u16, usize),
    Infile,
    Switch(String),
    Key(usize),
    Damage(u64),
    Shift,
}

/// What the server does, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mode {
    /// What.
    pub act: Act,
    /// When. `None`: whenever the act says.
    pub phase: Option<Phase>,
}

impl Mode {
    /// Reads a mode from its words.
    ///
    /// # Errors
    ///
    /// Words that are none.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let (words, phase) = match words {
            [before @ .., "at", name] => {
                let phase = Phase::parse(name).with_context(|| format!("there is no phase {name}"))?;
                (before, Some(phase))
            }
            words => (words, None),
        };
        let act = match words {
            ["honest"] => Act::Honest,
            ["count", number] => Act::Count(number.parse()?),
            ["rows", bytes] => Act::Rows(bytes.parse()?),
            ["results"] => Act::Results,
            ["flood", bytes] => Act::Flood(bytes.parse()?),
            ["slow", ms] => Act::Slow(Duration::from_millis(ms.parse()?)),
            ["silent"] => Act::Silent,
            ["close"] => Act::Close,
            ["raw"] => Act::Raw(Vec::new()),
            ["raw", hex] => Act::Raw(bytes_of(hex)?),
            ["claim", bytes] => Act::Claim(bytes.parse()?),
            ["sequence", number] => Act::Sequence(number.parse()?),
            ["oks", number] => Act::Oks(number.parse()?),
            ["refuse", code, bytes] => Act::Refuse(code.parse()?, bytes.parse()?),
            ["infile"] => Act::Infile,
            ["switch", name] => Act::Switch((*name).to_owned()),
            ["key", bits] => Act::Key(bits.parse()?),
            ["damage", seed] => Act::Damage(seed.parse()?),
            ["shift"] => Act::Shift,
            _ => bail!("there is no mode {words:?}"),
        };
        Ok(Self { act, phase })
    }

    /// Whether the server is hostile in this phase.
    pub fn strikes(&self, phase: Phase) -> bool {
        match &self.act {
            Act::Honest => false,
            Act::Damage(_) => self.phase.is_none_or(|own| own == phase),
            Act::Shift => matches!(phase, Phase::Begin | Phase::Commit),
            Act::Switch(_) | Act::Key(_) => phase == Phase::Login,
            _ => self.phase == Some(phase),
        }
    }
}

fn bytes_of(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_from_words() {
        let mode = Mode::parse(&["raw", "fe00", "at", "commit"]).expect("a mode");
        assert_eq!(
            (mode.act.clone(), mode.phase),
            (Act::Raw(vec![0xfe, 0]), Some(Phase::Commit))
        );
        assert!(mode.strikes(Phase::Commit) && !mode.strikes(Phase::Begin));
        for words in [
            &["raw", "f"][..],
            &["honest", "at", "noon"],
            &["count"],
            &[],
            &["slow", "x"],
        ] {
            assert_eq!(Mode::parse(words).is_err(), words != ["raw", "f"], "{words:?}");
        }
    }
}
