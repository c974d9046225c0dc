//! What a journal's directory holds, for people to look at. Changes nothing.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use write_buffer_journal::header::HeaderError;
use write_buffer_journal::journal::{Inspection, Journal};
use write_buffer_journal::scan::{Damage, DamageKind, Ending};

use crate::buffer::journal::{given_up, refused};
use crate::error::Result;

/// A writer's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Its name: the writer's, and a suffix if it was set aside.
    pub writer: String,
    /// The process that has it. `None`: it is dead, and left this.
    pub pid: Option<u32>,
    /// Groups that can be read, committed ones among them.
    pub groups: u64,
    /// What it takes on the disk.
    pub bytes: u64,
    /// The age of its oldest file.
    pub oldest_age: Option<Duration>,
    /// Where its rows go, without the password.
    pub dsn: Option<String>,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// Looks at all folders of a directory, those that were set aside too. If it is not there, there is
/// none.
///
/// # Errors
///
/// It cannot be read, or is another user's.
pub fn inspect(directory: &Path) -> Result<Vec<Inspected>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let found = Journal::open(directory).and_then(|journal| journal.inspect(given_up));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(found
        .map_err(|error| refused(&error))?
        .into_iter()
        .map(|inspection| inspected(inspection, now))
        .collect())
}

fn inspected(found: Inspection, now: Duration) -> Inspected {
    let is_set_aside = found.name.contains('.');
    let header_fault = match found.header {
        // It is about to begin.
        Ok(_) | Err(HeaderError::Unwritten) => None,
        Err(HeaderError::Version(version)) => Some(format!("a later version wrote its header ({version})")),
        Err(HeaderError::Damaged) => Some("its header is damaged".to_owned()),
    };
    let record_fault = match &found.ending {
        Ending::Whole => None,
        // Its owner is writing: what looks like a gap may be a record that comes right now.
        _ if found.holder.is_some() => None,
        Ending::PowerCut(damage) => Some(format!("the machine went down: {}", in_words(damage))),
        Ending::Damaged(damages) => damages.first().map(in_words),
    };
    let set_aside = is_set_aside.then(|| "it was set aside".to_owned());
    Inspected {
        writer: found.name,
        pid: found.holder.map(|holder| holder.pid),
        groups: found.groups,
        bytes: found.bytes,
        oldest_age: found
            .oldest_unix_ms
            .map(|began| now.saturating_sub(Duration::from_millis(began))),
        dsn: found.header.ok().map(|header| header.dsn),
        damage: header_fault.or(record_fault).or(set_aside),
    }
}

/// What is wrong, and where.
pub fn in_words(damage: &Damage) -> String {
    let what = match &damage.kind {
        DamageKind::Header => "it has no header that can be read".to_owned(),
        DamageKind::Version(version) => format!("a later version of write_buffer wrote it ({version})"),
        DamageKind::Checksum => "a record's checksum is wrong".to_owned(),
        DamageKind::Missing => "a record is missing".to_owned(),
        DamageKind::Unreadable(why) => format!("the disk cannot read it: {why}"),
    };
    format!("{} at byte {}: {what}", damage.path.display(), damage.offset)
}
