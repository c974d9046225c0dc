//! A process writes what it took, and ends; a successor writes what it left. Each of them is killed
//! at each of its steps: before and after each question to the server, each COMMIT, each end of a
//! row in the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::buffer::recovery::Recovery;
use write_buffer_core::settings::Settings;

use super::{House, LONG, add, numbers, spawn};
use crate::world::{Status, StepSink, World};

/// Three in a segment, and ten in a transaction: each COMMIT settles some segments.
const ADDED: i64 = 40;
const BATCH: usize = 10;

fn settings(house: &House) -> Settings {
    let mut settings = house.settings();
    settings.batch_size = BATCH;
    if let Some(journal) = &mut settings.journal {
        journal.max_bytes = 128 << 10;
    }
    settings
}

/// A process that takes rows, writes them and ends. Returns how many it took, and whether it was
/// killed.
fn write(world: &Arc<World>, house: &mut House, stops_at: Option<u64>) -> (i64, bool) {
    let process = world.begin(house.directory(), stops_at);
    let sink = Box::new(StepSink::new(world, process));
    let buffer = BackgroundBuffer::new(settings(house), vec![sink], spawn).expect("a buffer");
    let is_killed = || !world.is_running(process);
    let mut added = 0;
    while added < ADDED && !is_killed() {
        // It is killed only when these are there.
        let hold = buffer.hold();
        for _ in 0..BATCH {
            add(&buffer, added);
            added += 1;
        }
        drop(hold);
        drop(buffer.flush(Some(LONG), &is_killed));
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
    let until = Instant::now() + LONG;
    let stops = {
        let world = Arc::clone(world);
        move || !world.is_running(process) || Instant::now() > until
    };
    let thread = std::thread::spawn(move || recovery.run(&stops));
    while world.is_running(process) && !thread.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
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
    let (mut first, mut seconds) = (0, 0);
    loop {
        first += 1;
        let mut second = 0;
        loop {
            // Not each pair: that says no more, and takes its time.
            second += if first % 4 == 1 { 1 } else { 50 };
            let (world, mut house) = (World::new(1, 0), House::new());
            let (added, is_killed) = write(&world, &mut house, Some(first));
            if !is_killed {
                check(&world, &house, added, "nobody was killed");
                assert!(first > 15 && seconds > 35, "{first} steps, and {seconds}");
                return;
            }
            let is_killed = succeed(&world, &mut house, Some(second));
            seconds += u64::from(is_killed);
            if is_killed {
                succeed(&world, &mut house, None);
            }
            check(&world, &house, added, &format!("killed at {first} and {second}"));
            if !is_killed {
                break;
            }
        }
    }
}
