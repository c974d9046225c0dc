//! What is on the disk, what everybody sees, and what a power cut leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use fastrand::Rng;

pub const PAGE: usize = 4096;
const SECTOR: usize = 512;
pub const ROOT: u64 = 0;

#[derive(Debug, Clone)]
pub enum NameChange {
    Link(u64, OsString, u64),
    Unlink(u64, OsString),
    Rename(u64, OsString, OsString),
}

impl NameChange {
    pub fn folder(&self) -> u64 {
        match self {
            Self::Link(folder, ..) | Self::Unlink(folder, _) | Self::Rename(folder, ..) => *folder,
        }
    }
}

pub type Names = BTreeMap<(u64, OsString), u64>;

pub fn apply(names: &mut Names, change: &NameChange) {
    match change.clone() {
        NameChange::Link(folder, name, inode) => {
            names.insert((folder, name), inode);
        }
        NameChange::Unlink(folder, name) => {
            names.remove(&(folder, name));
        }
        NameChange::Rename(folder, from, to) => {
            if let Some(inode) = names.remove(&(folder, from)) {
                names.insert((folder, to), inode);
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Inode {
    pub is_folder: bool,
    pub newest: Vec<u8>,
    pub durable: Vec<u8>,
    pub unsynced: BTreeSet<usize>,
}

impl Inode {
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.newest[at..at + bytes.len()].copy_from_slice(bytes);
        if !bytes.is_empty() {
            self.unsynced.extend(at / PAGE..=(at + bytes.len() - 1) / PAGE);
        }
    }

    pub fn range(&self, page: usize, unit: usize) -> std::ops::Range<usize> {
        page * unit..((page + 1) * unit).min(self.newest.len())
    }

    pub fn write_back(&mut self, range: std::ops::Range<usize>) {
        if self.durable.len() < range.end {
            self.durable.resize(range.end, 0);
        }
        self.durable[range.clone()].copy_from_slice(&self.newest[range]);
    }

    pub fn sync(&mut self) {
        for page in std::mem::take(&mut self.unsynced) {
            self.write_back(self.range(page, PAGE));
        }
        self.durable.resize(self.newest.len(), 0);
    }

    fn cut(&mut self, rng: &mut Rng) {
        let bytes = if rng.bool() {
            self.newest.len()
        } else {
            self.durable.len()
        };
        for page in std::mem::take(&mut self.unsynced) {
            match rng.u8(0..4) {
                0 => {}
                1 => self.write_back(self.range(page, PAGE)),
                _ => {
                    let sectors = page * (PAGE / SECTOR)..(page + 1) * (PAGE / SECTOR);
                    for sector in sectors.filter(|_| rng.bool()) {
                        let range = self.range(sector, SECTOR);
                        if range.start < range.end {
                            self.write_back(range);
                        }
                    }
                }
            }
        }
        self.durable.resize(bytes, 0);
        self.newest = self.durable.clone();
    }
}

/// All of it, at one moment.
#[derive(Debug, Clone)]
pub struct State {
    pub inodes: BTreeMap<u64, Inode>,
    pub names: Names,
    pub durable_names: Names,
    pub changes: Vec<NameChange>,
    pub boot: u8,
    pub next_inode: u64,
}

impl State {
    /// The machine goes down, and up again.
    pub fn power_cut(mut self, rng: &mut Rng) -> Self {
        let changes = std::mem::take(&mut self.changes);
        if rng.bool() {
            let kept = rng.usize(0..=changes.len());
            changes
                .iter()
                .take(kept)
                .for_each(|change| apply(&mut self.durable_names, change));
        } else {
            let kept = changes.iter().filter(|_| rng.bool());
            kept.for_each(|change| apply(&mut self.durable_names, change));
        }
        self.names = self.durable_names.clone();
        self.inodes.values_mut().for_each(|inode| inode.cut(rng));
        self.boot += 1;
        self
    }

    /// Flips a bit of a file that has a name.
    pub fn damage(&mut self, rng: &mut Rng) {
        let files: Vec<u64> = self
            .inodes
            .iter()
            .filter(|(_, inode)| !inode.newest.is_empty())
            .map(|(at, _)| *at)
            .collect();
        let Some(inode) = rng.choice(files).and_then(|at| self.inodes.get_mut(&at)) else {
            return;
        };
        let at = rng.usize(0..inode.newest.len());
        inode.newest[at] ^= 1 << rng.u8(0..8);
    }

    pub fn find(&self, path: &Path) -> io::Result<u64> {
        let mut inode = ROOT;
        for part in path.components().skip(1) {
            let key = (inode, part.as_os_str().to_owned());
            inode = *self.names.get(&key).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }

    pub fn place(&self, path: &Path) -> io::Result<(u64, OsString)> {
        let folder = self.find(path.parent().unwrap_or(Path::new("/")))?;
        Ok((folder, path.file_name().unwrap_or(OsStr::new("")).to_owned()))
    }

    pub fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    pub fn make(&mut self, path: &Path, is_folder: bool) -> io::Result<u64> {
        let place = self.place(path)?;
        if self.names.contains_key(&place) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        let new = Inode {
            is_folder,
            ..Inode::default()
        };
        self.inodes.insert(inode, new);
        self.change(NameChange::Link(place.0, place.1, inode));
        Ok(inode)
    }
}
