//! The lives of one lane's folder: each takes up what the one before has left.

use std::collections::VecDeque;
use std::path::Path;

use fastrand::Rng;
use write_buffer_journal::error::Error;
use write_buffer_journal::journal::{Adopted, Journal, LaneConfig};
use write_buffer_journal::lane::{Lane, Limits};
use write_buffer_journal::scan::{Ending, Scan, Stored};
use write_buffer_journal::segment::Spot;

use crate::disk::{Faults, Model};
use crate::expected::{Expected, Record, given_up, given_up_note};
use crate::recovery::{Cut, Tally, adopt, check, check_damaged, cut, take_over};
use crate::state::State;

pub const DIRECTORY: &str = "/journal";
/// So many lives has a folder, at most,
const LIVES: u32 = 4;
/// each of so many steps, at most.
const STEPS: u32 = 30;
/// One operation in so many is cut,
const MOMENTS: u32 = 12;
/// and one in so many while a life begins or ends.
pub const FINE_MOMENTS: u32 = 3;

pub const WRITER: &str = "writer-1";

pub fn config(seed: u64) -> LaneConfig {
    LaneConfig {
        writer: WRITER.to_owned(),
        dsn: "mysql://app@db/orders".to_owned(),
        settings: "{}".to_owned(),
        limits: Limits {
            segment_bytes: 12 * 1024,
            max_bytes: if seed.is_multiple_of(2) { 160 * 1024 } else { 48 * 1024 },
        },
    }
}

/// No two are alike, and one is longer than a segment now and then.
pub fn payload(rng: &mut Rng) -> Vec<u8> {
    let bytes = match rng.u8(0..20) {
        0 => rng.usize(5_000..30_000),
        1..5 => 0,
        _ => rng.usize(0..900),
    };
    (0..bytes).map(|_| rng.u8(..)).collect()
}

struct Life {
    model: Model,
    lane: Lane<Model>,
    rng: Rng,
    expected: Expected,
    /// No segment of an earlier life of the machine is there.
    is_first_boot: bool,
    /// Groups of this life that are not settled: where, number and payload.
    unsettled: VecDeque<(Spot, u64, Vec<u8>)>,
}

impl Life {
    fn append(&mut self, tally: &mut Tally) {
        // Above each that the ledger has: it may be lost here.
        let last = self.lane.last_number().max(self.expected.position);
        let number = last + self.rng.u64(1..4);
        let (lane, payload) = (self.rng.u8(..), payload(&mut self.rng));
        self.expected.records.push(Record {
            number,
            lane: Some(lane),
            payload: payload.clone(),
        });
        let half = payload.len() / 2;
        match self.lane.append(number, lane, &[&payload[..half], &payload[half..]]) {
            Ok(place) => {
                self.appended(place.ordinal);
                let spot = Spot {
                    ordinal: place.ordinal,
                    sequence: place.segment.header.sequence,
                    offset: place.offset,
                };
                self.unsettled.push_back((spot, number, payload));
            }
            Err(error) => {
                tally.full_disks += u64::from(error.is_full());
                self.expected.records.pop();
            }
        }
    }

    /// Returns whether there was room.
    fn note(&mut self, payload: &[u8], tally: &mut Tally) -> bool {
        self.expected.records.push(Record {
            number: self.lane.last_number(),
            lane: None,
            payload: payload.to_owned(),
        });
        match self.lane.note(payload) {
            Ok(ordinal) => {
                self.appended(ordinal);
                tally.notes += 1;
                true
            }
            Err(error) => {
                self.expected.records.pop();
                if let Error::Full { .. } = error {
                    tally.full_notes += 1;
                    let number = self.lane.last_number() + 1;
                    assert!(
                        self.lane.append(number, 0, &[]).is_err(),
                        "a group has room, a note has none"
                    );
                }
                false
            }
        }
    }

    fn appended(&mut self, ordinal: u64) {
        self.expected.appended = self.expected.records.len();
        assert_eq!(
            ordinal, self.expected.appended as u64,
            "no ordinal is left out, or used again"
        );
    }

    /// A group that somebody begins and drops.
    fn drop_record(&mut self) {
        let number = self.lane.last_number() + 1;
        let payload = payload(&mut self.rng);
        if let Ok(mut record) = self.lane.begin(number, 0, payload.len()) {
            record.put(&payload).expect("there is room");
        }
    }

    /// Returns whether it went well.
    fn sync(&mut self, tally: &mut Tally) -> bool {
        let appended = self.expected.appended;
        match self.lane.syncer().sync() {
            Ok(ordinal) => {
                assert_eq!(ordinal, appended as u64, "it covers all");
                self.expected.synced = appended;
                true
            }
            Err(_) => {
                tally.failed_syncs += 1;
                false
            }
        }
    }

    /// The server commits, and answers. Then, and no earlier, groups are settled; and only when
    /// that is noted, their segments go.
    fn commit(&mut self, position: u64, tally: &mut Tally) {
        self.expected.position = position;
        if self.rng.u8(0..4) == 0 {
            return;
        }
        let Some(last) = self.lane.sealed_within(position) else {
            return;
        };
        if !self.note(&given_up_note(last), tally) {
            return;
        }
        self.expected.given_up = self.expected.given_up.max(usize::try_from(last).expect("small"));
        if !self.expected.waits || self.sync(tally) {
            let _ = self.lane.give_up_through(last);
            self.unsettled.retain(|(spot, ..)| spot.ordinal > last);
        }
    }

    /// Reads some of the groups back that are not settled, wherever they were copied meanwhile.
    fn read_back(&mut self, seed: u64, tally: &mut Tally) {
        let first = self.rng.usize(0..=self.unsettled.len());
        let last = self.rng.usize(0..=self.unsettled.len());
        let wanted: Vec<_> = self.unsettled.range(first..last.max(first)).cloned().collect();
        let (Some((from, ..)), Some((through, ..))) = (wanted.first(), wanted.last()) else {
            return;
        };
        let mut found = Vec::new();
        let stretch = self.lane.stretch(*from, through.ordinal);
        let faults = stretch.read(*from, through.ordinal, |group| {
            found.push((group.head.ordinal, group.head.number, group.payload));
            true
        });
        let wanted = wanted
            .into_iter()
            .map(|(spot, number, payload)| (spot.ordinal, number, payload));
        assert!(
            found.iter().cloned().eq(wanted),
            "seed {seed}: other groups than were taken"
        );
        assert_eq!(faults.len(), 0, "seed {seed}");
        tally.read_back += found.len() as u64;
    }

    fn step(&mut self, seed: u64, tally: &mut Tally) {
        match self.rng.u8(0..26) {
            24.. => self.read_back(seed, tally),
            0..11 => self.append(tally),
            11..15 => {
                let payload = payload(&mut self.rng);
                self.note(&payload, tally);
            }
            15..18 => {
                self.sync(tally);
            }
            18..21 => {
                let position = self.expected.choose_position(&mut self.rng);
                self.commit(position, tally);
            }
            21 => self.drop_record(),
            _ => {
                let faults = Faults {
                    sync_fails: self.rng.bool(),
                    is_full: self.rng.u8(0..4) == 0,
                };
                self.model.set_faults(faults);
            }
        }
    }

    /// Lives on, and is cut at random operations. Returns the moments of its last step, and what
    /// held in them.
    fn live(&mut self, seed: u64, rng: &mut Rng, tally: &mut Tally) -> (Vec<State>, Expected) {
        let steps = rng.u32(1..=STEPS);
        let mut last = (Vec::new(), self.expected.clone());
        for _ in 0..steps {
            let before = self.expected.clone();
            self.step(seed, tally);
            // What was there before is there meanwhile; what came may be.
            let meanwhile = before.meanwhile(&self.expected);
            let mut moments = self.model.take_moments();
            if rng.u8(0..8) == 0 {
                moments.push(self.model.now());
            }
            judge(seed, &moments, &meanwhile, rng, tally);
            last = (moments, meanwhile);
        }
        last
    }

    /// Ends: in the middle of its last step, after it, or while it closes.
    fn end(
        mut self,
        seed: u64,
        last: (Vec<State>, Expected),
        rng: &mut Rng,
        tally: &mut Tally,
    ) -> Option<(State, Expected)> {
        match rng.u8(0..3) {
            0 => {
                let (moments, meanwhile) = last;
                let state = rng.choice(moments);
                Some(state.map_or_else(|| (self.model.now(), self.expected), |state| (state, meanwhile)))
            }
            1 => Some((self.model.now(), self.expected)),
            _ => {
                self.model.set_faults(Faults::default());
                self.model.keep_moments(FINE_MOMENTS);
                let last = self.lane.last_ordinal();
                self.expected.position = self.expected.position.max(self.lane.last_number());
                let is_noted = self.note(&given_up_note(last), tally);
                if is_noted {
                    // The last note goes with the folder.
                    self.expected.given_up = self.expected.records.len();
                }
                if !is_noted || (self.expected.waits && !self.sync(tally)) {
                    return Some((self.model.now(), self.expected));
                }
                self.model.take_moments();
                self.lane.close().expect("no faults");
                let mut moments = self.model.take_moments();
                judge(seed, &moments, &self.expected, rng, tally);
                moments.push(self.model.now());
                tally.ends += 1;
                rng.choice(moments).map(|state| (state, self.expected))
            }
        }
    }
}

/// Somebody takes the folder over and goes on in it, if it is whole.
fn go_on(
    seed: u64,
    state: State,
    ending: Cut,
    mut expected: Expected,
    rng: &mut Rng,
    tally: &mut Tally,
) -> Option<Life> {
    let (model, adopted) = take_over(seed, cut(state, ending, rng), rng.u64(..), FINE_MOMENTS);
    let mut adopted = adopted?;
    adopted.header().ok()?;
    loop {
        let (last_ordinal, is_whole) = match read(seed, &adopted, &expected) {
            (mut scan, Ending::Whole) => {
                let last = scan.last_ordinal();
                assert!(scan.next().is_none());
                (last, Some(scan))
            }
            (scan, _) => {
                assert!(
                    matches!(adopted.resume(scan, config(seed).limits), Err(Error::NotWhole { .. })),
                    "seed {seed}: nobody goes on in what is not whole"
                );
                return None;
            }
        };
        model.set_faults(Faults {
            sync_fails: rng.u8(0..4) == 0,
            is_full: false,
        });
        expected.take_over(ending, last_ordinal);
        let resumed = adopted.resume(is_whole?, config(seed).limits);
        let moments = model.take_moments();
        tally.cuts_of_resumes += moments.len() as u64;
        judge(seed, &moments, &expected, rng, tally);
        match resumed {
            Ok(lane) => {
                match ending {
                    Cut::Kill => tally.resumed_after_kills += 1,
                    Cut::Power => tally.resumed_after_cuts += 1,
                }
                assert_eq!(lane.last_ordinal(), last_ordinal);
                model.keep_moments(MOMENTS);
                expected.go_on();
                let is_first_boot = ending == Cut::Kill;
                return Some(Life {
                    model,
                    lane,
                    rng: rng.fork(),
                    expected,
                    is_first_boot,
                    unsettled: VecDeque::new(),
                });
            }
            // The folder could not be synced. Another one tries again.
            Err(_) => {
                model.set_faults(Faults::default());
                let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
                adopted = adopt(seed, &journal).expect("it is there");
            }
        }
    }
}

fn read(seed: u64, adopted: &Adopted<Model>, expected: &Expected) -> (Scan<Model>, Ending) {
    let mut scan = adopted.scan(given_up).expect("a folder");
    let found: Vec<Stored> = scan.by_ref().collect();
    expected.places(&format!("seed {seed}, going on"), &found);
    let ending = scan.ending();
    (scan, ending)
}

/// Lets a folder live, and cuts it at random operations.
pub fn run(seed: u64, tally: &mut Tally) {
    let model = Model::new(seed, MOMENTS);
    let mut rng = Rng::with_seed(seed);
    let journal = Journal::open_on(model.clone(), Path::new(DIRECTORY)).expect("a directory");
    let lane = journal.create_lane(&config(seed)).expect("a lane");
    let mut life = Life {
        model: model.clone(),
        lane,
        rng: rng.fork(),
        expected: Expected::new(!seed.is_multiple_of(3)),
        is_first_boot: true,
        unsettled: VecDeque::new(),
    };
    judge(seed, &model.take_moments(), &life.expected, &mut rng, tally);
    for number in 1..=LIVES {
        let last = life.live(seed, &mut rng, tally);
        for _ in 0..3 {
            let (state, is_first_boot) = (life.model.now(), life.is_first_boot);
            check_damaged(seed, state, &life.expected, is_first_boot, &mut rng, tally);
        }
        tally.used_again += life.model.take_reused();
        if number == LIVES {
            return;
        }
        let is_first_boot = life.is_first_boot;
        let Some((state, expected)) = life.end(seed, last, &mut rng, tally) else {
            return;
        };
        let ending = if rng.bool() { Cut::Kill } else { Cut::Power };
        check(seed, state.clone(), ending, &expected, &mut rng, tally);
        match go_on(seed, state, ending, expected, &mut rng, tally) {
            Some(next) => life = next,
            None => return,
        }
        life.is_first_boot &= is_first_boot;
    }
}

fn judge(seed: u64, moments: &[State], expected: &Expected, rng: &mut Rng, tally: &mut Tally) {
    for state in moments {
        let ending = if rng.u8(0..4) == 0 { Cut::Kill } else { Cut::Power };
        check(seed, state.clone(), ending, expected, rng, tally);
    }
}
