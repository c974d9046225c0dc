//! Many writers die: how many folders there are then, and what it takes to write what they left.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use write_buffer_core::buffer::recovery::{Recovered, Recovery, SUCCESSORS_MAX};
use write_buffer_core::settings::Settings;
use write_buffer_core::sink::Sink;

use super::{House, LONG, TABLE, add_to, spawn};
use crate::world::{StepSink, World};

/// One after the other, each of which recovers first, as a worker of a pool does.
const DEATHS: i64 = 60;

/// A process that dies once its rows are written, or before.
fn die(house: &mut House, table: &str, numbers: std::ops::Range<i64>, is_written: bool) {
    let buffer = house.buffer();
    let hold = (!is_written).then(|| buffer.hold());
    for number in numbers {
        add_to(&buffer, table, number);
    }
    if is_written {
        buffer.flush(None, &|| false).expect("written");
    }
    house.kill(buffer);
    std::mem::forget(hold);
}

#[test]
fn folders_do_not_pile_up() {
    let mut house = House::new();
    for death in 0..DEATHS {
        for recovered in house.recover() {
            assert!(recovered.error.is_none(), "{recovered:?}");
            assert_eq!(
                recovered.groups,
                u64::from(death % 3 == 0),
                "what is settled is not written"
            );
        }
        assert_eq!(house.folders(), [""; 0], "death {death}");
        // Two of three have written what they took.
        die(&mut house, TABLE, death..death + 1, death % 3 != 2);
        assert_eq!(house.folders().len(), 1, "death {death}");
    }
    house.recover();
    assert_eq!(house.folders(), [""; 0]);
    assert_eq!(house.rows(), (0..DEATHS).collect::<Vec<_>>());
    let ledger = house.store.ledger();
    let open = ledger
        .values()
        .filter(|row| row.position.as_deref() != Some("18446744073709551615@4294967295"));
    assert_eq!(open.count(), 0, "the rows in the ledger have ended: {ledger:?}");
}

/// A recovery whose connections are counted.
fn recover(world: &Arc<World>, house: &House, stops: &dyn Fn() -> bool) -> Vec<Recovered> {
    let process = world.begin(house.directory(), None);
    let make_sink = {
        let world = Arc::clone(world);
        Box::new(move |_: &Settings, _| Ok(Box::new(StepSink::new(&world, process)) as Box<dyn Sink>))
    };
    Recovery::new(house.settings(), make_sink, spawn)
        .expect("a recovery")
        .run(stops)
}

#[test]
fn a_pool_that_died_at_once_is_no_storm_of_connections() {
    let world = World::new(1, 0);
    let mut house = House::new();
    house.store = world.store.clone();
    let deaths = 5 * SUCCESSORS_MAX;
    for number in (0..).take(deaths) {
        die(&mut house, TABLE, number..number + 1, number % 2 == 0);
    }
    assert_eq!(house.folders().len(), deaths);
    let until = Instant::now() + LONG;
    let recovered = recover(&world, &house, &|| Instant::now() > until);
    assert_eq!(recovered.len(), deaths, "each of them once");
    let errors: Vec<_> = recovered
        .iter()
        .filter_map(|recovered| recovered.error.as_ref())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    let most = world.most_sinks.load(Ordering::Relaxed);
    assert!((2..=SUCCESSORS_MAX + 1).contains(&most), "{most} connections at a time");
    assert_eq!(house.folders(), [""; 0]);
    assert_eq!(house.rows().len(), deaths);
}

/// Those that wait for a table take each place, and the others come in turn all the same.
#[test]
fn a_table_that_takes_no_rows_holds_up_no_other_writer() {
    let world = World::new(1, 0);
    let mut house = House::new();
    house.store = world.store.clone();
    let blocked = i64::try_from(2 * SUCCESSORS_MAX).expect("few");
    for number in 0..blocked {
        die(&mut house, "blocked", number..number + 1, false);
        die(&mut house, TABLE, number..number + 1, false);
    }
    house.store.block_table("blocked", Some(1146));
    let until = Instant::now() + LONG;
    let all = usize::try_from(blocked).expect("few");
    let recovered = recover(&world, &house, &|| house.rows().len() == all || Instant::now() > until);
    assert_eq!(house.rows(), (0..blocked).collect::<Vec<_>>(), "{recovered:?}");
    house.store.block_table("blocked", None);
    let until = Instant::now() + LONG;
    let recovered = recover(&world, &house, &|| Instant::now() > until);
    assert!(
        recovered.iter().all(|recovered| recovered.error.is_none()),
        "{recovered:?}"
    );
    assert_eq!(house.folders(), [""; 0], "{recovered:?}");
    let most = world.most_sinks.load(Ordering::Relaxed);
    assert!(most <= SUCCESSORS_MAX + 1, "{most} connections at a time");
}
