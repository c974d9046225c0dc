//! A table that is locked: by what group it is tried again, when, and how long that waits.

use super::*;
use write_buffer_core::sink::Patience;

const SERVERS_OWN: Duration = Duration::from_secs(5);

impl World {
    /// A lane takes up what is due.
    fn take(&mut self, lane: usize) -> Option<Work> {
        let id = self.lane(lane);
        (self.lanes.due(id, self.now) == Due::Now)
            .then(|| self.lanes.take_up(id, self.now))
            .flatten()
    }

    /// A lane has waited for a lock on a table, in vain.
    fn wait_in_vain(&mut self, lane: usize, table: usize) {
        let waited = Duration::from_millis(200);
        self.now += waited;
        let (id, models) = (self.lane(lane), self.models());
        let error = Error::server(1205, "locked").at_table(&NAMES[table], None);
        let max = SERVERS_OWN;
        let obstacle = Obstacle::Locked { error, waited, max };
        let parked = self.lanes.park(id, obstacle, &models, self.now);
        assert_eq!(parked, Ok(true), "it is set aside");
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }
}

/// The only lane that has something to do takes it up.
fn probe(world: &mut World, lane: usize) -> (Vec<u64>, Patience) {
    let work = world.take(lane).expect("a probe");
    let (_, patience) = work.repeats.clone().expect("it repeats what waited");
    (World::numbers(&work), patience)
}

/// Two groups with rows of the table `a`, which is locked: the first one has a row of `b`, too.
fn locked() -> World {
    let mut world = World::new(false);
    let row = |table, key| ModelRow {
        table,
        key,
        is_certain: true,
        is_wide: false,
    };
    world.add(vec![row(0, 1), row(1, 1)], None);
    world.add(vec![row(0, 2)], None);
    world.lanes.request_flush();
    // All that write meet the lock at once.
    let writing: Vec<usize> = (0..LANES).filter(|lane| world.take(*lane).is_some()).collect();
    for lane in writing {
        world.wait_in_vain(lane, 0);
    }
    world
}

#[test]
fn a_locked_table_is_probed_at_once_and_by_rows_of_it_alone() {
    let mut world = locked();
    let mut found = Vec::new();
    for interval in [0, 500, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000] {
        if interval > 0 {
            world.pass(interval - 1);
            assert!(world.take(0).is_none(), "before its time");
            world.pass(1);
        }
        let (groups, patience) = probe(&mut world, 0);
        assert_eq!(groups, [2], "the other one has rows of another table");
        found.push(patience);
        assert!(world.take(1).is_none(), "one probe at a time");
        world.wait_in_vain(0, 0);
    }
    let (once, twice) = (Patience::Probe { times: 1 }, Patience::Probe { times: 2 });
    assert_eq!(
        found,
        [once, once, twice, twice, twice, twice, twice, Patience::Full, twice],
        "a probe holds up its lane, so few are long"
    );
}

#[test]
fn lanes_that_meet_a_lock_meanwhile_put_no_probe_off() {
    let mut world = locked();
    let row = ModelRow {
        table: 0,
        key: 3,
        is_certain: true,
        is_wide: false,
    };
    let (_, patience) = probe(&mut world, 0);
    assert_eq!(patience, Patience::Probe { times: 1 });
    world.wait_in_vain(0, 0);
    world.add(vec![row], None);
    world.lanes.request_flush();
    // The flush wants a probe, and its row is set aside before it is written.
    let (groups, patience) = probe(&mut world, 1);
    assert_eq!((groups.len(), patience), (1, Patience::Probe { times: 1 }));
}

#[test]
fn rows_of_other_tables_in_a_probe_keep_it_brief() {
    let mut world = World::new(false);
    let row = |table, key| ModelRow {
        table,
        key,
        is_certain: true,
        is_wide: false,
    };
    world.add(vec![row(0, 1), row(1, 1)], None);
    world.lanes.request_flush();
    let lane = (0..LANES).find(|lane| world.take(*lane).is_some()).expect("a lane");
    world.wait_in_vain(lane, 0);
    for interval in [0, 500, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000, 2_000] {
        world.pass(interval);
        assert_eq!(probe(&mut world, 0), (vec![1], Patience::Usual));
        world.wait_in_vain(0, 0);
    }
}

#[test]
fn a_flush_waits_as_long_as_the_server_would() {
    let mut world = locked();
    world.lanes.request_flush();
    let started = world.now;
    let mut ended = None;
    for _ in 0..1_000 {
        if world.take(0).is_some() {
            world.wait_in_vain(0, 0);
        }
        if world.lanes.is_tried(2) {
            ended = Some(world.now - started);
            break;
        }
        world.pass(50);
    }
    let ended = ended.expect("a flush ends");
    assert!(ended >= SERVERS_OWN, "{ended:?}");
    assert!(ended <= SERVERS_OWN + Duration::from_millis(2_300), "{ended:?}");
}
