//! One lane's life.

use std::path::Path;

use fastrand::Rng;
use write_buffer_journal::journal::{Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};

use crate::disk::{Faults, Model};
use crate::recovery::{Cut, Expected, Tally, check, check_damaged};
use crate::state::State;

pub const DIRECTORY: &str = "/journal";
const STEPS: u32 = 40;
/// One operation in so many is cut.
const MOMENTS: u32 = 12;

pub fn config() -> LaneConfig {
    LaneConfig {
        writer: "writer-1".to_owned(),
        dsn: "mysql://app@db/orders".to_owned(),
        settings: "{}".to_owned(),
        limits: Limits {
            segment_bytes: 12 * 1024,
            max_bytes: 160 * 1024,
        },
    }
}

/// A group's payload follows from its number, and is longer than a segment now and then.
pub fn payload(rng: &mut Rng, number: u64) -> Vec<u8> {
    let bytes = match rng.u8(0..20) {
        0 => rng.usize(5_000..30_000),
        1..5 => 0,
        _ => rng.usize(0..900),
    };
    let mut text = Rng::with_seed(number);
    (0..bytes).map(|_| text.u8(..)).collect()
}

struct Life {
    model: Model,
    lane: Lane<Model>,
    rng: Rng,
    expected: Expected,
}

impl Life {
    fn append(&mut self, tally: &mut Tally) {
        let number = self.expected.last_number() + self.rng.u64(1..4);
        let payload = payload(&mut self.rng, number);
        self.expected.groups.push((number, payload.clone()));
        let half = payload.len() / 2;
        match self.lane.append(number, &[&payload[..half], &payload[half..]]) {
            Ok(_) => self.expected.appended = self.expected.groups.len(),
            Err(error) => {
                tally.full_disks += u64::from(error.is_full());
                self.expected.groups.pop();
            }
        }
    }

    /// A group that somebody begins and drops.
    fn drop_record(&mut self) {
        let number = self.expected.last_number() + 1;
        let payload = payload(&mut self.rng, number);
        if let Ok(mut record) = self.lane.begin(number, payload.len()) {
            record.put(&payload).expect("there is room");
        }
    }

    fn sync(&mut self, tally: &mut Tally) {
        let appended = self.expected.appended;
        match self.lane.syncer().sync() {
            Ok(ordinal) => {
                assert_eq!(ordinal, appended as u64, "it covers all");
                self.expected.synced = appended;
            }
            Err(_) => tally.failed_syncs += 1,
        }
    }

    /// The server commits, and answers. Then, and no earlier, groups are settled.
    fn commit(&mut self) {
        let committed = self.rng.usize(self.expected.committed..=self.expected.appended);
        self.expected.committed = committed;
        if self.rng.u8(0..4) > 0 {
            let _ = self.lane.settle_through(self.expected.position());
        }
    }

    fn step(&mut self, tally: &mut Tally) {
        match self.rng.u8(0..20) {
            0..11 => self.append(tally),
            11..14 => self.sync(tally),
            14..17 => self.commit(),
            17 => self.drop_record(),
            _ => {
                let faults = Faults {
                    sync_fails: self.rng.bool(),
                    is_full: self.rng.u8(0..4) == 0,
                };
                self.model.set_faults(faults);
            }
        }
    }
}

/// Lets a lane live, and cuts it at random operations.
pub fn run(seed: u64, tally: &mut Tally) {
    let model = Model::new(seed, MOMENTS);
    let mut rng = Rng::with_seed(seed);
    let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
    let lane = journal.create_lane(&config()).expect("a lane");
    let mut life = Life {
        model: model.clone(),
        lane,
        rng: rng.fork(),
        expected: Expected::default(),
    };
    judge(seed, model.take_moments(), &life.expected, &mut rng, tally);
    for _ in 0..STEPS {
        let before = life.expected.clone();
        life.step(tally);
        // What was there before is there meanwhile; what came may be.
        let meanwhile = before.meanwhile(&life.expected);
        let mut moments = model.take_moments();
        if rng.u8(0..8) == 0 {
            moments.push(model.now());
        }
        judge(seed, moments, &meanwhile, &mut rng, tally);
    }
    for _ in 0..8 {
        check_damaged(seed, model.now(), &life.expected, &mut rng, tally);
    }
    tally.used_again += model.reused();
}

fn judge(seed: u64, moments: Vec<State>, expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    for state in moments {
        let cut = if rng.u8(0..4) == 0 { Cut::Kill } else { Cut::Power };
        check(seed, state, cut, expected, rng, tally);
    }
}
