//! Owns a journal's directory: a folder for each lane, of this process, of others, of the dead.
//!
//! Whoever takes over a folder has its lock. It reads the groups, writes those that are not settled
//! under the dead writer's name, and removes the folder, or [goes on](Adopted::resume) in it. If it
//! dies in turn, nothing has changed for the next one but the ledger's position.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::disk::Disk;
use crate::files::{File as _, Files, Holder, Locked, Ownership};
use crate::folder;
use crate::header::{HeaderError, LaneHeader};
use crate::lane::{Lane, Limits};
use crate::scan::{Ending, GivenUp, Scan, Stored};

/// A journal's directory.
#[derive(Debug, Clone)]
pub struct Journal<F: Files = Disk> {
    files: F,
    directory: PathBuf,
}

/// What a new lane is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneConfig {
    /// The writer's name in the ledger, and the folder's.
    pub writer: String,
    /// Where its rows go, without the password.
    pub dsn: String,
    /// Rules and settings, as the engine spells them.
    pub settings: String,
    /// Bounds.
    pub limits: Limits,
}

/// What became of a try to take a folder over.
#[derive(Debug)]
pub enum Adoption<F: Files> {
    /// It is ours.
    Adopted(Box<Adopted<F>>),
    /// Its owner lives, or another one takes it over.
    Held(Holder),
    /// It is gone.
    Gone,
    /// Another user's, or open to others: nobody knows who wrote it.
    NotOwn(Ownership),
}

/// What a folder holds, as far as can be seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its name: the writer's, and a suffix if it was set aside.
    pub name: String,
    /// Who has it; `None`: nobody.
    pub holder: Option<Holder>,
    /// Its header.
    pub header: std::result::Result<LaneHeader, HeaderError>,
    /// Groups that can be read, settled ones in segments that are still there among them.
    pub groups: u64,
    /// The number of the first of them,
    pub first_number: Option<u64>,
    /// and of the last.
    pub last_number: Option<u64>,
    /// Notes that can be read.
    pub notes: u64,
    /// What its segments take on the disk, in bytes.
    pub bytes: u64,
    /// When its oldest segment was begun, in milliseconds since 1970.
    pub oldest_unix_ms: Option<u64>,
    /// Why the groups end where they end.
    pub ending: Ending,
}

impl Journal<Disk> {
    /// Opens a directory on the machine's file system. It is made if its parent is there.
    ///
    /// # Errors
    ///
    /// It cannot be made, is no directory, is another user's, or others may write to it.
    pub fn open(directory: &Path) -> Result<Self> {
        Self::open_on(Disk, directory)
    }
}

impl<F: Files> Journal<F> {
    /// As [`Journal::open`], on any file system.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`].
    pub fn open_on(files: F, directory: &Path) -> Result<Self> {
        match files.make_folder(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("make", directory)(error));
            }
            _ => {}
        }
        let reason = match files.ownership(directory).map_err(Error::io("open", directory))? {
            Ownership::Own => None,
            Ownership::OfUser(user) => Some(format!("it is the user {user}'s: use one folder for each user")),
            Ownership::Writable => Some("other users may write there: run chmod 700".to_owned()),
            Ownership::NoFolder => Some("it is no folder".to_owned()),
        };
        if let Some(reason) = reason {
            let error = io::Error::new(io::ErrorKind::PermissionDenied, reason);
            return Err(Error::io("use", directory)(error));
        }
        Ok(Self {
            files,
            directory: directory.to_owned(),
        })
    }

    /// Its path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Begins a lane.
    ///
    /// # Errors
    ///
    /// The system's; the name is none, or is taken.
    pub fn create_lane(&self, config: &LaneConfig) -> Result<Lane<F>> {
        let boot_id = self.files.boot_id().map_err(Error::io("begin", &self.directory))?;
        let header = LaneHeader {
            boot_id,
            writer: config.writer.clone(),
            dsn: config.dsn.clone(),
            settings: config.settings.clone(),
        };
        Lane::create(&self.files, &self.directory, &header, config.limits)
    }

    /// The writers that have a folder here, dead or alive, without those that were set aside.
    ///
    /// # Errors
    ///
    /// The directory cannot be listed.
    pub fn writers(&self) -> Result<Vec<String>> {
        let mut names = self.names()?;
        names.retain(|name| folder::check_writer(name).is_ok());
        Ok(names)
    }

    fn names(&self) -> Result<Vec<String>> {
        let names = self.files.list(&self.directory);
        let names = names.map_err(Error::io("list", &self.directory))?;
        let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Takes a writer's folder over, if its owner is dead.
    ///
    /// # Errors
    ///
    /// The system's; the name is none.
    pub fn adopt(&self, writer: &str) -> Result<Adoption<F>> {
        folder::check_writer(writer)?;
        let folder = self.directory.join(writer);
        match self.files.ownership(&folder) {
            Ok(Ownership::Own) => {}
            Ok(other) => return Ok(Adoption::NotOwn(other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Adoption::Gone),
            Err(error) => return Err(Error::io("take over", &folder)(error)),
        }
        let path = folder.join(folder::LOCK);
        let lock = match self.files.lock(&path).map_err(Error::io("lock", &path))? {
            Locked::Taken(lock) => lock,
            Locked::Held(holder) => return Ok(Adoption::Held(holder)),
            Locked::Gone => return Ok(Adoption::Gone),
        };
        let header = folder::read_header(&self.files, &folder).map_err(Error::io("read", &folder))?;
        Ok(Adoption::Adopted(Box::new(Adopted {
            journal: self.clone(),
            writer: writer.to_owned(),
            folder,
            header,
            lock,
        })))
    }

    /// Whose a writer's folder is that nobody has, as its header says. Takes it over for no moment:
    /// whoever wants to finds it free. `None`: somebody has it, it is gone, or it is not ours.
    pub fn left_behind(&self, writer: &str) -> Option<std::result::Result<LaneHeader, HeaderError>> {
        folder::check_writer(writer).ok()?;
        let folder = self.directory.join(writer);
        let is_own = self.files.ownership(&folder).is_ok_and(|found| found == Ownership::Own);
        let holder = self.files.holder(&folder.join(folder::LOCK)).ok()?;
        if !is_own || holder.is_some() {
            return None;
        }
        folder::read_header(&self.files, &folder).ok()
    }

    /// What each folder holds, those that were set aside too. Changes nothing, and waits for
    /// nobody. `says` reads the notes.
    ///
    /// # Errors
    ///
    /// The directory cannot be listed. Folders that vanish meanwhile are left out.
    pub fn inspect(&self, says: GivenUp) -> Result<Vec<Inspection>> {
        let is_lane = |name: &String| !name.starts_with('.');
        let names = self.names()?.into_iter().filter(is_lane);
        Ok(names.filter_map(|name| self.inspect_one(name, says)).collect())
    }

    fn inspect_one(&self, name: String, says: GivenUp) -> Option<Inspection> {
        let folder = self.directory.join(&name);
        if self.files.ownership(&folder).ok()? == Ownership::NoFolder {
            return None;
        }
        let holder = self.files.holder(&folder.join(folder::LOCK)).ok()?;
        let header = folder::read_header(&self.files, &folder).unwrap_or(Err(HeaderError::Damaged));
        let mut scan = Scan::new(&self.files, &folder, says).ok()?;
        let (mut groups, mut notes) = (0, 0);
        let (mut first_number, mut last_number) = (None, None);
        let mut count = |scan: &mut Scan<F>| {
            for stored in scan {
                match stored {
                    Stored::Group(group) => {
                        groups += 1;
                        first_number.get_or_insert(group.number);
                        last_number = Some(group.number);
                    }
                    Stored::Note(_) => notes += 1,
                }
            }
        };
        count(&mut scan);
        let ending = scan.ending();
        while scan.pass_gap() {
            count(&mut scan);
        }
        let paths = folder::segments(&self.files, &folder).ok()?;
        let bytes = paths.iter().filter_map(|path| self.files.open(path).ok()?.bytes().ok());
        Some(Inspection {
            name,
            holder,
            header,
            groups,
            first_number,
            last_number,
            notes,
            bytes: bytes.fold(0, u64::saturating_add),
            oldest_unix_ms: scan.oldest_unix_ms(),
            ending,
        })
    }
}

/// A dead writer's folder, in our hands.
#[derive(Debug)]
pub struct Adopted<F: Files = Disk> {
    journal: Journal<F>,
    writer: String,
    folder: PathBuf,
    header: std::result::Result<LaneHeader, HeaderError>,
    /// Let go after everything else.
    lock: F::Lock,
}

impl<F: Files> Adopted<F> {
    /// The dead writer.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose rows they are.
    ///
    /// # Errors
    ///
    /// Why that cannot be read. Then the folder is to be set aside, unless it has no groups: its
    /// owner was about to begin, or somebody was about to end.
    pub fn header(&self) -> std::result::Result<&LaneHeader, HeaderError> {
        self.header.as_ref().map_err(|error| *error)
    }

    /// Reads the groups and the notes: see [`Scan::new`].
    ///
    /// # Errors
    ///
    /// The folder cannot be listed.
    pub fn scan(&self, says: GivenUp) -> Result<Scan<F>> {
        Scan::new(&self.journal.files, &self.folder, says)
    }

    /// Goes on in the folder, which stays locked: groups and notes are appended to it, with higher
    /// numbers and ordinals. What is there is settled, synced and given up as the lane's own, and
    /// whoever comes next finds all of it, old and new, in order. The header stays as it is: so go
    /// on only if the rules and settings in it are yours.
    ///
    /// `scan` has read to the end, and its [ending](Scan::ending) is whole. Whoever appends groups
    /// chooses numbers above each that the ledger has: a group that was committed may be lost here
    /// by a power cut, and its number is not to be used again.
    ///
    /// Another scan that was begun before this call may go on reading, also while the lane is
    /// appended to and settled, as long as nothing is settled that it has not returned.
    ///
    /// # Errors
    ///
    /// The log is not whole, the header cannot be read, or the system's. Nothing was lost, and the
    /// folder is nobody's again.
    pub fn resume(self, scan: Scan<F>, limits: Limits) -> Result<Lane<F>> {
        let not_whole = Error::NotWhole {
            folder: self.folder.clone(),
        };
        let (Some(log), Ok(header)) = (scan.into_whole(), &self.header) else {
            return Err(not_whole);
        };
        let place = (&self.journal.files, self.journal.directory.as_path(), self.folder);
        Lane::resume(place, header, &log, limits, self.lock)
    }

    /// Removes the folder. Each of its groups has to be settled, and the scan's ending
    /// [whole](Ending::Whole): what is uncertain is set aside.
    ///
    /// # Errors
    ///
    /// The system's. The next one finds what is left.
    pub fn remove(self) -> Result<()> {
        folder::remove(&self.journal.files, &self.journal.directory, &self.folder, true)
    }

    /// Sets the folder aside, as `<writer>.damaged`. Nothing in it is changed, and nobody takes it
    /// over again. Returns its new path.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_aside(self) -> Result<PathBuf> {
        folder::set_aside(&self.journal.files, &self.journal.directory, &self.writer)
    }
}
