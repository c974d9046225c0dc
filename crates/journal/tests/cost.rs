//! What an append costs, beside a vector and `pwrite`. `WRITE_BUFFER_JOURNAL_DIR` has a folder on
//! the disk to measure.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where its own set-up fails"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use write_buffer_journal::journal::{Journal, LaneConfig};
use write_buffer_journal::lane::Limits;

/// `cargo test --release -p write-buffer-journal --test cost -- --ignored --nocapture cost`
#[test]
#[ignore = "it measures"]
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
fn cost_of_an_append() {
    const GROUPS: u64 = 1_000_000;
    let name = format!("write-buffer-journal-cost-{}", std::process::id());
    let directory = std::env::var_os("WRITE_BUFFER_JOURNAL_DIR").map(PathBuf::from);
    let journal = Journal::open(&directory.unwrap_or_else(std::env::temp_dir).join(name)).expect("a directory");
    let config = LaneConfig {
        writer: "w".to_owned(),
        dsn: String::new(),
        settings: String::new(),
        limits: Limits::default(),
    };
    let payload = [7; 300];
    let say = |what: &str, count: u64, since: Instant| {
        let each = since.elapsed().as_nanos() as f64 / count as f64;
        writeln!(std::io::stdout(), "{what}: {each:.0} ns").expect("written");
    };
    for round in 1..=3 {
        let mut lane = journal.create_lane(&config).expect("a lane");
        let start = Instant::now();
        for number in 1..=GROUPS {
            lane.append(number, 0, &[&payload[..40], &payload[40..]])
                .expect("appended");
            if number % 1000 == 0 {
                // The ordinal is the number.
                lane.give_up_through(number - 1000).expect("given up");
            }
        }
        say(
            &format!("round {round}: append of 300 bytes, segments used again"),
            GROUPS,
            start,
        );
        lane.give_up_through(GROUPS).expect("given up");
        let start = Instant::now();
        for number in GROUPS + 1..=2 * GROUPS {
            lane.append(number, 0, &[&payload[..40], &payload[40..]])
                .expect("appended");
        }
        say(
            &format!("round {round}: append of 300 bytes, new segments"),
            GROUPS,
            start,
        );
        let start = Instant::now();
        let mut vector: Vec<u8> = Vec::new();
        for number in 1..=GROUPS {
            if number % 1000 == 1 {
                vector = Vec::with_capacity(340_000);
            }
            vector.extend_from_slice(&number.to_le_bytes());
            vector.extend_from_slice(&payload[..40]);
            vector.extend_from_slice(std::hint::black_box(&payload[40..]));
        }
        std::hint::black_box(&vector);
        say(&format!("round {round}: the same into a vector"), GROUPS, start);
        let path = lane.folder().join("plain");
        let file = fs::File::create(&path).expect("a file");
        let start = Instant::now();
        for number in 0..GROUPS {
            std::hint::black_box(crc32c::crc32c(&payload));
            file.write_all_at(&payload, number % 20_000 * 340).expect("written");
        }
        say(&format!("round {round}: pwrite of 300 bytes"), GROUPS, start);
        fs::remove_file(path).expect("removed");
        let syncer = lane.syncer();
        syncer.sync().expect("synced");
        let start = Instant::now();
        for number in 0..200 {
            lane.append(2 * GROUPS + 1 + number, 0, &[&payload]).expect("appended");
            syncer.sync().expect("synced");
        }
        say(&format!("round {round}: append and sync"), 200, start);
        lane.close().expect("closed");
    }
    fs::remove_dir(journal.directory()).expect("it is empty");
}
