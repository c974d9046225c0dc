//! Owns what a background buffer keeps in its [journal](write_buffer_journal): each group as it is
//! taken, and between the groups the [notes] by which a successor knows what became of them.
//!
//! The ledger's position settles groups: it is committed with their rows, in one transaction. It
//! says "all groups of this lane up to this one". So nothing is written to mark a group as settled,
//! but for those that no position covers: the parked ones, and failures.
//!
//! | fact | where it stands | before what |
//! |---|---|---|
//! | a group was taken | its record | `add()` returns |
//! | all of a lane up to a group is committed | the ledger's position | with the rows |
//! | a group waits for a table | [`Note::Parked`] | the next COMMIT |
//! | a transaction has parked groups | [`Note::Flight`] | its COMMIT |
//! | that was committed; a group is a failure | [`Note::Settled`] | the lane's next COMMIT |
//! | a lane makes its row in the ledger | [`Note::Registering`] | the lane's first COMMIT |
//! | all up to a group is settled | [`Note::SettledThrough`] | a segment is given up |
//! | a successor goes on | [`Note::TakenOver`] | its first COMMIT |
//!
//! With `journalSync` other than `'none'` a note is on the disk before what stands in the third
//! column. These notes are rare: a buffer that parks nothing waits for the disk once a segment.
//! With
//! `'none'` that holds for flights and settled groups, so that a power cut doubles nothing.
//!
//! [`history`] reads all that back. It is pure, and so are the [form] of a group and the [rules] by
//! which its rows are written. The groups of this process that stand here alone are
//! [read back](reading) when their turn comes.
//!
//! Invariants:
//! - A group is in the journal before `add()` returns, with the number that is its ticket.
//! - A segment is given up only if all its groups are settled, and that is noted.
//!
//! Bound: `journalMaxBytes` on the disk.

pub mod form;
pub mod history;
pub mod inspection;
pub mod notes;
pub mod reading;
pub mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use write_buffer_journal::error::Error as JournalError;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::{Journal, LaneConfig};
use write_buffer_journal::lane::ahead::{Ahead, Prepared};
use write_buffer_journal::lane::sync::Syncer;
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::segment::Spot;

use crate::buffer::journal::form::HeadEncoder;
use crate::buffer::journal::notes::Note;
use crate::buffer::journal::reading::Reading;
use crate::buffer::queue::LaneId;
use crate::buffer::queue::stored::StoredBatch;
use crate::error::{Error, Result};
use crate::rows::group::Group;
use crate::settings::{JournalSettings, JournalSync, Settings};
use crate::sink::Sink;
use crate::sink::mysql::own_sessions::random_name;

pub use write_buffer_journal::{lock_for_fork, unlock_after_fork};

/// Translates an error of the journal. Nothing was taken.
pub fn refused(error: &JournalError) -> Error {
    match error {
        JournalError::GroupTooLarge { .. } => Error::too_large(error.to_string()),
        _ if error.is_full() => Error::full(error.to_string()),
        _ => Error::config(format!("the journal: {error}")),
    }
}

/// Translates an error of the journal that stands in the way of rows that were taken.
pub fn blocked(error: &JournalError) -> Error {
    Error::blocked(format!("the journal: {error}"))
}

/// A journal has so many segments at least, so that some of them can be given up while others take
/// groups.
const SEGMENTS_MIN: u64 = 16;
/// No segment is smaller.
const SEGMENT_BYTES_MIN: u64 = 8 << 10;
/// A successor's segments have nothing but notes.
const SUCCESSOR_SEGMENT_BYTES: u64 = 64 << 10;

/// The name of a writer's group as a failure. A process that dies right after it has kept one has
/// not noted that: whoever comes next finds it by its name.
pub fn letter_id(writer: &str, number: u64) -> Box<str> {
    format!("{writer}-{number}").into_boxed_str()
}

/// The bounds of a journal.
pub fn limits(settings: &JournalSettings) -> Limits {
    let largest = Limits::default().segment_bytes;
    Limits {
        max_bytes: settings.max_bytes,
        segment_bytes: (settings.max_bytes / SEGMENTS_MIN).clamp(SEGMENT_BYTES_MIN, largest),
    }
}

/// The bounds of a successor: it takes no groups, and its notes must find room in a journal that is
/// full, whoever has died there before.
pub fn successor_limits() -> Limits {
    Limits {
        max_bytes: u64::MAX,
        segment_bytes: SUCCESSOR_SEGMENT_BYTES,
    }
}

/// A buffer's journal. Whoever has it holds the buffer's lock.
#[derive(Debug)]
pub struct GroupJournal {
    journal: Journal<Disk>,
    settings: JournalSettings,
    writer: String,
    /// How its rows are written: see [`rules`].
    rules: String,
    /// `None` before the first group.
    lane: Option<Lane<Disk>>,
    heads: HeadEncoder,
    /// Successors count from 1: see [`history`].
    succession: u32,
    registered: u64,
    /// What has to be on the disk before a lane's next COMMIT, by lane,
    owed: FxHashMap<LaneId, u64>,
    /// and before any lane's.
    owed_by_all: u64,
    /// Groups whose [`Note::Settled`] is not written yet, by the lane that settled them.
    unnoted: FxHashMap<LaneId, Vec<u64>>,
    noted: Option<Noted>,
    /// How often segments were given up.
    given_up: u64,
}

/// A [`Note::SettledThrough`] after which segments may be given up.
#[derive(Debug, Clone, Copy)]
struct Noted {
    /// Records up to this one,
    through: u64,
    /// as the record with this ordinal says.
    ordinal: u64,
}

/// Reads a note, for whoever scans a journal.
pub fn given_up(note: &[u8]) -> Option<u64> {
    match Note::decode(note) {
        Some(Note::SettledThrough { ordinal, .. }) => Some(ordinal),
        _ => None,
    }
}

/// What has to be waited for, without the lock.
#[derive(Debug)]
pub struct MustSync {
    syncer: Syncer<Disk>,
    ordinal: u64,
}

impl MustSync {
    /// Whether a sync has failed, and the next group goes elsewhere.
    pub fn would_fail(&self) -> bool {
        self.syncer.has_failed()
    }

    /// Waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// The disk's. The rows stay.
    pub fn wait(&self) -> Result<()> {
        self.syncer
            .sync_through(self.ordinal)
            .map(drop)
            .map_err(|error| blocked(&error))
    }
}

fn bit(lane: LaneId) -> u64 {
    1_u64.checked_shl(u32::from(lane_number(lane))).unwrap_or(0)
}

fn lane_number(lane: LaneId) -> u8 {
    u8::try_from(lane.index()).unwrap_or(u8::MAX)
}

impl GroupJournal {
    /// Opens the journal of a new writer, and tells the sinks, one a lane, its name.
    ///
    /// # Errors
    ///
    /// A directory that cannot be used; no random numbers.
    pub fn begin(journal: &JournalSettings, settings: &Settings, sinks: &mut [Box<dyn Sink>]) -> Result<Self> {
        let writer = random_name().map_err(|error| {
            Error::config(format!(
                "the system has no random numbers for the journal's name: {error}"
            ))
        })?;
        let journal = Self::open(journal, &writer, rules::encode(settings))?;
        for (lane, sink) in (0_u16..).zip(sinks) {
            sink.use_writer(&writer, lane)?;
        }
        Ok(journal)
    }

    /// Opens the directory. Nothing is made in it before the first group. `writer`: the name in the
    /// ledger; `rules`: how its rows are written.
    ///
    /// # Errors
    ///
    /// A directory that cannot be used.
    fn open(settings: &JournalSettings, writer: &str, rules: String) -> Result<Self> {
        let journal = Journal::open(&settings.directory).map_err(|error| refused(&error))?;
        Ok(Self::new(journal, settings, writer, rules))
    }

    fn new(journal: Journal<Disk>, settings: &JournalSettings, writer: &str, rules: String) -> Self {
        Self {
            journal,
            settings: settings.clone(),
            writer: writer.to_owned(),
            rules,
            lane: None,
            heads: HeadEncoder::default(),
            succession: 0,
            registered: 0,
            owed: FxHashMap::default(),
            owed_by_all: 0,
            unnoted: FxHashMap::default(),
            noted: None,
            given_up: 0,
        }
    }

    /// Goes on in a dead writer's journal, for this successor.
    pub fn resume(
        journal: Journal<Disk>,
        settings: &JournalSettings,
        writer: &str,
        lane: Lane<Disk>,
        succession: u32,
        registered: u64,
    ) -> Self {
        Self {
            lane: Some(lane),
            succession,
            registered,
            // Its rules stand in the folder's header.
            ..Self::new(journal, settings, writer, String::new())
        }
    }

    /// The successor that its positions are of, 0 for the first owner.
    pub fn succession(&self) -> u32 {
        self.succession
    }

    /// The writer's name, in the ledger and of the folder.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// The name of a group as a failure: the same for whoever keeps it.
    pub fn letter_id(&self, number: u64) -> Box<str> {
        letter_id(&self.writer, number)
    }

    /// What it takes on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        self.lane.as_ref().map_or(0, Lane::bytes)
    }

    fn lane(&mut self) -> Result<&mut Lane<Disk>, JournalError> {
        if self.lane.is_none() {
            self.lane = Some(self.journal.create_lane(&LaneConfig {
                writer: self.writer.clone(),
                dsn: self.settings.dsn.clone(),
                settings: self.rules.clone(),
                limits: limits(&self.settings),
            })?);
        }
        // It was just made.
        self.lane.as_mut().ok_or(JournalError::Forked)
    }

    /// Keeps a group. Returns where, and what has to be waited for before it is said to be taken.
    ///
    /// # Errors
    ///
    /// No room, a group that is too large, a disk that fails. It was not kept.
    pub fn append(&mut self, number: u64, lane: LaneId, group: &Group) -> Result<(Spot, Option<MustSync>)> {
        self.heads.encode(group)?;
        self.lane().map_err(|error| refused(&error))?;
        let Self { heads, lane: own, .. } = self;
        let (head, beginning) = heads.head();
        let values = group.encoded_values();
        let append = |own: &mut Lane<Disk>| {
            let mut record = own.begin(number, lane_number(lane), head.len() + values.len())?;
            record.put_alike(head, beginning)?;
            record.put(values)?;
            record.end()
        };
        // It was just made.
        let own = own.as_mut().ok_or(JournalError::Forked);
        let spot = own.and_then(append).map_err(|error| refused(&error))?;
        let waits = self.settings.sync == JournalSync::Always;
        Ok((spot, waits.then(|| self.must_sync(spot.ordinal)).flatten()))
    }

    /// Groups that stand here alone, to be read without the lock.
    pub fn reading(&self, stored: &Arc<StoredBatch>) -> Option<Reading> {
        let stretch = self.lane.as_ref()?.stretch(stored.begins()?, stored.through());
        Some(Reading::new(Arc::clone(stored), stretch))
    }

    fn must_sync(&self, ordinal: u64) -> Option<MustSync> {
        let syncer = self.lane.as_ref()?.syncer();
        (syncer.synced() < ordinal).then_some(MustSync { syncer, ordinal })
    }

    /// What was taken so far.
    pub fn all(&self) -> Option<MustSync> {
        let syncer = self.lane.as_ref()?.syncer();
        let ordinal = syncer.appended();
        self.must_sync(ordinal)
    }

    /// The last record that was taken, and the last that is on the disk.
    pub fn progress(&self) -> (u64, u64) {
        let lane = self.lane.as_ref().map(Lane::syncer);
        lane.map_or((0, 0), |syncer| (syncer.appended(), syncer.synced()))
    }

    /// Notes that a successor goes on. It is on the disk before anything is committed.
    ///
    /// # Errors
    ///
    /// The journal's.
    pub fn taken_over(&mut self, note: &Note) -> Result<()> {
        let ordinal = self.note(note)?;
        self.owed_by_all = ordinal;
        self.must_sync(ordinal).map_or(Ok(()), |must_sync| must_sync.wait())
    }

    fn note(&mut self, note: &Note) -> Result<u64> {
        let bytes = note.encode();
        let noted = self.lane().and_then(|lane| lane.note(&bytes));
        noted.map_err(|error| blocked(&error))
    }

    /// Notes what has to be noted before a transaction's COMMIT. `parked`: groups that have left
    /// their lanes since the last call; `flight`: the groups that no position covers. Returns what
    /// has to be waited for before COMMIT is sent.
    ///
    /// # Errors
    ///
    /// The journal takes no note now. Nothing may be committed.
    pub fn before_commit(
        &mut self,
        lane: LaneId,
        transaction: u64,
        parked: &mut Vec<u64>,
        flight: Option<Vec<u64>>,
    ) -> Result<Option<MustSync>> {
        let number = lane_number(lane);
        // A successor's notes are few, and each epoch rests on those before it. Without the others
        // a power cut loses groups, as it may; without those of flights it would double some.
        let waits = self.settings.sync != JournalSync::None || self.succession > 0;
        if self.registered & bit(lane) == 0 {
            let ordinal = self.note(&Note::Registering { lane: number })?;
            if waits {
                self.owe(lane, ordinal);
            }
            self.registered |= bit(lane);
        }
        if !parked.is_empty() {
            let ordinal = self.note(&Note::Parked(parked.clone()))?;
            parked.clear();
            if waits {
                // Whoever commits next, in whichever lane.
                self.owed_by_all = self.owed_by_all.max(ordinal);
            }
        }
        self.note_settled(lane)?;
        if let Some(groups) = flight {
            let ordinal = self.note(&Note::Flight {
                lane: number,
                transaction,
                groups,
            })?;
            self.owe(lane, ordinal);
        }
        // A sync may have failed, and no note have come since.
        if let Some(lane) = &mut self.lane {
            lane.leave_failed().map_err(|error| blocked(&error))?;
        }
        // It stays owed, in case that the wait for it fails.
        let owed = self.owed.get(&lane).copied().unwrap_or(0);
        Ok(self.must_sync(owed.max(self.owed_by_all)))
    }

    fn owe(&mut self, lane: LaneId, ordinal: u64) {
        let owed = self.owed.entry(lane).or_default();
        *owed = (*owed).max(ordinal);
    }

    /// Groups are settled that no position covers. That is noted at once, if possible, and before
    /// the lane's next COMMIT in any case.
    pub fn settled(&mut self, lane: LaneId, groups: Vec<u64>) {
        self.unnoted.entry(lane).or_default().extend(groups);
        // What fails now is tried again.
        let _ = self.note_settled(lane);
    }

    fn note_settled(&mut self, lane: LaneId) -> Result<()> {
        let Some(groups) = self.unnoted.remove(&lane) else {
            return Ok(());
        };
        match self.note(&Note::Settled(groups.clone())) {
            Ok(ordinal) => {
                self.owe(lane, ordinal);
                Ok(())
            }
            Err(error) => {
                self.unnoted.insert(lane, groups);
                Err(error)
            }
        }
    }

    /// Gives up segments all of whose groups are settled. `through`: all groups up to this number
    /// are settled for certain.
    ///
    /// # Errors
    ///
    /// The journal's. No harm is done: what is there too long is settled.
    pub fn give_up_settled(&mut self, through: u64) -> Result<()> {
        let Some(lane) = &self.lane else { return Ok(()) };
        if self.noted.is_none()
            && let Some(last) = lane.sealed_within(through)
        {
            let ordinal = self.note(&Note::SettledThrough {
                number: through,
                ordinal: last,
                registered: self.registered,
            })?;
            self.noted = Some(Noted { through: last, ordinal });
        }
        let (Some(Noted { through, ordinal }), Some(lane)) = (self.noted, &mut self.lane) else {
            return Ok(());
        };
        if self.settings.sync == JournalSync::None || lane.syncer().synced() >= ordinal {
            self.noted = None;
            self.given_up += 1;
            lane.give_up_through(through).map_err(|error| blocked(&error))?;
        }
        Ok(())
    }

    /// What has to be on the disk before segments are given up that are settled.
    pub fn owed_to_room(&self) -> Option<MustSync> {
        self.must_sync(self.noted?.ordinal)
    }

    /// How often segments were given up.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// What can be prepared for groups to come, without the lock.
    pub fn take_ahead(&mut self) -> Option<Ahead<Disk>> {
        self.lane.as_mut()?.take_ahead()
    }

    /// Takes back what was prepared.
    pub fn put_ahead(&mut self, prepared: Prepared<Disk>) {
        if let Some(lane) = &mut self.lane {
            lane.put_ahead(prepared);
        }
    }

    /// Removes the folder, since all of it is settled: up to the last group.
    ///
    /// # Errors
    ///
    /// The journal's. What is left is settled.
    pub fn close(&mut self) -> Result<()> {
        let Some(lane) = &self.lane else { return Ok(()) };
        let (number, ordinal) = (lane.last_number(), lane.syncer().appended());
        // Whoever finds some of it knows that the rest was settled: this note is removed last.
        let ordinal = self.note(&Note::SettledThrough {
            number,
            ordinal,
            registered: self.registered,
        })?;
        if self.settings.sync != JournalSync::None
            && let Some(must_sync) = self.must_sync(ordinal)
        {
            must_sync.wait()?;
        }
        let Some(lane) = self.lane.take() else {
            return Ok(());
        };
        lane.close().map_err(|error| blocked(&error))
    }
}
