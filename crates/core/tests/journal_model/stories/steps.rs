//! A process writes what it took, and ends; a successor writes what it left. Each of them is killed
//! at each of its steps: before and after each question to the server, each COMMIT, each end of a
//! row in the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::recovery::Recovery;
use write_buffer_core::settings::Settings;

use super::{House, LONG, add, numbers, spawn};
use crate::world::{Status, StepSink, World};

/// Three in a segment, and ten in a transaction.
const BATCH: i64 = 10;
/// With so many each COMMIT settles some segments, and a note says so;
const MANY: i64 = 40;
/// with so few nobody but the ledger does.
const FEW: i64 = 2;
/// How often somebody looks whether a process was killed.
const LOOK: Duration = Duration::from_millis(1);

fn settings(house: &House) -> Settings {
    let mut settings = house.settings();
    settings.batch_size = usize::try_from(BATCH).expect("small");
    if let Some(journal) = &mut settings.journal {
        journal.max_bytes = 128 << 10;
    }
    settings
}

/// A process that takes rows, writes them and ends. Returns how many it took, and whether it was
/// killed.
fn write(world: &Arc<World>, house: &mut House, all: i64, stops_at: Option<u64>) -> (i64, bool) {
    let process = world.begin(house.directory(), stops_at);
    let sink = Box::new(StepSink::new(world, process));
    let buffer = BackgroundBuffer::new(settings(house), vec![sink], spawn).expect("a buffer");
    let is_killed = || !world.is_running(process);
    let mut added = 0;
    while added < all && !is_killed() {
        // It is killed only when these are there.
        let hold = buffer.hold();
        for _ in 0..BATCH.min(all) {
            add(&buffer, added);
            added += 1;
        }
        drop(hold);
        // Nobody waits for the world under the buffer's lock, which a step takes the other way
        // round.
        while !is_killed() && buffer.pending().rows > 0 {
            drop(buffer.flush(Some(LOOK), &|| false));
        }
    }
    if !is_killed() {
        buffer.stop();
    }
    (added, end(world, house, process))
}

/// A process that recovers.
fn succeed(world: &Arc<World>, house: &mut House, stops_at: Option<u64>) -> bool {
    let process = world.begin(house.directory(), stops_at);
    let make_sink = {
        let world = Arc::clone(world);
        Box::new(move |_: &Settings, _| Ok(Box::new(StepSink::new(&world, process)) as _))
    };
    let recovery = Recovery::new(settings(house), make_sink, spawn).expect("a recovery");
    let (is_over, until) = (Arc::new(AtomicBool::new(false)), Instant::now() + LONG);
    let stops = {
        let is_over = Arc::clone(&is_over);
        move || is_over.load(Ordering::Relaxed) || Instant::now() > until
    };
    let thread = std::thread::spawn(move || recovery.run(&stops));
    while world.is_running(process) && !thread.is_finished() {
        std::thread::sleep(LOOK);
    }
    is_over.store(true, Ordering::Relaxed);
    let is_killed = end(world, house, process);
    let recovered = thread.join().expect("no panic");
    let mut errors = recovered.iter().filter_map(|recovered| recovered.error.as_ref());
    assert!(is_killed || errors.next().is_none(), "{recovered:?}");
    is_killed
}

/// What a process that was killed has left is the directory from now on.
fn end(world: &World, house: &mut House, process: usize) -> bool {
    let crash = world.lock().processes[process].crash.take();
    world.set_status(process, Status::Dead);
    let is_killed = crash.is_some();
    house.directories.extend(crash.map(|crash| crash.copy.directory));
    is_killed
}

fn check(world: &World, house: &House, added: i64, case: &str) {
    assert_eq!(numbers(&world.store), (0..added).collect::<Vec<_>>(), "{case}");
    assert_eq!(house.folders(), [""; 0], "{case}");
    assert!(house.letters().is_empty(), "{case}");
}

#[test]
fn whichever_step_it_is() {
    for (all, least) in [(MANY, (15, 35)), (FEW, (5, 10))] {
        let (mut first, mut seconds) = (0, 0);
        while kill_at(all, first + 1, &mut seconds) {
            first += 1;
        }
        assert!(first > least.0 && seconds > least.1, "{first} steps, and {seconds}");
    }
}

/// Kills the first at a step, and its successor at each of its own. Returns whether there is such a
/// step.
fn kill_at(all: i64, first: u64, seconds: &mut u64) -> bool {
    let mut second = 0;
    loop {
        // Not each pair: that says no more, and takes its time.
        second += if first % 4 == 1 { 1 } else { 50 };
        let (world, mut house) = (World::new(1, 0), House::new());
        let (added, is_killed) = write(&world, &mut house, all, Some(first));
        if !is_killed {
            check(&world, &house, added, "nobody was killed");
            return false;
        }
        let is_killed = succeed(&world, &mut house, Some(second));
        *seconds += u64::from(is_killed);
        if is_killed {
            succeed(&world, &mut house, None);
        }
        check(&world, &house, added, &format!("{all}: killed at {first} and {second}"));
        if !is_killed {
            return true;
        }
    }
}
