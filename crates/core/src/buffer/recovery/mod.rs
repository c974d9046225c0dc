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
//! If it dies in turn, the next one finds all that, and what the first one has committed.
//!
//! A group that a buffer refuses, or of which nobody can say whether it was committed, goes into
//! the dead-letter file. A folder that is damaged goes there whole, and is set aside.
//!
//! Bounds: the memory of a buffer, and a number for each group that is left.

mod successor;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
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
use crate::buffer::journal::{GroupJournal, blocked, given_up, letter_id, refused, rules, successor_limits};
use crate::buffer::queue::LaneId;
pub use crate::buffer::recovery::successor::Recovered;
use crate::buffer::recovery::successor::{AllTaken, Successor};
use crate::dead_letter::file::DeadLetterFile;
use crate::dead_letter::{DeadLetter, Status};
use crate::error::{Error, Result};
use crate::ledger::{self, Position};
use crate::rows::group::Group;
use crate::settings::{JournalSettings, Settings};
use crate::sink::Sink;
use crate::table::catalog::Catalog;

/// Makes a sink for a lane of a writer with these settings.
pub type MakeSink = Box<dyn Fn(&Settings, u16) -> Result<Box<dyn Sink>> + Send>;

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
        })
    }

    /// Whether a writer has left something. Another process may be faster.
    pub fn is_needed(&self) -> bool {
        let writers = self.directory.writers().unwrap_or_default();
        writers.iter().any(
            |writer| matches!(self.directory.adopt(writer), Ok(Adoption::Adopted(adopted)) if self.is_ours(&adopted)),
        )
    }

    fn is_ours(&self, adopted: &Adopted) -> bool {
        adopted.header().map_or(true, |header| header.dsn == self.journal.dsn)
    }

    /// Takes over what dead writers have left, and writes it, until `stops`.
    pub fn run(&self, stops: &dyn Fn() -> bool) -> Vec<Recovered> {
        let mut taken = self.take_all(stops);
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
    pub fn start(self, buffer: &BackgroundBuffer) -> Result<()> {
        let hold = buffer.hold();
        let spawn = self.spawn;
        let body = move || {
            let stopped = hold.watch();
            let stops = || stopped.is_stopping();
            let mut taken = AllTaken::default();
            let (mut hold, began) = (Some(hold), Instant::now());
            loop {
                taken.join(self.take_all(&stops));
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
        spawn(Box::new(body)).map_err(|error| {
            Error::connection(
                0,
                format!("the thread that recovers the journal cannot be started: {error}"),
            )
        })
    }

    fn take_all(&self, stops: &dyn Fn() -> bool) -> AllTaken {
        let mut taken = AllTaken::default();
        for writer in self.directory.writers().unwrap_or_default() {
            if stops() {
                break;
            }
            let adopted = match self.directory.adopt(&writer) {
                Ok(Adoption::Adopted(adopted)) if self.is_ours(&adopted) => *adopted,
                Ok(_) => continue,
                Err(error) => {
                    taken.done.push(failed(writer, blocked(&error)));
                    continue;
                }
            };
            match self.succeed(adopted, &writer, stops) {
                Ok(Taken::Done(recovered)) => taken.done.push(recovered),
                Ok(Taken::Going(successor)) => taken.successors.push(*successor),
                Err(error) => taken.done.push(failed(writer, error)),
            }
        }
        taken
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
        let rows = self.take_over(dead, &history, &groups)?;
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
        let groups = adopted.scan(given_up).map_err(|error| blocked(&error))?;
        let buffer = self.go_on((adopted, scan), dead, &history, &rows, kept)?;
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

    /// Changes the writer's rows in the ledger. Returns what they said.
    fn take_over(&self, dead: &Dead<'_>, history: &History, groups: &[(u64, u8)]) -> Result<BTreeMap<u8, RowFound>> {
        let mut rows = BTreeMap::new();
        if groups.is_empty() {
            return Ok(rows);
        }
        // Also those of which no note tells: it may be lost, if the machine was off.
        let lanes: BTreeSet<u8> = groups.iter().map(|(_, lane)| *lane).collect();
        for lane in lanes
            .into_iter()
            .chain(history.registered_lanes())
            .chain([0])
            .collect::<BTreeSet<u8>>()
        {
            let mut sink = self.sink(dead, u16::from(lane))?;
            let Some(row) = sink.take_over(None)? else { continue };
            let position = row.position.as_deref().and_then(Position::parse);
            let transaction = ledger::transaction_count(row.number);
            rows.insert(lane, RowFound { transaction, position });
        }
        Ok(rows)
    }

    fn sink(&self, dead: &Dead<'_>, lane: u16) -> Result<Box<dyn Sink>> {
        let mut sink = (self.make_sink)(&dead.settings, lane)?;
        sink.use_writer(dead.writer, lane)?;
        Ok(sink)
    }

    fn letters(&self) -> Result<DeadLetterFile> {
        let file = self.settings.dead_letter_file.clone();
        file.map(DeadLetterFile::new)
            .ok_or_else(|| Error::bug("a journal without a dead-letter file"))
    }

    /// Those of a writer's groups that stand in the dead-letter file.
    fn kept(&self, writer: &str, groups: &[(u64, Fate)]) -> Result<Vec<u64>> {
        let names = self.letters()?.names(&format!("{writer}-"))?;
        let numbers = groups.iter().map(|(number, _)| *number);
        Ok(numbers
            .filter(|number| names.contains(&*letter_id(writer, *number)))
            .collect())
    }

    /// Goes on in the writer's place.
    fn go_on(
        &self,
        (adopted, scan): (Adopted, Scan<Disk>),
        dead: &Dead<'_>,
        history: &History,
        rows: &BTreeMap<u8, RowFound>,
        kept: Vec<u64>,
    ) -> Result<BackgroundBuffer> {
        let sink = self.sink(dead, 0)?;
        let lane = adopted
            .resume(scan, successor_limits())
            .map_err(|error| blocked(&error))?;
        let succession = u32::try_from(history.successors() + 1).unwrap_or(u32::MAX);
        let mut journal = GroupJournal::resume(
            self.directory.clone(),
            &self.journal,
            dead.writer,
            lane,
            succession,
            history.registered(),
        );
        let found = rows.get(&0);
        journal.taken_over(&Note::TakenOver {
            transaction: found.map(|row| row.transaction),
            position: found.and_then(|row| row.position).map(|position| position.to_string()),
        })?;
        if !kept.is_empty() {
            journal.settled(LaneId::new(0), kept);
        }
        BackgroundBuffer::succeed(dead.settings.clone(), sink, self.spawn, journal)
    }

    /// Keeps what can be read of a folder in the dead-letter file. What comes after a gap, or is
    /// uncertain, is marked so. Returns the number of rows.
    fn dump(
        &self,
        dead: &Dead<'_>,
        adopted: &Adopted,
        history: &History,
        rows: &BTreeMap<u8, RowFound>,
    ) -> Result<u64> {
        let file = self.letters()?;
        let kept = file.names(&format!("{}-", adopted.writer()))?;
        let mut catalog = dead.settings.catalog(self.sink(dead, 0)?.database())?;
        let (mut decoder, mut without_rules) = (Decoder::default(), Decoder::default());
        let mut scan = adopted.scan(given_up).map_err(|error| blocked(&error))?;
        // Without its header nobody knows which server they are for.
        let (mut count, mut is_behind_gap) = (0, adopted.header().is_err());
        loop {
            for stored in scan.by_ref() {
                let Stored::Group(stored) = stored else { continue };
                let fate = match history.fate(stored.number, stored.lane, rows) {
                    Fate::Unsettled if is_behind_gap => Fate::Uncertain,
                    fate => fate,
                };
                let id = letter_id(adopted.writer(), stored.number);
                if fate == Fate::Settled || kept.contains(&*id) {
                    continue;
                }
                let group = match decoder.decode(&stored.payload, &mut catalog) {
                    Ok(group) => group,
                    // A table's rules may have changed: without them any rows can be named.
                    Err(_) => without_rules.decode(&stored.payload, &mut Catalog::default())?,
                };
                count += group.len() as u64;
                keep(&file, group, (fate, id), adopted.folder())?;
            }
            if !scan.pass_gap() {
                return Ok(count);
            }
            is_behind_gap = true;
        }
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

fn keep(file: &DeadLetterFile, group: &Group, (fate, id): (Fate, Box<str>), folder: &Path) -> Result<()> {
    let (status, why) = match fate {
        Fate::Uncertain => (
            Status::Uncertain,
            "the journal of its writer was damaged, or its row in the ledger is gone, so nobody can say whether these rows were \
             committed: look, and retry() what is missing",
        ),
        _ => (
            Status::Unwritten,
            "the journal of its writer was damaged behind it: retry() writes these rows",
        ),
    };
    let error = Error::row(format!("{why} ({})", folder.display()));
    let letter = DeadLetter {
        id,
        ..DeadLetter::new(group.rows(), group.tag(), status, &error, |_| None)
    };
    file.append(&letter, None)
}
