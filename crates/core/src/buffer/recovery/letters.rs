//! What of a dead writer's groups goes into the dead-letter file, each once.

use std::collections::BTreeMap;
use std::path::Path;

use write_buffer_journal::journal::Adopted;
use write_buffer_journal::scan::Stored;

use super::{Dead, Recovery};
use crate::buffer::journal::form::Decoder;
use crate::buffer::journal::history::{Fate, History, RowFound};
use crate::buffer::journal::{blocked, given_up, letter_id};
use crate::dead_letter::file::DeadLetterFile;
use crate::dead_letter::{DeadLetter, Status};
use crate::error::{Error, Result};
use crate::rows::group::Group;
use crate::table::catalog::Catalog;

impl Recovery {
    /// Those of a writer's groups that stand in the dead-letter file.
    pub(super) fn kept(&self, writer: &str, groups: &[(u64, Fate)]) -> Result<Vec<u64>> {
        let names = DeadLetterFile::of_journal(&self.settings)?.names(&format!("{writer}-"))?;
        let numbers = groups.iter().map(|(number, _)| *number);
        Ok(numbers
            .filter(|number| names.contains(&*letter_id(writer, *number)))
            .collect())
    }

    /// Keeps what can be read of a folder in the dead-letter file. What comes after a gap, or is
    /// uncertain, is marked so. Returns the number of rows.
    pub(super) fn dump(
        &self,
        dead: &Dead<'_>,
        adopted: &Adopted,
        history: &History,
        rows: &BTreeMap<u8, RowFound>,
    ) -> Result<u64> {
        let file = DeadLetterFile::of_journal(&self.settings)?;
        let kept = file.names(&format!("{}-", adopted.writer()))?;
        let mut catalog = dead.settings.catalog(self.sink(dead)?.database())?;
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
