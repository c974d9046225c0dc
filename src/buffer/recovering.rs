//! A caller that waits for the recovery of a journal. A thread does the work, and PHP sees its
//! signals and its time limit meanwhile.
//!
//! Bounds: [`GRACE`] beyond the caller's time. A recovery that is left alone ends as soon as it
//! can, and leaves the rest to whoever comes next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use write_buffer_core::buffer::recovery::{Recovered, Recovery};
use write_buffer_core::dead_letter::FlushError;
use write_buffer_core::error::Error;

use crate::buffer::wait::{WaitError, repeat_after_interrupts};
use crate::process::thread;
use crate::zend::interrupt;

/// How often the caller looks whether PHP wants its thread.
const LOOK: Duration = Duration::from_millis(20);
/// How long a recovery may take to end whose time is over.
const GRACE: Duration = Duration::from_secs(1);

/// Tells the recovery to end, whichever way its caller goes.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Recovers, for as long as a caller waits.
///
/// # Errors
///
/// No thread; an end that says nothing in time; an interrupt that threw, or forked.
pub fn run(recovery: Recovery, timeout: Option<Duration>) -> Result<Vec<Recovered>, FlushError> {
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let (sender, receiver) = channel();
    let stops = Arc::clone(&stop.0);
    let started = thread::spawn_flusher(Box::new(move || {
        let recovered = recovery.run(&|| stops.load(Ordering::Relaxed));
        // Nobody waits any more if that fails.
        drop(sender.send(recovered));
    }));
    started.map_err(|error| {
        Error::connection(
            0,
            format!("the thread that recovers the journal cannot be started: {error}"),
        )
    })?;
    let limit = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    match repeat_after_interrupts(|| wait(&receiver, &stop, limit)) {
        Ok(recovered) => Ok(recovered),
        Err(WaitError::Flush(failed)) => Err(failed),
        Err(WaitError::Fork) => {
            // The other end is the parent's.
            std::mem::forget((receiver, stop));
            let why = "this process was forked amid the recovery of a journal, which its parent goes on with";
            Err(Error::config(why).into())
        }
    }
}

fn wait(
    receiver: &Receiver<Vec<Recovered>>,
    stop: &Stop,
    limit: Option<Instant>,
) -> Result<Vec<Recovered>, FlushError> {
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(recovered) => return Ok(recovered),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::bug("a bug in write_buffer ended the recovery; the journal stays").into());
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let over = limit.map(|limit| Instant::now().saturating_duration_since(limit));
        if over.is_some_and(|over| !over.is_zero()) {
            stop.0.store(true, Ordering::Relaxed);
        }
        if over.is_some_and(|over| over > GRACE) {
            let why = "the recovery of the journal is not done in time: the server does not answer. What is left stays for the \
                       next one";
            return Err(Error::timeout(why).into());
        }
        if interrupt::interrupt_is_pending() {
            return Err(Error::interrupted().into());
        }
    }
}
