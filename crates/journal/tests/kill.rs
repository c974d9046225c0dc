//! Real processes, real files: writers that are killed in the middle, stopped ones, forked ones.
//!
//! A child is this program again, with `JOURNAL_CHILD` in its environment; it runs the one test
//! that is ignored otherwise, and says on its standard output what it has done.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its own set-up fails"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use write_buffer_journal::error::Error;
use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::{Adopted, Adoption, Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::scan::Ending;

const DIRECTORY: &str = "JOURNAL_CHILD";
const SEED: &str = "JOURNAL_SEED";
const WRITER: &str = "writer-1";
/// A process is killed in the middle so many times.
const KILLS: u64 = 20;

struct TestFolder(PathBuf);

impl TestFolder {
    fn new(name: &str) -> Self {
        let name = format!("write-buffer-journal-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a folder");
        Self(path.join("journal"))
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().expect("it has one"));
    }
}

fn config(limits: Limits) -> LaneConfig {
    LaneConfig {
        writer: WRITER.to_owned(),
        dsn: "mysql://app@db/orders".to_owned(),
        settings: "{}".to_owned(),
        limits,
    }
}

fn payload(seed: u64, number: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed ^ number << 20);
    let bytes = match rng.u8(0..50) {
        0 => rng.usize(60_000..120_000),
        _ => rng.usize(0..600),
    };
    (0..bytes).map(|_| rng.u8(..)).collect()
}

/// Appends, settles what it says, and never ends by itself.
#[test]
#[ignore = "the tests start it, with a folder in the environment"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let seed: u64 = std::env::var(SEED).map_or(0, |text| text.parse().expect("a number"));
    let limits = Limits {
        segment_bytes: 64 * 1024,
        max_bytes: 1 << 30,
    };
    let journal = Journal::open(Path::new(&directory)).expect("a directory");
    let mut lane = journal.create_lane(&config(limits)).expect("a lane");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut said = std::io::stdout().lock();
    for number in 1_u64.. {
        let bytes = payload(seed, number);
        let (first, second) = bytes.split_at(bytes.len() / 3);
        lane.append(number, &[first, second]).expect("appended");
        // One call for each line, so that a line is whole or not there.
        said.write_all(format!("appended {number}\n").as_bytes()).expect("said");
        if rng.u8(0..40) == 0 {
            let settled = number.saturating_sub(rng.u64(0..60));
            said.write_all(format!("committed {settled}\n").as_bytes())
                .expect("said");
            lane.settle_through(settled).expect("settled");
        }
    }
}

fn start(directory: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

/// The numbers that a child has said, by word: the largest one of each.
fn read_until(child: &mut Child, is_enough: impl Fn(&BTreeMap<String, u64>) -> bool) -> BTreeMap<String, u64> {
    let mut said = BTreeMap::new();
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut note = |line: &str| {
        let mut words = line.split(' ');
        if let (Some(word), Some(Ok(number))) = (words.next(), words.next().map(str::parse)) {
            let most: &mut u64 = said.entry(word.to_owned()).or_insert(number);
            *most = number.max(*most);
        }
        is_enough(&said)
    };
    while let Some(Ok(line)) = lines.next() {
        if note(&line) {
            child.kill().expect("killed");
            break;
        }
    }
    // What it said before it died.
    for line in lines.map_while(Result::ok) {
        note(&line);
    }
    child.wait().expect("ended");
    said
}

fn adopt(journal: &Journal) -> Adopted<Disk> {
    match journal.adopt(WRITER).expect("asked") {
        Adoption::Adopted(adopted) => *adopted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_killed_process_said_it_had_appended_is_there() {
    let mut groups = 0;
    for seed in 0..KILLS {
        let folder = TestFolder::new("kill");
        let mut child = start(&folder.0, seed);
        // A number, not a time: what happens does not depend on how fast the machine is.
        let enough = 1 + seed * 47;
        let said = read_until(&mut child, |said| said.get("appended") >= Some(&enough));
        let (appended, committed) = (said["appended"], said.get("committed").copied().unwrap_or(0));
        let journal = Journal::open(&folder.0).expect("a directory");
        assert_eq!(journal.writers().expect("listed"), [WRITER]);
        let adopted = adopt(&journal);
        assert_eq!(adopted.header().expect("whole").dsn, "mysql://app@db/orders");
        let mut scan = adopted.scan(Some(committed)).expect("a folder");
        let mut next = committed + 1;
        for group in scan.by_ref() {
            assert_eq!(group.number, next, "seed {seed}");
            assert!(
                group.payload == payload(seed, next),
                "seed {seed}: the payload of {next}"
            );
            next += 1;
            groups += 1;
        }
        // It may have died after it had appended, and before it said so.
        let ending = scan.ending();
        assert_eq!(ending, Ending::Whole, "seed {seed}: {next} after {appended}");
        assert!(
            next > appended && next <= appended + 2,
            "seed {seed}: {next} after {appended}"
        );
        adopted.remove().expect("removed");
        assert!(journal.writers().expect("listed").is_empty());
    }
    assert!(groups > KILLS * 20, "{groups}");
}

#[test]
fn a_stopped_process_holds_its_folder_and_a_dead_one_does_not() {
    let folder = TestFolder::new("stop");
    let mut child = start(&folder.0, 1);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("a line").starts_with("appended ")));
    signal(&child, libc::SIGSTOP);
    let journal = Journal::open(&folder.0).expect("a directory");
    for _ in 0..3 {
        match journal.adopt(WRITER).expect("asked") {
            Adoption::Held(holder) => assert_eq!(holder.pid, child.id()),
            other => panic!("{other:?}"),
        }
        // Looking at it takes nothing from it.
        let seen = journal.inspect().expect("listed");
        assert_eq!(seen[0].holder.expect("held").pid, child.id());
        assert!(seen[0].groups > 0 && seen[0].bytes > 0);
    }
    signal(&child, libc::SIGKILL);
    child.wait().expect("ended");
    let adopted = adopt(&journal);
    assert!(
        matches!(journal.adopt(WRITER).expect("asked"), Adoption::Held(holder) if holder.pid == std::process::id())
    );
    let path = adopted.set_aside().expect("set aside");
    assert!(path.ends_with("writer-1.damaged"));
    assert!(
        journal.writers().expect("listed").is_empty(),
        "nobody takes it over again"
    );
    let seen = journal.inspect().expect("listed");
    assert_eq!((seen[0].name.as_str(), seen[0].holder), ("writer-1.damaged", None));
}

fn signal(child: &Child, signal: i32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

#[test]
fn two_that_start_at_once_do_not_both_take_a_folder_over() {
    for _ in 0..20 {
        let folder = TestFolder::new("two");
        let journal = Journal::open(&folder.0).expect("a directory");
        let mut lane = journal.create_lane(&config(Limits::default())).expect("a lane");
        lane.append(1, &[b"group"]).expect("appended");
        drop(lane);
        let adopted = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| journal.adopt(WRITER).expect("asked")))
                .collect();
            let tries = tries.into_iter().map(|one| one.join().expect("no panic"));
            // All are kept until all have tried.
            let tries: Vec<Adoption<Disk>> = tries.collect();
            tries.iter().filter(|one| matches!(one, Adoption::Adopted(_))).count()
        });
        assert_eq!(adopted, 1);
    }
}

/// Runs in a forked child; its answer is the exit code.
fn in_a_fork(run: impl FnOnce() -> bool) -> bool {
    // A child could wait for a thread that it does not have, otherwise.
    let guard = write_buffer_journal::files::lock::hold_for_fork();
    // SAFETY: the child runs `run` and ends by `_exit`, without unwinding or running anything of
    // its parent's. `run` allocates, and the C library keeps its allocator usable in a child. Of
    // the other locks that a thread may hold it takes the list of locks, which is held here.
    #[allow(unsafe_code, reason = "the standard library has no fork")]
    let pid = unsafe { libc::fork() };
    drop(guard);
    if pid == 0 {
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
    lane.append(1, &[b"the parent's"]).expect("appended");
    let us = std::process::id();
    let is_right = in_a_fork(|| {
        let is_refused = matches!(lane.append(2, &[b"the child's"]), Err(Error::Forked))
            && matches!(lane.settle_through(1), Err(Error::Forked));
        let is_held = matches!(journal.adopt(WRITER), Ok(Adoption::Held(holder)) if holder.pid == us);
        let other = LaneConfig {
            writer: "child".to_owned(),
            ..config(Limits::default())
        };
        let mut own = journal.create_lane(&other).expect("a lane of its own");
        own.append(1, &[b"the child's"]).expect("appended");
        // Dropping it takes nothing from the parent, neither the mapping nor the lock.
        drop(lane);
        is_refused && is_held
    });
    assert!(is_right, "in the child");
    // The lane was moved into the child's closure, in the parent too: so it is dead here as well.
    let groups: Vec<Vec<u8>> = adopt(&journal)
        .scan(Some(0))
        .expect("a folder")
        .map(|group| group.payload)
        .collect();
    assert_eq!(groups, [b"the parent's".to_vec()]);
    let Adoption::Adopted(child) = journal.adopt("child").expect("asked") else {
        panic!("the child is dead");
    };
    assert_eq!(child.scan(Some(0)).expect("a folder").count(), 1);
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
