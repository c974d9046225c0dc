//! Takes over the journals of dead writers, and writes what is left in them: each group once, in
//! the order in which they were added.
//!
//! A successor
//! 1. locks the folder, which its owner's death has unlocked;
//! 2. reads the [history](crate::buffer::journal::history) of the groups;
//! 3. changes the writer's rows in the ledger, so that whatever the dead process had sent and the
//!    server has not done yet finds nothing to update;
//! 4. notes what it found there, and goes on in the same folder, under the same name;
//! 5. has a buffer of its own write the groups that are not settled, by the rules that the dead one
//!    had, and removes folder and rows.
//!
//! Where all is settled, it removes folder and rows at once.
//!
//! If it dies in turn, the next one finds all that, and what the first one has committed.
//!
//! A group that a buffer refuses, or of which nobody can say whether it was committed, goes into
//! the dead-letter file. A folder that is damaged goes there whole, and is set aside.
//!
//! Bounds: [`SUCCESSORS_MAX`] writers at a time, so that a pool that died at once is no storm of
//! connections; for each of them the memory of a buffer, and a number for each group that is left.

mod letters;
mod looks;
mod successor;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::folder::HEADER;
use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Adopted, Adoption, Journal};
use write_buffer_journal::scan::{Damage, DamageKind, Ending, Scan, Stored};

use crate::buffer::background::{BackgroundBuffer, Spawn};
use crate::buffer::journal::form::Decoder;
use crate::buffer::journal::history::{Fate, History, RowFound};
use crate::buffer::journal::notes::Note;
use crate::buffer::journal::{GroupJournal, blocked, given_up, refused, rules, successor_limits};
use crate::buffer::limits::RETIRE_TIMEOUT;
use crate::buffer::queue::LaneId;
use crate::buffer::recovery::successor::{AllTaken, Successor};
pub use crate::buffer::recovery::successor::{Recovered, SUCCESSORS_MAX};
use crate::error::{Error, Result};
use crate::ledger::{self, Position};
use crate::settings::{JournalSettings, Settings};
use crate::sink::Sink;

/// Makes a sink for a lane of a writer with these settings.
pub type MakeSink = Box<dyn Fn(&Settings, u16) -> Result<Box<dyn Sink>> + Send + Sync>;

/// How long a server is left alone that was away.
const NEXT_TRY: Duration = Duration::from_secs(1);
/// How long a buffer waits for what its server does not let go.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// Recovers the journals of one directory that are for one server.
pub struct Recovery {
    settings: Settings,
    journal: JournalSettings,
    directory: Journal<Disk>,
    make_sink: MakeSink,
    spawn: Spawn,
    /// A look has found something, and its thread is at work.
    is_at_work: AtomicBool,
    /// The dead writers that the last look has seen.
    seen: Mutex<BTreeSet<String>>,
}

/// A dead writer, and how its rows are written.
struct Dead<'w> {
    writer: &'w str,
    settings: Settings,
}

impl Recovery {
    /// A recovery by these settings, which name a journal.
    ///
    /// # Errors
    ///
    /// They name none, or its directory cannot be used.
    pub fn new(settings: Settings, make_sink: MakeSink, spawn: Spawn) -> Result<Self> {
        let settings = settings.with_journal_needs();
        let journal = settings
            .journal
            .clone()
            .ok_or_else(|| Error::bug("a recovery without a journal"))?;
        Ok(Self {
            directory: Journal::open(&journal.directory).map_err(|error| refused(&error))?,
            settings: Settings {
                lanes: 1,
                route_by: None,
                ..settings
            },
            journal,
            make_sink,
            spawn,
            is_at_work: AtomicBool::new(false),
            seen: Mutex::default(),
        })
    }

    /// Whether a writer has left something. Another process may be faster.
    pub fn is_needed(&self) -> bool {
        self.writers().iter().any(|writer| self.is_dead(writer))
    }

    fn writers(&self) -> Vec<String> {
        self.directory.writers().unwrap_or_default()
    }

    /// Whether a writer has left something that is for this server, as far as can be seen without
    /// taking it over: somebody who starts right now does not find that it is taken.
    fn is_dead(&self, writer: &str) -> bool {
        let header = self.directory.left_behind(writer);
        header.is_some_and(|header| header.map_or(true, |header| header.dsn == self.journal.dsn))
    }

    fn is_ours(&self, adopted: &Adopted) -> bool {
        adopted.header().map_or(true, |header| header.dsn == self.journal.dsn)
    }

    /// Takes over what dead writers have left, and writes it, until `stops`.
    pub fn run(&self, stops: &dyn Fn() -> bool) -> Vec<Recovered> {
        let mut taken = AllTaken::default();
        while self.take_all(&self.writers(), &mut taken, stops) {
            taken.make_room(stops);
        }
        taken.wait_until_tried(stops);
        taken.end(stops)
    }

    /// Has a buffer wait until what dead writers have left for its server is written, or waits for
    /// a table. While no server answers it goes on waiting. If the server lets a dead writer's
    /// place be taken only later, for its last transaction is still open there, the buffer begins
    /// after [`LONGEST_HOLD`].
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(self: &Arc<Self>, buffer: &BackgroundBuffer) -> Result<()> {
        let hold = buffer.hold();
        let recovery = Arc::clone(self);
        let body = move || {
            let stopped = hold.watch();
            let stops = || stopped.is_stopping();
            let mut taken = AllTaken::default();
            let (mut hold, began) = (Some(hold), Instant::now());
            loop {
                while recovery.take_all(&recovery.writers(), &mut taken, &stops) {
                    taken.make_room(&stops);
                }
                let mut has_server = true;
                for error in taken.errors() {
                    has_server &= !error.is_connection();
                    if let Some(hold) = &hold {
                        hold.note(error);
                    }
                }
                if stops() || !taken.drop_those_to_try_again() {
                    break;
                }
                if has_server && began.elapsed() > LONGEST_HOLD {
                    hold = None;
                }
                std::thread::sleep(NEXT_TRY);
            }
            taken.wait_until_tried(&stops);
            drop(hold);
            taken.end(&stops);
        };
        self.spawn(Box::new(body))
    }

    fn spawn(&self, body: Box<dyn FnOnce() + Send>) -> Result<()> {
        (self.spawn)(body).map_err(|error| {
            Error::connection(
                0,
                format!("the thread that recovers the journal cannot be started: {error}"),
            )
        })
    }

    /// Takes over what those of these writers have left that are dead, as long as there is a place
    /// for it. Returns whether some of it is left.
    fn take_all(&self, writers: &[String], taken: &mut AllTaken, stops: &dyn Fn() -> bool) -> bool {
        for writer in writers {
            if stops() || taken.has_tried(writer) {
                continue;
            }
            let adopted = match self.directory.adopt(writer) {
                Ok(Adoption::Adopted(adopted)) if self.is_ours(&adopted) => *adopted,
                Ok(_) => continue,
                Err(error) => {
                    taken.done.push(failed(writer.clone(), blocked(&error)));
                    continue;
                }
            };
            if taken.is_full() {
                return true;
            }
            match self.succeed(adopted, writer, stops) {
                Ok(Taken::Done(recovered)) => taken.done.push(recovered),
                Ok(Taken::Going(successor)) => taken.successors.push(*successor),
                Err(error) => taken.done.push(failed(writer.clone(), error)),
            }
        }
        false
    }

    fn succeed(&self, adopted: Adopted, writer: &str, stops: &dyn Fn() -> bool) -> Result<Taken> {
        let mut recovered = Recovered {
            writer: writer.to_owned(),
            ..Recovered::default()
        };
        let scan = adopted.scan(given_up).map_err(|error| blocked(&error))?;
        let mut scan = scan.without_payloads();
        let (mut history, groups) = read(&mut scan)?;
        let settings = match adopted.header() {
            Ok(header) => rules::decode(&header.settings, &self.settings)?,
            Err(_) if groups.is_empty() && scan.ending() == Ending::Whole => {
                // Its owner was about to begin.
                adopted.remove().map_err(|error| blocked(&error))?;
                return Ok(Taken::Done(recovered));
            }
            Err(_) => self.settings.clone(),
        };
        let headless = adopted.header().err().map(|error| headless(&adopted, error));
        let waited_for_disk = adopted
            .header()
            .is_ok_and(|header| rules::waits_for_disk(&header.settings));
        if scan.has_earlier_boot() && !waited_for_disk {
            history.may_lack_notes();
        }
        let dead = &Dead { writer, settings };
        let (rows, sink) = self.take_over(dead, &history, &groups)?;
        let mut fates: Vec<(u64, Fate)> = groups
            .iter()
            .map(|(number, lane)| (*number, history.fate(*number, *lane, &rows)))
            .filter(|(_, fate)| *fate != Fate::Settled)
            .collect();
        // Whoever kept them as failures has died before that was noted.
        let kept = if fates.is_empty() {
            Vec::new()
        } else {
            self.kept(writer, &fates)?
        };
        history.note(Note::Settled(kept.clone()));
        fates.retain(|(number, _)| kept.binary_search(number).is_err());
        recovered.groups = fates.len() as u64;
        let ending = scan.ending();
        let is_power_cut = matches!(ending, Ending::PowerCut(_));
        let damages = match ending {
            _ if headless.is_some() => headless.map(|damage| vec![damage]),
            Ending::Damaged(damages) => Some(damages),
            Ending::Whole | Ending::PowerCut(_) => None,
        };
        if damages.is_some() || is_power_cut {
            recovered.rows_refused = self.dump(dead, &adopted, &history, &rows)?;
            match damages {
                Some(damages) => {
                    let path = adopted.set_aside().map_err(|error| blocked(&error))?;
                    recovered.set_aside = Some((path, damages));
                }
                None => adopted.remove().map_err(|error| blocked(&error))?,
            }
            return Ok(Taken::Done(recovered));
        }
        if fates.is_empty() {
            self.remove_settled((adopted, scan), dead, &history, sink)?;
            return Ok(Taken::Done(recovered));
        }
        let groups = adopted.scan(given_up).map_err(|error| blocked(&error))?;
        let buffer = self.go_on((adopted, scan), dead, &history, (&rows, sink), kept)?;
        let mut successor = Successor {
            buffer,
            decoder: Decoder::default(),
            recovered,
            is_fed: false,
        };
        if let Err(error) = successor.feed(groups, &fates, stops) {
            successor.recovered.error = Some(error);
        }
        Ok(Taken::Going(Box::new(successor)))
    }

    /// Changes the writer's rows in the ledger. Returns what they said, and who has asked.
    fn take_over(
        &self,
        dead: &Dead<'_>,
        history: &History,
        groups: &[(u64, u8)],
    ) -> Result<(BTreeMap<u8, RowFound>, Box<dyn Sink>)> {
        let (mut rows, mut sink) = (BTreeMap::new(), self.sink(dead)?);
        if groups.is_empty() {
            return Ok((rows, sink));
        }
        // Also those of which no note tells: it may be lost, if the machine was off.
        let lanes: BTreeSet<u8> = groups.iter().map(|(_, lane)| *lane).collect();
        for lane in lanes
            .into_iter()
            .chain(history.registered_lanes())
            .chain([0])
            .collect::<BTreeSet<u8>>()
        {
            sink.use_writer(dead.writer, u16::from(lane))?;
            let Some(row) = sink.take_over(None)? else { continue };
            let position = row.position.as_deref().and_then(Position::parse);
            let transaction = ledger::transaction_count(row.number);
            rows.insert(lane, RowFound { transaction, position });
        }
        Ok((rows, sink))
    }

    fn sink(&self, dead: &Dead<'_>) -> Result<Box<dyn Sink>> {
        (self.make_sink)(&dead.settings, 0)
    }

    /// Removes a folder in which all is settled, so that nothing of its writer is under way: first
    /// a note that says so, then the folder, then the rows in the ledger. As long as the folder is
    /// there, they say what of it is settled.
    fn remove_settled(
        &self,
        (adopted, scan): (Adopted, Scan<Disk>),
        dead: &Dead<'_>,
        history: &History,
        mut sink: Box<dyn Sink>,
    ) -> Result<()> {
        self.resume((adopted, scan), dead, history)?.close()?;
        if let Some(lane) = history.registered_lanes().next()
            && sink.use_writer(dead.writer, u16::from(lane)).is_ok()
            && matches!(sink.take_over(None), Ok(Some(_)))
        {
            sink.retire_all(Instant::now() + RETIRE_TIMEOUT);
        }
        // Rows that stay are old one day, and go then.
        Ok(())
    }

    fn resume(
        &self,
        (adopted, scan): (Adopted, Scan<Disk>),
        dead: &Dead<'_>,
        history: &History,
    ) -> Result<GroupJournal> {
        let lane = adopted
            .resume(scan, successor_limits())
            .map_err(|error| blocked(&error))?;
        let succession = u32::try_from(history.successors() + 1).unwrap_or(u32::MAX);
        Ok(GroupJournal::resume(
            self.directory.clone(),
            &self.journal,
            dead.writer,
            lane,
            succession,
            history.registered(),
        ))
    }

    /// Goes on in the writer's place.
    fn go_on(
        &self,
        left: (Adopted, Scan<Disk>),
        dead: &Dead<'_>,
        history: &History,
        (rows, mut sink): (&BTreeMap<u8, RowFound>, Box<dyn Sink>),
        kept: Vec<u64>,
    ) -> Result<BackgroundBuffer> {
        let mut journal = self.resume(left, dead, history)?;
        let found = rows.get(&0);
        journal.taken_over(&Note::TakenOver {
            transaction: found.map(|row| row.transaction),
            position: found.and_then(|row| row.position).map(|position| position.to_string()),
        })?;
        if !kept.is_empty() {
            journal.settled(LaneId::new(0), kept);
        }
        sink.use_writer(dead.writer, 0)?;
        BackgroundBuffer::succeed(dead.settings.clone(), sink, self.spawn, journal)
    }
}

enum Taken {
    Done(Recovered),
    Going(Box<Successor>),
}

/// What is wrong with a folder whose header cannot be read.
fn headless(adopted: &Adopted, error: HeaderError) -> Damage {
    Damage {
        path: adopted.folder().join(HEADER),
        offset: 0,
        kind: match error {
            HeaderError::Version(version) => DamageKind::Version(version),
            HeaderError::Unwritten | HeaderError::Damaged => DamageKind::Header,
        },
    }
}

fn failed(writer: String, error: Error) -> Recovered {
    Recovered {
        writer,
        error: Some(error),
        ..Recovered::default()
    }
}

/// Reads the notes, and of each group its number and its lane.
fn read(scan: &mut Scan<Disk>) -> Result<(History, Vec<(u64, u8)>)> {
    let (mut history, mut groups) = (History::default(), Vec::new());
    for stored in scan.by_ref() {
        match stored {
            Stored::Group(group) => groups.push((group.number, group.lane)),
            Stored::Note(note) => history.note(Note::decode(&note.bytes).ok_or_else(|| {
                Error::config(
                    "a later version of write_buffer wrote a note into the journal: recover it with that version",
                )
                .after_taking()
            })?),
        }
    }
    Ok((history, groups))
}
