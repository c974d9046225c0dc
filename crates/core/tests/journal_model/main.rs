//! Random programs on the real engine with a journal on the real file system: processes that add,
//! are stopped at any step, and are taken for dead; successors, which are stopped in turn; and
//! zombies, which go on.
//!
//! A process is stopped within a call of its sink, or anywhere. Its directory is copied as it is
//! then, maybe without the last records: those that came after it last changed something outside.
//! So the copy is what a kill at some instant leaves. After a power cut what was not synced may be
//! gone as well. The next process goes on with the copy, and with the same server.
//!
//! The judge knows nothing of the engine. It has a list of the groups that `add()` returned for,
//! and the tables.
//!
//! `JOURNAL_MODEL_PROGRAMS` says how many programs are run, `JOURNAL_MODEL_SEED` which is the
//! first.

#![allow(clippy::expect_used, reason = "a test ends where its own set-up fails")]
#![allow(clippy::indexing_slicing, reason = "a test ends where it is wrong")]

mod crash;
mod judge;
mod life;
mod stories;
mod world;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::life::{Kind, Life};
use crate::world::{Status, World};

/// So many run at a time: they wait most of the time.
const THREADS: u64 = 16;
const PROGRAMS: u64 = 64;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// Plays a program. Returns how often zombies were refused, and how often rows were in the journal
/// alone.
fn play(seed: u64) -> Result<(u64, u64), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let faults = [0, 0, 10, 30][rng.usize(0..4)];
    let world = World::new(rng.u64(..), faults);
    let mut program = life::Program::new(&mut rng);
    let mut directory = crash::new_directory();
    let mut directories = vec![directory.clone()];
    let mut zombies: Vec<Life> = Vec::new();
    let lives = rng.usize(1..5);
    for number in 0..lives {
        let kind = match rng.usize(0..4) {
            0 if number > 0 => Kind::Recovers,
            1 if number > 0 => Kind::RecoversInTime,
            _ => Kind::Owns,
        };
        let stops_at = rng.bool().then(|| rng.u64(1..40));
        let mut life = Life::begin(&world, &program, kind, &directory, stops_at, &mut rng);
        life.live(&world, &mut program, &mut rng);
        if rng.u8(0..4) > 0 {
            world.stop(life.process);
        }
        if world.is_running(life.process) {
            // It may be stopped amid its end.
            life.end(&world);
        }
        let crash = world.lock().processes[life.process].crash.clone();
        match crash {
            Some(crash) => {
                directory.clone_from(&crash.copy.directory);
                directories.push(directory.clone());
                program.lose(&world, &life, &crash, &mut rng);
                if rng.u8(0..12) == 0 {
                    program.has_lost_ledger = true;
                    // Without it a zombie cannot know that its place is taken.
                    for zombie in &zombies {
                        world.set_status(zombie.process, Status::Dead);
                    }
                    world.store.lose_ledger();
                }
                zombies.push(life);
            }
            None => life.join(),
        }
        if rng.u8(0..4) == 0 && !program.has_lost_ledger {
            for zombie in &zombies {
                world.set_status(zombie.process, Status::Zombie);
            }
        }
    }
    // The last one, whom nothing disturbs.
    world.lock().faults = 0;
    program.unblock_all(&world);
    let mut last = Life::begin(&world, &program, Kind::Recovers, &directory, None, &mut rng);
    last.join();
    let left = last.left.clone();
    for zombie in zombies.iter_mut().filter(|_| !program.has_lost_ledger) {
        world.set_status(zombie.process, Status::Zombie);
        zombie.go_on();
    }
    for zombie in &mut zombies {
        world.set_status(zombie.process, Status::Dead);
        zombie.end(&world);
        zombie.join();
    }
    let judged = judge::judge(&world, &program, &directory, &left);
    let refusals = world.lock().refusals;
    let stored = world.lock().stored;
    if judged.is_ok() {
        for directory in &directories {
            drop(fs::remove_dir_all(directory));
        }
    }
    judged
        .map(|()| (refusals, stored))
        .map_err(|wrong| format!("program {seed} in {directories:?}: {wrong}"))
}

#[test]
fn each_group_is_written_once_whoever_dies() {
    let (programs, first) = (
        number("JOURNAL_MODEL_PROGRAMS", PROGRAMS),
        number("JOURNAL_MODEL_SEED", 1),
    );
    let (next, refusals, stored) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let play_some = || {
            let mut wrong = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= programs || wrong.len() > 3 {
                    return wrong;
                }
                match play(first + at) {
                    Ok((refused, were_stored)) => {
                        refusals.fetch_add(refused, Ordering::Relaxed);
                        stored.fetch_add(were_stored, Ordering::Relaxed);
                    }
                    Err(error) => wrong.push(error),
                }
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(play_some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
    assert!(refusals.into_inner() > 0 || programs < PROGRAMS, "no zombie went on");
    assert!(
        stored.into_inner() > 0 || programs < PROGRAMS,
        "all rows were in memory"
    );
}
