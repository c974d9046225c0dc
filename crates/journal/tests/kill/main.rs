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

use write_buffer_journal::files::disk::Disk;
use write_buffer_journal::journal::{Adopted, Adoption, Journal, LaneConfig};
use write_buffer_journal::lane::Limits;
use write_buffer_journal::scan::{Ending, Stored};

mod forks;

const DIRECTORY: &str = "JOURNAL_CHILD";
const SEED: &str = "JOURNAL_SEED";
const WRITER: &str = "writer-1";
/// What the ledger says, if the folder is there already.
const POSITION: &str = "JOURNAL_POSITION";
/// A process is killed in the middle so many times.
const KILLS: u64 = 20;
/// So many folders are gone on in, by so many processes each.
const FOLDERS: u64 = 6;
const LIVES: u64 = 5;

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

/// What a note begins with that says that records may be gone.
const GIVEN_UP: &[u8] = b"given up through ";

fn given_up(note: &[u8]) -> Option<u64> {
    let ordinal = note.strip_prefix(GIVEN_UP)?;
    Some(u64::from_le_bytes(ordinal.try_into().ok()?))
}

fn payload(seed: u64, number: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed ^ number << 20);
    let bytes = match rng.u8(0..50) {
        0 => rng.usize(60_000..120_000),
        _ => rng.usize(0..600),
    };
    (0..bytes).map(|_| rng.u8(..)).collect()
}

fn lane_of(number: u64) -> u8 {
    u8::try_from(number % 251).expect("small")
}

/// Begins a folder, or goes on in it; appends, notes, settles what it says, and never ends by
/// itself.
#[test]
#[ignore = "the tests start it, with a folder in the environment"]
fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let setting = |name| std::env::var(name).map_or(0, |text| text.parse().expect("a number"));
    let (seed, position) = (setting(SEED), setting(POSITION));
    let limits = Limits {
        segment_bytes: 64 * 1024,
        max_bytes: 1 << 30,
    };
    let journal = Journal::open(Path::new(&directory)).expect("a directory");
    let mut lane = match journal.adopt(WRITER).expect("asked") {
        Adoption::Adopted(adopted) => {
            let mut scan = adopted.scan(given_up).expect("a folder");
            scan.by_ref().for_each(drop);
            adopted.resume(scan, limits).expect("whole")
        }
        Adoption::Gone => journal.create_lane(&config(limits)).expect("a lane"),
        other => panic!("{other:?}"),
    };
    let first = lane.last_number() + 1;
    let mut rng = fastrand::Rng::with_seed(seed ^ first << 20);
    let mut said = std::io::stdout().lock();
    // One call for each line, so that a line is whole or not there.
    let mut say = |line: String| said.write_all(line.as_bytes()).expect("said");
    // The test's own name stands on the first line.
    say(format!("\nbegan {}\n", first - 1));
    for number in first.. {
        let bytes = payload(seed, number);
        let (head, rest) = bytes.split_at(bytes.len() / 3);
        lane.append(number, lane_of(number), &[head, rest]).expect("appended");
        say(format!("appended {number}\n"));
        match rng.u8(0..40) {
            0 => {
                let settled = number.saturating_sub(rng.u64(0..60)).max(position);
                say(format!("committed {settled}\n"));
                if let Some(last) = lane.sealed_within(settled) {
                    lane.note(&[GIVEN_UP, &last.to_le_bytes()].concat()).expect("noted");
                    lane.give_up_through(last).expect("given up");
                }
            }
            1..5 => {
                lane.note(&number.to_le_bytes()).expect("noted");
                say(format!("noted {number}\n"));
            }
            5 => {
                let ordinal = lane.syncer().sync().expect("synced");
                assert_eq!(ordinal, lane.last_ordinal());
            }
            _ => {}
        }
    }
}

fn start(directory: &Path, seed: u64, position: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(SEED, seed.to_string())
        .env(POSITION, position.to_string())
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
        let mut child = start(&folder.0, seed, 0);
        // A number, not a time: what happens does not depend on how fast the machine is.
        let enough = 1 + seed * 47;
        let said = read_until(&mut child, |said| said.get("appended") >= Some(&enough));
        let (appended, committed) = (said["appended"], said.get("committed").copied().unwrap_or(0));
        let journal = Journal::open(&folder.0).expect("a directory");
        assert_eq!(journal.writers().expect("listed"), [WRITER]);
        let adopted = adopt(&journal);
        assert_eq!(adopted.header().expect("whole").dsn, "mysql://app@db/orders");
        let mut scan = adopted.scan(given_up).expect("a folder");
        let mut next = committed + 1;
        let found = scan.by_ref().filter_map(Stored::into_group);
        for group in found.filter(|group| group.number > committed) {
            assert_eq!((group.number, group.lane), (next, lane_of(next)), "seed {seed}");
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
fn each_process_that_goes_on_in_a_folder_finds_what_all_before_it_have_left() {
    for seed in 100..100 + FOLDERS {
        let folder = TestFolder::new("lives");
        let (mut appended, mut committed, mut noted) = (0, 0, 0);
        for life in 1..=LIVES {
            let mut child = start(&folder.0, seed, committed);
            let enough = appended + 1 + seed % 7 * life * 20;
            let said = read_until(&mut child, |said| said.get("appended") >= Some(&enough));
            let began = said["began"];
            assert!(
                began >= appended && began <= appended + 1,
                "seed {seed}, life {life}: it goes on at {began} after {appended}"
            );
            let last = |word: &str, before: u64| said.get(word).map_or(before, |number| before.max(*number));
            appended = last("appended", appended);
            committed = last("committed", committed);
            noted = last("noted", noted);
        }
        let journal = Journal::open(&folder.0).expect("a directory");
        let adopted = adopt(&journal);
        let mut scan = adopted.scan(given_up).expect("a folder");
        let (mut next, mut last_note) = (committed + 1, 0);
        for stored in scan.by_ref() {
            match stored {
                Stored::Group(group) if group.number <= committed => {}
                Stored::Group(group) => {
                    assert_eq!((group.number, group.lane), (next, lane_of(next)), "seed {seed}");
                    assert!(group.payload == payload(seed, next), "seed {seed}: {next}");
                    next += 1;
                }
                Stored::Note(note) if given_up(&note.bytes).is_some() => {}
                Stored::Note(note) => {
                    assert_eq!(note.bytes, note.after_number.to_le_bytes(), "seed {seed}");
                    assert!(note.after_number > last_note, "seed {seed}: {note:?} again");
                    assert!(note.after_number < next, "seed {seed}: {note:?} before {next}");
                    last_note = note.after_number;
                }
            }
        }
        assert_eq!(scan.ending(), Ending::Whole, "seed {seed}");
        assert!(
            next > appended && next <= appended + 2,
            "seed {seed}: {next} after {appended}"
        );
        assert!(
            noted <= committed || last_note >= noted,
            "seed {seed}: {last_note} after {noted}"
        );
    }
}

#[test]
fn a_stopped_process_holds_its_folder_and_a_dead_one_does_not() {
    let folder = TestFolder::new("stop");
    let mut child = start(&folder.0, 1, 0);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("a line").starts_with("appended ")));
    signal(&child, libc::SIGSTOP);
    let journal = Journal::open(&folder.0).expect("a directory");
    for _ in 0..3 {
        match journal.adopt(WRITER).expect("asked") {
            Adoption::Held(holder) => assert_eq!(holder.pid, child.id()),
            other => panic!("{other:?}"),
        }
        assert!(journal.left_behind(WRITER).is_none(), "it lives");
        // Looking at it takes nothing from it.
        let seen = journal.inspect(given_up).expect("listed");
        assert_eq!(seen[0].holder.expect("held").pid, child.id());
        assert!(seen[0].groups > 0 && seen[0].bytes > 0);
    }
    signal(&child, libc::SIGKILL);
    child.wait().expect("ended");
    let header = journal.left_behind(WRITER).expect("it is dead").expect("whole");
    assert_eq!(header.dsn, "mysql://app@db/orders");
    let adopted = adopt(&journal);
    assert!(journal.left_behind(WRITER).is_none(), "it is taken over");
    assert!(
        matches!(journal.adopt(WRITER).expect("asked"), Adoption::Held(holder) if holder.pid == std::process::id())
    );
    let path = adopted.set_aside().expect("set aside");
    assert!(path.ends_with("writer-1.damaged"));
    assert!(
        journal.writers().expect("listed").is_empty(),
        "nobody takes it over again"
    );
    let seen = journal.inspect(given_up).expect("listed");
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
        lane.append(1, 0, &[b"group"]).expect("appended");
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
