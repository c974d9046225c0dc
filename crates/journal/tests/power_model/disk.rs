//! A file system in memory that loses power.
//!
//! Everybody sees the newest bytes and names. Of what was not synced, a power cut keeps, drops or
//! tears: each page on its own, torn pages by sectors; changes of names either up to some moment,
//! or each on its own; lengths on their own. Now and then a page is written back without being
//! asked.
//!
//! A mapping writes to the newest bytes of its file, as the kernel's page cache does, and marks the
//! pages. A cut, or the death of the process, may come in the middle of one copy.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use write_buffer_journal::files::{BootId, File, Files, Holder, Locked, Mapping, Ownership};

use crate::state::{Inode, NameChange, Names, PAGE, ROOT, State, apply};

/// What goes wrong besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub sync_fails: bool,
    pub is_full: bool,
}

#[derive(Debug)]
struct Machine {
    state: State,
    rng: Rng,
    faults: Faults,
    /// One moment in so many is kept.
    moments: u32,
    kept: Vec<State>,
    locks: BTreeSet<u64>,
    reused: u64,
}

/// The file system, as the journal sees it.
#[derive(Debug, Clone)]
pub struct Model(Arc<Mutex<Machine>>);

impl Model {
    pub fn new(seed: u64, moments: u32) -> Self {
        let root = Inode {
            is_folder: true,
            ..Inode::default()
        };
        let state = State {
            inodes: BTreeMap::from([(ROOT, root)]),
            names: Names::new(),
            durable_names: Names::new(),
            changes: Vec::new(),
            boot: 1,
            next_inode: 1,
        };
        Self::of(state, seed, moments)
    }

    pub fn of(state: State, seed: u64, moments: u32) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            state,
            rng: Rng::with_seed(seed),
            faults: Faults::default(),
            moments,
            kept: Vec::new(),
            locks: BTreeSet::new(),
            reused: 0,
        })))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.machine().faults = faults;
    }

    /// The moments that were kept since the last call.
    pub fn take_moments(&self) -> Vec<State> {
        std::mem::take(&mut self.machine().kept)
    }

    /// Keeps one moment in so many from now on.
    pub fn keep_moments(&self, moments: u32) {
        self.machine().moments = moments;
    }

    /// How often a segment got another name since the last call.
    pub fn take_reused(&self) -> u64 {
        std::mem::take(&mut self.machine().reused)
    }

    /// Changes a file's bytes behind everybody's back.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut [u8])) {
        let mut machine = self.machine();
        let inode = machine.state.find(path).expect("it is there");
        edit(&mut machine.state.inodes.get_mut(&inode).expect("a file").newest);
    }

    pub fn now(&self) -> State {
        self.machine().state.clone()
    }

    /// One operation: before it, a moment may be kept, and a page written back.
    fn operation(&self) -> MutexGuard<'_, Machine> {
        let mut machine = self.machine();
        machine.moment();
        let Machine { state, rng, .. } = &mut *machine;
        if rng.u8(0..4) == 0 {
            let dirty = state.inodes.values_mut().filter(|inode| !inode.unsynced.is_empty());
            if let Some(inode) = rng.choice(dirty.collect::<Vec<_>>()) {
                let page = rng
                    .choice(inode.unsynced.iter().copied().collect::<Vec<_>>())
                    .unwrap_or(0);
                inode.write_back(inode.range(page, PAGE));
                inode.unsynced.remove(&page);
            }
        }
        machine
    }
}

impl Machine {
    fn moment(&mut self) {
        if self.moments != 0 && self.rng.u32(0..self.moments) == 0 {
            self.kept.push(self.state.clone());
        }
    }
}

#[derive(Debug)]
pub struct ModelFile {
    model: Model,
    inode: u64,
}

#[derive(Debug)]
pub struct ModelMapping {
    model: Model,
    inode: u64,
    bytes: usize,
}

#[derive(Debug)]
pub struct ModelLock {
    model: Model,
    inode: u64,
}

impl Drop for ModelLock {
    fn drop(&mut self) {
        self.model.machine().locks.remove(&self.inode);
    }
}

impl Files for Model {
    type File = ModelFile;
    type Lock = ModelLock;

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        self.operation().state.make(path, true).map(|_| ())
    }

    fn create(&self, path: &Path) -> io::Result<ModelFile> {
        let inode = self.operation().state.make(path, false)?;
        let model = self.clone();
        Ok(ModelFile { model, inode })
    }

    fn open(&self, path: &Path) -> io::Result<ModelFile> {
        let inode = self.machine().state.find(path)?;
        let model = self.clone();
        Ok(ModelFile { model, inode })
    }

    fn open_to_write(&self, path: &Path) -> io::Result<ModelFile> {
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.operation();
        machine.reused += u64::from(from.extension().is_some_and(|extension| extension == "segment"));
        let state = &mut machine.state;
        state.find(from)?;
        let ((folder, from), (_, to)) = (state.place(from)?, state.place(to)?);
        state.change(NameChange::Rename(folder, from, to));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let state = &mut self.operation().state;
        state.find(path)?;
        let (folder, name) = state.place(path)?;
        state.change(NameChange::Unlink(folder, name));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let state = &mut self.operation().state;
        let inode = state.find(path)?;
        if state.names.keys().any(|(folder, _)| *folder == inode) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = state.place(path)?;
        state.change(NameChange::Unlink(folder, name));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let state = &self.machine().state;
        let inode = state.find(path)?;
        let names = state.names.keys().filter(|(folder, _)| *folder == inode);
        Ok(names.map(|(_, name)| name.clone()).collect())
    }

    fn ownership(&self, path: &Path) -> io::Result<Ownership> {
        let state = &self.machine().state;
        let is_folder = state.inodes[&state.find(path)?].is_folder;
        Ok(if is_folder { Ownership::Own } else { Ownership::NoFolder })
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let machine = &mut *self.operation();
        if machine.faults.sync_fails && machine.rng.bool() {
            return Err(io::Error::other("EIO"));
        }
        let state = &mut machine.state;
        let inode = state.find(path)?;
        for change in state.changes.iter().filter(|change| change.folder() == inode) {
            apply(&mut state.durable_names, change);
        }
        state.changes.retain(|change| change.folder() != inode);
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Locked<ModelLock>> {
        let machine = &mut *self.operation();
        let inode = match machine.state.find(path) {
            Ok(inode) => inode,
            Err(_) if machine.state.place(path).is_ok() => machine.state.make(path, false)?,
            Err(_) => return Ok(Locked::Gone),
        };
        if !machine.locks.insert(inode) {
            return Ok(Locked::Held(Holder { pid: 1 }));
        }
        let model = self.clone();
        Ok(Locked::Taken(ModelLock { model, inode }))
    }

    fn holder(&self, path: &Path) -> io::Result<Option<Holder>> {
        let machine = self.machine();
        let is_held = machine
            .state
            .find(path)
            .is_ok_and(|inode| machine.locks.contains(&inode));
        Ok(is_held.then_some(Holder { pid: 1 }))
    }

    fn boot_id(&self) -> io::Result<BootId> {
        Ok([self.machine().state.boot; 16])
    }

    fn salt(&self) -> io::Result<u64> {
        Ok(self.machine().rng.u64(..))
    }

    fn now_unix_ms(&self) -> u64 {
        0
    }
}

impl ModelFile {
    fn inode<T>(&self, look: impl FnOnce(&Inode) -> T) -> T {
        look(&self.model.machine().state.inodes[&self.inode])
    }
}

impl File for ModelFile {
    type Mapping = ModelMapping;

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.inode(|inode| inode.newest.len() as u64))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let machine = &mut *self.model.operation();
        if machine.faults.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = machine.state.inodes.get_mut(&self.inode).expect("a file");
        inode.newest.resize(usize::try_from(bytes).expect("small"), 0);
        Ok(())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inode(|inode| {
            let at = usize::try_from(at).expect("small").min(inode.newest.len());
            let bytes = into.len().min(inode.newest.len() - at);
            into[..bytes].copy_from_slice(&inode.newest[at..at + bytes]);
            Ok(bytes)
        })
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let machine = &mut *self.model.operation();
        let inode = machine.state.inodes.get_mut(&self.inode).expect("a file");
        let at = usize::try_from(at).expect("small");
        if inode.newest.len() < at + bytes.len() {
            inode.newest.resize(at + bytes.len(), 0);
        }
        inode.write(at, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let machine = &mut *self.model.operation();
        let inode = machine.state.inodes.get_mut(&self.inode).expect("a file");
        if machine.faults.sync_fails && machine.rng.bool() {
            // The pages are clean now, and not on the disk. The next sync would succeed.
            inode.unsynced.clear();
            return Err(io::Error::other("EIO"));
        }
        inode.sync();
        Ok(())
    }

    fn map(&self, bytes: usize) -> io::Result<ModelMapping> {
        Ok(ModelMapping {
            model: self.model.clone(),
            inode: self.inode,
            bytes,
        })
    }
}

impl Mapping for ModelMapping {
    fn prepare(&mut self, at: usize, bytes: usize) -> io::Result<()> {
        assert!(at + bytes <= self.bytes, "outside of the mapping");
        Ok(())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(at + bytes.len() <= self.bytes, "outside of the mapping");
        let machine = &mut *self.model.operation();
        let half = machine.rng.usize(0..=bytes.len());
        let (first, second) = bytes.split_at(half);
        for (at, part) in [(at, first), (at + half, second)] {
            machine
                .state
                .inodes
                .get_mut(&self.inode)
                .expect("a file")
                .write(at, part);
            machine.moment();
        }
        Ok(())
    }
}
