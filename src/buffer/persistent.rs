//! Background buffers that outlive their objects and requests, by name.
//!
//! Invariants: a name stands for one buffer in the process, with one DSN and one set of settings; a
//! forked child has none of its parent's. At module shutdown, which a worker of php-fpm reaches
//! when it is recycled, reloaded or stopped gracefully, all are drained together, for up to the
//! longest of their shutdown times; what is left goes into their dead-letter files.
//!
//! A thread that forks holds the names meanwhile, so that no other thread is amid a change of them:
//! its child finds them whole, and their lock free.
//!
//! Bound: [`NAMES_MAX`]. The lock is held for look-ups and for making a buffer, which does no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::leftovers::EndTime;
use write_buffer_core::dsn::Dsn;
use write_buffer_core::error::{Error, Result, count_rows};
use write_buffer_core::settings::Settings;

use crate::process::fork::{self, HeldAtFork};
use crate::zend::messages;

/// A name is a setting, not data: more of them are a mistake, and each has a thread and a
/// connection.
const NAMES_MAX: usize = 100;

struct Entry {
    buffer: Arc<BackgroundBuffer>,
    dsn: Dsn,
    settings: Settings,
    fork_generation: u64,
}

type Buffers = BTreeMap<String, Entry>;

static BUFFERS: Mutex<Buffers> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The lock, while this thread forks.
    static FORK_LOCK: HeldAtFork<Buffers> = const { HeldAtFork::new() };
}

fn lock() -> MutexGuard<'static, Buffers> {
    BUFFERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to keep the names whole at forks, at module start.
pub fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        fork::call_at_fork(Some(lock_for_fork), Some(unlock_after_fork), Some(unlock_after_fork));
    });
}

/// Waits until no other thread is at the names, and keeps them so. The thread that forks is at none
/// of them itself, since no user code runs while it is.
extern "C" fn lock_for_fork() {
    FORK_LOCK.with(|held| held.hold(lock()));
}

/// Releases the names, in both processes.
extern "C" fn unlock_after_fork() {
    drop(FORK_LOCK.with(HeldAtFork::take));
}

/// The buffer of that name, made by `make` at its first use in this process.
///
/// # Errors
///
/// The name stands for a buffer with other settings; too many names.
pub fn get(
    name: &str,
    dsn: &Dsn,
    settings: &Settings,
    make: impl FnOnce() -> Result<BackgroundBuffer>,
) -> Result<Arc<BackgroundBuffer>> {
    let mut buffers = lock();
    let generation = fork::fork_generation();
    if buffers
        .get(name)
        .is_some_and(|entry| entry.fork_generation != generation)
    {
        forget(buffers.remove(name));
    }
    if let Some(entry) = buffers.get(name) {
        if entry.dsn != *dsn || entry.settings != *settings {
            return Err(Error::config(format!(
                "the persistent buffer {name:?} exists in this process with another DSN or other settings: \
                 give it the same ones everywhere, or use another name"
            )));
        }
        return Ok(Arc::clone(&entry.buffer));
    }
    if buffers.len() >= NAMES_MAX {
        return Err(Error::config(format!(
            "there are {NAMES_MAX} persistent buffers in this process already: use a few fixed names"
        )));
    }
    let buffer = Arc::new(make()?);
    let entry = Entry {
        buffer: Arc::clone(&buffer),
        dsn: dsn.clone(),
        settings: settings.clone(),
        fork_generation: generation,
    };
    buffers.insert(name.to_owned(), entry);
    Ok(buffer)
}

/// Forgets a parent's buffer in a forked child: its thread and its rows are not here, and its
/// connection is not ours to end.
fn forget(entry: Option<Entry>) {
    std::mem::forget(entry);
}

/// Asks all buffers of this process to write what they have. Returns the longest of their shutdown
/// times.
pub fn request_flush() -> Duration {
    let buffers = lock();
    let generation = fork::fork_generation();
    let ours = buffers.values().filter(|entry| entry.fork_generation == generation);
    ours.map(|entry| {
        entry.buffer.request_flush();
        entry.settings.shutdown_timeout
    })
    .max()
    .unwrap_or_default()
}

/// Drains all buffers of this process, at module shutdown: all at once, so that the process ends
/// within the longest of their shutdown times, or within the time that is `left` of an end that has
/// begun. What they could not write goes into their dead-letter files.
pub fn drain_all(left: Option<EndTime>) {
    let longest = request_flush();
    let mut buffers = std::mem::take(&mut *lock());
    let inherited: Vec<String> = buffers
        .iter()
        .filter(|(_, entry)| entry.fork_generation != fork::fork_generation())
        .map(|(name, _)| name.clone())
        .collect();
    for name in inherited {
        forget(buffers.remove(&name));
    }
    let time = left.unwrap_or_else(|| EndTime::of(longest));
    for (name, entry) in buffers {
        let log = |what: &str| messages::log(&format!("WriteBuffer: the persistent buffer {name:?}: {what}"));
        if let Err(cause) = entry.buffer.drain(time)
            && let Some(untold) = entry.buffer.keep_left(&cause, time, &BTreeSet::new()).untold
        {
            log(&untold);
        }
        let refused = entry.buffer.untold_failed_rows();
        if refused > 0 {
            log(&format!(
                "gave up {}, and nobody called takeFailures(); the last error: {}",
                count_rows(refused),
                entry.buffer.last_error().as_deref().unwrap_or("none")
            ));
        }
        entry.buffer.stop();
    }
}
