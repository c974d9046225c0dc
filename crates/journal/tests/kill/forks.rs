//! A forked child and its parent: neither takes anything from the other.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use write_buffer_journal::error::Error;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::{Adoption, Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::scan::Stored;
use write_buffer_journal::{lock_for_fork, unlock_after_fork};

use crate::{TestFolder, WRITER, adopt, config};

/// A child that waits for ever is ended after so many seconds.
const CHILD_SECONDS: u32 = 60;

/// Runs in a forked child; its answer is the exit code.
fn in_a_fork(run: impl FnOnce() -> bool) -> bool {
    // As the handlers of `pthread_atfork` would.
    lock_for_fork();
    // SAFETY: the child runs `run` and ends by `_exit`, without unwinding or running anything of
    // its parent's. `run` allocates, and the C library keeps its allocator usable in a child. Of
    // the other locks that a thread may hold it takes the list of locks, which is held here.
    #[allow(unsafe_code, reason = "the standard library has no fork")]
    let pid = unsafe { libc::fork() };
    unlock_after_fork();
    if pid == 0 {
        // SAFETY: it asks for a signal, which ends the child.
        #[allow(unsafe_code, reason = "the standard library has no alarm")]
        unsafe {
            libc::alarm(CHILD_SECONDS);
        }
        let is_right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or(false);
        // SAFETY: it ends the process, and returns to nobody.
        #[allow(unsafe_code, reason = "a child must not run its parent's destructors")]
        unsafe {
            libc::_exit(i32::from(!is_right))
        }
    }
    let mut status = 0;
    // SAFETY: the child is ours, and `status` is a place for its status.
    #[allow(unsafe_code, reason = "the standard library waits for its own children only")]
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status == 0
}

#[test]
fn a_forked_child_has_neither_lane_nor_lock() {
    let folder = TestFolder::new("fork");
    let journal = Journal::open(&folder.0).expect("a directory");
    let mut lane: Lane<Disk> = journal.create_lane(&config(Limits::default())).expect("a lane");
    lane.append(1, 0, &[b"the parent's"]).expect("appended");
    let us = std::process::id();
    let is_right = in_a_fork(|| {
        let is_refused = matches!(lane.append(2, 0, &[b"the child's"]), Err(Error::Forked))
            && matches!(lane.note(b"the child's"), Err(Error::Forked))
            && matches!(lane.syncer().sync(), Err(Error::Forked))
            && matches!(lane.give_up_through(1), Err(Error::Forked));
        let is_held = matches!(journal.adopt(WRITER), Ok(Adoption::Held(holder)) if holder.pid == us);
        let other = LaneConfig {
            writer: "child".to_owned(),
            ..config(Limits::default())
        };
        let mut own = journal.create_lane(&other).expect("a lane of its own");
        own.append(1, 0, &[b"the child's"]).expect("appended");
        // Dropping it takes nothing from the parent, neither the mapping nor the lock.
        drop(lane);
        is_refused && is_held
    });
    assert!(is_right, "in the child");
    // The lane was moved into the child's closure, in the parent too: so it is dead here as well.
    let groups: Vec<Vec<u8>> = adopt(&journal)
        .scan(|_| None)
        .expect("a folder")
        .filter_map(Stored::into_group)
        .map(|group| group.payload)
        .collect();
    assert_eq!(groups, [b"the parent's".to_vec()]);
    let Adoption::Adopted(child) = journal.adopt("child").expect("asked") else {
        panic!("the child is dead");
    };
    assert_eq!(child.scan(|_| None).expect("a folder").count(), 1);
}

#[test]
fn a_child_waits_for_no_thread_that_it_does_not_have() {
    let folder = TestFolder::new("threads");
    let journal = Journal::open(&folder.0).expect("a directory");
    let mut lane = journal.create_lane(&config(Limits::default())).expect("a lane");
    lane.append(1, 0, &[b"the parent's"]).expect("appended");
    let is_over = AtomicBool::new(false);
    let forks = std::thread::scope(|scope| {
        // Other threads ask for locks, and sync, all the time.
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(matches!(journal.adopt(WRITER).expect("asked"), Adoption::Held(_)));
                }
            });
        }
        let syncer = lane.syncer();
        let lane = &mut lane;
        // The first that fails ends it: a child that hangs takes its time.
        let forks = (2..=40).take_while(|number| {
            lane.append(*number, 0, &[b"the parent's"]).expect("appended");
            in_a_fork(|| {
                let is_held = matches!(journal.adopt(WRITER), Ok(Adoption::Held(_)));
                is_held && matches!(syncer.sync(), Err(Error::Forked))
            })
        });
        let forks = forks.count();
        is_over.store(true, Ordering::Relaxed);
        forks
    });
    assert_eq!(forks, 39);
}

#[test]
fn a_parent_that_dies_is_dead_whatever_its_children_do() {
    let folder = TestFolder::new("orphan");
    let journal = Journal::open(&folder.0).expect("a directory");
    let lane = journal.create_lane(&config(Limits::default())).expect("a lane");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // A child that outlives its parent's lock: it has a copy of the descriptor.
    let waiting = std::thread::scope(|scope| {
        let child = scope.spawn(|| {
            in_a_fork(|| {
                let mut reader = &reader;
                let mut byte = [0];
                std::io::Read::read(&mut reader, &mut byte).is_ok()
            })
        });
        drop(lane);
        let deadline = Instant::now() + Duration::from_secs(20);
        let adopted = loop {
            match journal.adopt(WRITER).expect("asked") {
                Adoption::Adopted(adopted) => break adopted,
                other => assert!(Instant::now() < deadline, "{other:?}"),
            }
        };
        assert!(adopted.header().is_ok());
        (&writer).write_all(b"x").expect("written");
        child.join().expect("no panic")
    });
    assert!(waiting);
}
