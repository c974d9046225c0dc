//! Groups that are given up.

use std::time::Instant;

use crate::dead_letter::{DeadLetter, Status};
use crate::error::{Error, Result, count_rows};
use crate::rows::batch::Batch;
use crate::writer::Writer;
use crate::writer::observer::Observer;

impl Writer {
    /// Gives up the groups of the batches from `done` on: their time is over.
    ///
    /// # Errors
    ///
    /// Why some of them cannot be kept. They stay with the caller.
    pub fn give_up_all(
        &mut self,
        batches: &[&Batch],
        done: usize,
        error: &Error,
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let total = batches.iter().map(|batch| batch.group_count()).sum();
        (done..total).try_for_each(|group| self.give_up(batches, group, (Status::Refused, error), deadline, observer))
    }

    /// Keeps groups whose rows are lost in the dead-letter file, unless they are there already.
    ///
    /// # Errors
    ///
    /// The file cannot be written to. They are to be kept again.
    pub fn keep_lost(&self, letters: &[DeadLetter]) -> Result<()> {
        let Some(file) = &self.dead_letter_file else {
            return Err(Error::bug("a journal without a dead-letter file"));
        };
        for letter in letters {
            if !file.names(&letter.id)?.contains(&*letter.id) {
                file.append(letter, None)?;
            }
        }
        Ok(())
    }

    /// Keeps a group that can never be written, then lets it leave the buffer.
    pub(super) fn give_up(
        &mut self,
        batches: &[&Batch],
        group: usize,
        (status, error): (Status, &Error),
        deadline: Option<Instant>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let mut groups = batches
            .iter()
            .flat_map(|batch| (0..batch.group_count()).map(move |position| (batch, position)));
        let (batch, position) = groups.nth(group).ok_or_else(|| {
            Error::bug("write_buffer lost count of its groups: please report this; the rows stay buffered")
        })?;
        if !observer.may_give_up() {
            return Err(Error::taken_back());
        }
        let (rows, tag) = (batch.group(position), batch.tag(position));
        let mut letter = DeadLetter::new(rows, tag, status, error, |row| {
            self.models.get(&row.shape.table).cloned()
        });
        if let Some(id) = observer.letter_id() {
            letter.id = id;
        }
        match &self.dead_letter_file {
            Some(file) => file.append(&letter, deadline)?,
            None if observer.has_room_for_failure() => {}
            None => {
                let were = if letter.rows.len() == 1 {
                    "a row was".to_owned()
                } else {
                    format!("{} were", count_rows(letter.rows.len()))
                };
                let full = format!("{were} refused, and the memory for refused groups is full: ");
                let kept = format!(
                    "{full}call takeFailures(), or give a deadLetterFile. Nothing is lost: the rows stay buffered until then. \
                     The error: {error}"
                );
                let lost = Error::config(format!("{full}{error}"));
                return Err(lost.after_taking().while_buffered(kept));
            }
        }
        observer.given_up(letter);
        Ok(())
    }
}
