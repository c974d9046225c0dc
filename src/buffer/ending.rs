//! The time in which buffers end that end together: at the end of a request, or as an exception
//! unwinds the stack.
//!
//! They share one time, so that twenty of them with a server that is away wait as long as one:
//! - At the end of a request it is the longest `shutdownTimeoutMs` of those that live. On the
//!   command line the persistent ones belong to them. As an exception unwinds it is each one's own.
//! - All that have a thread are asked to flush when the first one ends.
//! - Only the time that is spent here counts: other code may run between two ends, such as shutdown
//!   functions that add rows.
//! - Those that flush on PHP's thread do so one after the other: of what is left each gets an equal
//!   share.
//! - When the time is over, whoever writes to another place than those that used it up gets
//!   [`LEAST_TIME`]. A server on which two databases used it up is away, for all of its databases:
//!   a lock in one says nothing of another.
//!
//! An object that is destroyed amid a script has its own time.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Weak as SharedWeak};
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::leftovers::{EndCause, EndTime};
use write_buffer_core::error::{Error, codes};
use write_buffer_core::sink::Place;

use crate::buffer::persistent;
use crate::process::fork;
use crate::zend::request;

/// What a buffer gets whose server is not known to be away.
const LEAST_TIME: Duration = Duration::from_millis(250);
/// So many databases that use up the time say that their server is away.
const AWAY_DATABASES: usize = 2;

thread_local! {
    /// The buffers of this thread's request.
    static LIVING: RefCell<Vec<Weak<Living>>> = const { RefCell::new(Vec::new()) };
    /// The end that has begun.
    static SHARED: RefCell<Option<Shared>> = const { RefCell::new(None) };
    /// It is one of an exception that unwinds.
    static IS_UNWINDING: Cell<bool> = const { Cell::new(false) };
}

/// What an end has to know of a buffer, beside itself.
#[derive(Debug)]
pub struct Living {
    shutdown_timeout: Duration,
    /// It flushes on PHP's thread, and has rows.
    has_foreground_rows: Cell<bool>,
    background: Option<SharedWeak<BackgroundBuffer>>,
    fork_generation: u64,
}

/// An end that several buffers share.
struct Shared {
    ending: request::Ending,
    /// Two forked processes share none.
    fork_generation: u64,
    /// The time in all.
    said: Duration,
    spent: Duration,
    /// Where those write to that used it up, each place once.
    away: Vec<Place>,
}

/// Whether no server answered, before the time was over. One that refuses an account is there.
fn is_unreachable(error: &Error) -> bool {
    matches!(error.code(), codes::CR_CONN_HOST_ERROR | codes::CR_SERVER_LOST)
}

impl Shared {
    fn used_up_by(&mut self, place: Option<&Place>) {
        let new = place.filter(|place| !self.away.contains(place));
        self.away.extend(new.cloned());
    }

    fn is_away(&self, place: &Place) -> bool {
        let is_server_away = |server: &String| {
            let there = self.away.iter().filter(|away| away.servers.contains(server));
            there.count() >= AWAY_DATABASES
        };
        self.away.contains(place) || place.servers.iter().all(is_server_away)
    }
}

impl Living {
    /// Enters a buffer of this request. It leaves with the result.
    pub fn enter(shutdown_timeout: Duration, background: Option<&Arc<BackgroundBuffer>>) -> Rc<Self> {
        let living = Rc::new(Self {
            shutdown_timeout,
            has_foreground_rows: Cell::new(false),
            background: background.map(Arc::downgrade),
            fork_generation: fork::fork_generation(),
        });
        LIVING.with_borrow_mut(|all| {
            all.retain(|other| other.strong_count() > 0);
            all.push(Rc::downgrade(&living));
        });
        living
    }

    /// Notes whether a buffer that flushes on PHP's thread has rows.
    pub fn note_foreground_rows(&self, rows: usize) {
        self.has_foreground_rows.set(rows > 0);
    }

    /// Ends a buffer that has rows, by `drain`, in the time that is left for it. `place`: where it
    /// writes to.
    pub fn end(
        &self,
        place: Option<&Place>,
        drain: impl FnOnce(EndTime) -> Result<(), EndCause>,
    ) -> (EndTime, Result<(), EndCause>) {
        let Some(ending) = request::ending() else {
            let time = EndTime::of(self.shutdown_timeout);
            return (time, drain(time));
        };
        let began = Instant::now();
        let time = self.time(ending, place);
        let drained = drain(time);
        self.has_foreground_rows.set(false);
        SHARED.with_borrow_mut(|shared| {
            if let Some(shared) = shared {
                shared.spent += began.elapsed();
                if let Err(cause) = &drained
                    && (Instant::now() >= time.limit || is_unreachable(&cause.error))
                {
                    shared.used_up_by(place);
                }
            }
        });
        (time, drained)
    }

    fn time(&self, ending: request::Ending, place: Option<&Place>) -> EndTime {
        SHARED.with_borrow_mut(|shared| {
            let generation = fork::fork_generation();
            let is_this = |shared: &Shared| shared.ending == ending && shared.fork_generation == generation;
            let shared = match shared.take_if(|shared| is_this(shared)) {
                Some(known) => shared.insert(known),
                None => shared.insert(begin(ending)),
            };
            let said = match ending {
                request::Ending::Request => shared.said.max(self.shutdown_timeout),
                request::Ending::Exception(_) => self.shutdown_timeout,
            };
            let mut left = said.saturating_sub(shared.spent);
            if self.background.is_none() {
                left /= foreground_count().max(1);
            }
            if !place.is_some_and(|place| shared.is_away(place)) {
                left = left.max(LEAST_TIME.min(self.shutdown_timeout));
            }
            EndTime {
                limit: Instant::now() + left,
                said,
            }
        })
    }
}

/// A buffer is used. If no exception unwinds the stack now, the end that one had begun is over: the
/// next exception may be the same object, as far as memory tells.
pub fn note_use() {
    if IS_UNWINDING.get() && !matches!(request::ending(), Some(request::Ending::Exception(_))) {
        IS_UNWINDING.set(false);
        forget();
    }
}

/// Forgets the last request's end, when a request begins.
pub fn forget() {
    SHARED.set(None);
}

/// The time that is left for the persistent buffers, if they end with the request that has just
/// ended.
pub fn left_of_request() -> Option<EndTime> {
    SHARED.with_borrow(|shared| {
        let shared = shared.as_ref().filter(|shared| {
            shared.ending == request::Ending::Request
                && shared.fork_generation == fork::fork_generation()
                && request::is_whole_process()
        })?;
        Some(EndTime {
            limit: Instant::now() + shared.said.saturating_sub(shared.spent),
            said: shared.said,
        })
    })
}

fn all() -> Vec<Rc<Living>> {
    LIVING.with_borrow(|all| all.iter().filter_map(Weak::upgrade).collect())
}

fn foreground_count() -> u32 {
    let waiting = all().iter().filter(|living| living.has_foreground_rows.get()).count();
    u32::try_from(waiting).unwrap_or(u32::MAX)
}

/// All threads begin to write at once.
fn begin(ending: request::Ending) -> Shared {
    let generation = fork::fork_generation();
    let mut said = Duration::ZERO;
    // What a parent's buffer holds is not a forked child's to write.
    for living in all().iter().filter(|living| living.fork_generation == generation) {
        said = said.max(living.shutdown_timeout);
        if let Some(buffer) = living.background.as_ref().and_then(SharedWeak::upgrade) {
            buffer.request_flush();
        }
    }
    if ending == request::Ending::Request && request::is_whole_process() {
        said = said.max(persistent::request_flush());
    }
    IS_UNWINDING.set(matches!(ending, request::Ending::Exception(_)));
    Shared {
        ending,
        fork_generation: generation,
        said,
        spent: Duration::ZERO,
        away: Vec::new(),
    }
}
