//! The faults that are armed: what each one waits for, and what it does. Pure; the
//! [relay](crate::relay) does it.
//!
//! A fault is a line:
//!
//! ```text
//! arm NAME ACTION [nth=N | every=N | odds=N] [seed=N] on query|prepare|execute|statement TEXT
//! arm NAME ACTION [nth=N | every=N | odds=N] [seed=N] on command
//! arm NAME cut-at=N on client-stream|server-stream
//! ```
//!
//! It strikes at the next match, at the `nth`, or, until it is disarmed, at `every` Nth, or at one
//! of N at random (`odds`). A statement is a query or an execution, and TEXT is its beginning,
//! without regard to case. The streams' bytes are counted from the beginning of a connection; such
//! a fault strikes the first connection that comes to its byte.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;

use crate::command::{Command, Way};
use crate::forgery::{Forger, Forgery};

/// What a fault does to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `cut-before`: closes both sides; the packet does not reach the server.
    CutBefore,
    /// `cut-at=N`: N bytes of the packet reach the server, header counted, but never all of it.
    /// Then both sides are closed. On a stream N bytes of it pass.
    CutAt(usize),
    /// `cut-after`: passes the packet on and closes both sides at once.
    CutAfter,
    /// `cut-after-answer`: passes the packet on, waits for the answer and closes both sides. The
    /// answer does not reach the client.
    CutAfterAnswer,
    /// `hold=MS`: closes the client's side at once, and passes the packet on after that time. Its
    /// answer ends the server's side.
    Hold(Duration),
    /// `answer=CODE,…`: answers by an error; see [`crate::forgery`].
    Answer(Forgery),
}

/// What a fault does each time that it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// The same.
    Same(Action),
    /// An answer that is chosen anew.
    Answer(Forger),
}

/// A side of the connection, by what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the client sends.
    Client,
    /// What the server sends.
    Server,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trigger {
    /// Any command.
    Command,
    /// A text that came in one of these ways.
    Text(&'static [Way], Vec<u8>),
    Stream(Side),
}

impl Trigger {
    fn parse(text: &str) -> Result<Self> {
        let (kind, text) = text.split_once(' ').unwrap_or((text, ""));
        let ways: &[Way] = match kind {
            "command" => return Ok(Self::Command),
            "client-stream" => return Ok(Self::Stream(Side::Client)),
            "server-stream" => return Ok(Self::Stream(Side::Server)),
            "query" => &[Way::Query],
            "prepare" => &[Way::Prepare],
            "execute" => &[Way::Execute],
            "statement" => &[Way::Query, Way::Execute],
            _ => bail!("no such trigger: {kind}"),
        };
        if text.is_empty() {
            bail!("{kind} needs the beginning of a statement");
        }
        Ok(Self::Text(ways, text.as_bytes().to_vec()))
    }

    fn matches(&self, command: &Command) -> bool {
        match self {
            Self::Command => true,
            Self::Text(ways, text) => {
                let beginning = command.text.get(..text.len());
                ways.contains(&command.way) && beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(text))
            }
            Self::Stream(_) => false,
        }
    }
}

/// A fault that waits for its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    name: String,
    plan: Plan,
    trigger: Trigger,
    moment: Moment,
    seen: u64,
}

/// At which match a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Moment {
    /// At this one.
    Nth(u64),
    /// At every one of so many.
    Every(u64),
    /// At one of so many, at random.
    Odds(u64, Rng),
}

impl Fault {
    /// Reads what follows `arm`.
    ///
    /// # Errors
    ///
    /// A line that cannot be read as a fault.
    pub fn parse(line: &str) -> Result<Self> {
        let (settings, trigger) = line.split_once(" on ").context("no `on`")?;
        let mut words = settings.split_ascii_whitespace();
        let name = words.next().context("no name")?.to_owned();
        let action = words.next().context("no action")?;
        let trigger = Trigger::parse(trigger.trim())?;
        let mut settings = Vec::new();
        for word in words {
            settings.push(
                word.split_once('=')
                    .with_context(|| format!("no such setting: {word}"))?,
            );
        }
        let seed = settings.iter().find(|(setting, _)| *setting == "seed");
        let seed = seed.map_or(Ok(1), |(_, seed)| seed.parse()).context("not a seed")?;
        settings.retain(|(setting, _)| *setting != "seed");
        let mut random = Rng::with_seed(seed);
        let plan = match action.split_once('=') {
            Some(("answer", codes)) => Plan::Answer(Forger::parse(codes, &mut settings, random.fork())?),
            _ => Plan::Same(self::action(action)?),
        };
        let moment = moment(&settings, &random)?;
        if matches!(trigger, Trigger::Stream(_))
            && (!matches!(plan, Plan::Same(Action::CutAt(_))) || moment != Moment::Nth(1))
        {
            bail!("a stream can be cut at a byte, once");
        }
        Ok(Self {
            name,
            plan,
            trigger,
            moment,
            seen: 0,
        })
    }

    /// Counts a command. Whether the fault's moment is there.
    fn counts(&mut self, command: &Command) -> bool {
        if !self.trigger.matches(command) {
            return false;
        }
        self.seen += 1;
        match &mut self.moment {
            Moment::Nth(number) | Moment::Every(number) => self.seen >= *number,
            Moment::Odds(number, random) => random.u64(..*number) == 0,
        }
    }

    /// What it does to this command. `None`: nothing can be done to it.
    fn act(&mut self, command: &Command) -> Option<Action> {
        match &mut self.plan {
            Plan::Same(action) => Some(*action),
            Plan::Answer(forger) => forger.forge(command).map(Action::Answer),
        }
    }
}

fn moment(settings: &[(&str, &str)], random: &Rng) -> Result<Moment> {
    let mut moment = Moment::Nth(1);
    for (setting, value) in settings {
        let number = value.parse().ok().filter(|number| *number > 0);
        let number = number.with_context(|| format!("not a number from 1 on: {setting}={value}"))?;
        moment = match *setting {
            "nth" => Moment::Nth(number),
            "every" => Moment::Every(number),
            "odds" => Moment::Odds(number, random.clone()),
            _ => bail!("no such setting: {setting}"),
        };
    }
    Ok(moment)
}

fn action(word: &str) -> Result<Action> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let number = || value.parse::<u32>().with_context(|| format!("not a number: {word}"));
    Ok(match (name, value) {
        ("cut-before", "") => Action::CutBefore,
        ("cut-after", "") => Action::CutAfter,
        ("cut-after-answer", "") => Action::CutAfterAnswer,
        ("cut-at", _) => Action::CutAt(usize::try_from(number()?)?),
        ("hold", _) => Action::Hold(Duration::from_millis(u64::from(number()?))),
        _ => bail!("no such action: {word}"),
    })
}

/// A fault that strikes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// The fault's name.
    pub name: String,
    /// What to do.
    pub action: Action,
}

/// All faults that are armed, in the order in which they were armed.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Arms a fault. It replaces one of the same name.
    pub fn arm(&mut self, fault: Fault) {
        self.disarm(&fault.name);
        self.0.push(fault);
    }

    /// Disarms a fault. Returns whether there was one.
    pub fn disarm(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|fault| fault.name != name);
        self.0.len() < before
    }

    /// The first fault that strikes at this command. All of them count it.
    pub fn command(&mut self, command: &Command) -> Option<Strike> {
        let mut struck = None;
        for (position, fault) in self.0.iter_mut().enumerate() {
            if fault.counts(command) && struck.is_none() {
                struck = fault.act(command).map(|action| (position, action));
            }
        }
        struck.map(|(position, action)| self.strike(position, action))
    }

    /// The fault that strikes while a stream grows from `from` bytes to `to`, and how many bytes
    /// pass before.
    pub fn stream(&mut self, side: Side, from: u64, to: u64) -> Option<(Strike, usize)> {
        let found = self
            .0
            .iter()
            .enumerate()
            .find_map(|(position, fault)| match fault.plan {
                Plan::Same(Action::CutAt(byte)) if fault.trigger == Trigger::Stream(side) => {
                    let at = byte as u64;
                    let strike = (position, Action::CutAt(byte));
                    (from <= at && at < to).then(|| usize::try_from(at - from).map(|passed| (strike, passed)))
                }
                _ => None,
            });
        let ((position, action), passed) = found?.ok()?;
        Some((self.strike(position, action), passed))
    }

    fn strike(&mut self, position: usize, action: Action) -> Strike {
        let fault = &mut self.0[position];
        let name = fault.name.clone();
        fault.seen = 0;
        if matches!(fault.moment, Moment::Nth(_)) {
            self.0.remove(position);
        }
        Strike { name, action }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(lines: &[&str]) -> Faults {
        let mut faults = Faults::default();
        for line in lines {
            faults.arm(Fault::parse(line).unwrap());
        }
        faults
    }

    /// The numbers, from 1, of the commands at which something strikes.
    fn strikes(faults: &mut Faults, commands: &[(Way, &str)]) -> Vec<(usize, String)> {
        let commands = commands.iter().enumerate();
        commands
            .filter_map(|(number, (way, text))| {
                let command = Command {
                    way: *way,
                    text: text.as_bytes().to_vec(),
                };
                Some((number + 1, faults.command(&command)?.name))
            })
            .collect()
    }

    #[test]
    fn strikes_once_or_again_and_again() {
        let commands = [(Way::Query, "commit"); 7];
        for (setting, expected) in [("", &[1][..]), ("nth=3", &[3]), ("every=3", &[3, 6])] {
            let mut faults = faults(&[&format!("f cut-before {setting} on statement COMMIT")]);
            let numbers: Vec<usize> = strikes(&mut faults, &commands).iter().map(|strike| strike.0).collect();
            assert_eq!(numbers, expected, "{setting}");
        }
    }

    #[test]
    fn strikes_at_random() {
        let commands = [(Way::Query, "commit"); 300];
        let struck = |seed| {
            strikes(
                &mut faults(&[&format!("f cut-before odds=3 seed={seed} on command")]),
                &commands,
            )
        };
        assert!((60..140).contains(&struck(1).len()), "{}", struck(1).len());
        assert_eq!(struck(1), struck(1));
        assert_ne!(struck(1), struck(2));
    }

    #[test]
    fn an_answer_is_forged_where_there_is_one() {
        let commands = [(Way::Other, ""), (Way::Query, "SELECT 1"), (Way::Query, "COMMIT")];
        let mut faults = faults(&["f answer=1105 when=after then=cut every=1 on command"]);
        let actions = commands.map(|(way, text)| {
            let text = text.as_bytes().to_vec();
            faults.command(&Command { way, text }).map(|strike| strike.action)
        });
        let forged = |is_carried_out| {
            Some(Action::Answer(Forgery {
                code: 1105,
                is_carried_out,
                is_cut: true,
            }))
        };
        assert_eq!(actions, [None, forged(false), forged(true)]);
    }

    #[test]
    fn strikes_at_its_statement_only() {
        let commands = [
            (Way::Other, ""),
            (Way::Query, "START TRANSACTION"),
            (Way::Prepare, "INSERT INTO t"),
            (Way::Execute, "INSERT INTO t"),
            (Way::Query, "INSERT INTO t"),
            (Way::Query, "INS"),
        ];
        for (trigger, expected) in [
            ("command", &[1, 2, 3, 4, 5, 6][..]),
            ("query START TRANSACTION", &[2]),
            ("prepare insert", &[3]),
            ("execute INSERT", &[4]),
            ("statement INSERT", &[4, 5]),
            ("client-stream", &[]),
        ] {
            let repeats = if trigger == "client-stream" { "" } else { "every=1" };
            let mut faults = faults(&[&format!("f cut-at=5 {repeats} on {trigger}")]);
            let numbers: Vec<usize> = strikes(&mut faults, &commands).iter().map(|strike| strike.0).collect();
            assert_eq!(numbers, expected, "{trigger}");
        }
    }

    #[test]
    fn two_faults_take_turns() {
        let mut faults = faults(&[
            "a cut-before on query A",
            "b hold=5 on query A",
            "c cut-after on query B",
        ]);
        assert!(faults.disarm("c") && !faults.disarm("c"));
        let struck = strikes(&mut faults, &[(Way::Query, "A"), (Way::Query, "B"), (Way::Query, "A")]);
        assert_eq!(struck, [(1, "a".to_owned()), (3, "b".to_owned())]);
    }

    #[test]
    fn a_stream_is_cut_at_its_byte() {
        let mut faults = faults(&["f cut-at=100 on server-stream"]);
        assert_eq!(faults.stream(Side::Client, 0, 200), None);
        assert_eq!(faults.stream(Side::Server, 0, 100), None);
        assert_eq!(
            faults.stream(Side::Server, 101, 200),
            None,
            "a connection that is past it"
        );
        assert_eq!(faults.stream(Side::Server, 90, 101).map(|(_, passed)| passed), Some(10));
        assert_eq!(faults.stream(Side::Server, 90, 101), None, "once");
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for line in [
            "",
            "f",
            "f cut-before",
            "f explode on command",
            "f cut-at=x on command",
            "f cut-before=1 on command",
            "f hold=-1 on command",
            "f cut-before on query",
            "f cut-before on whim COMMIT",
            "f cut-before nth=0 on command",
            "f cut-before often=2 on command",
            "f cut-before odds=0 on command",
            "f cut-before odds=2 seed=x on command",
            "f cut-before then=cut on command",
            "f answer= on command",
            "f answer=1105 when=never on command",
            "f cut-before on client-stream",
            "f cut-at=9 every=2 on client-stream",
        ] {
            assert!(Fault::parse(line).is_err(), "{line:?}");
        }
    }
}
