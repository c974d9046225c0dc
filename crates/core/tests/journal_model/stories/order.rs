//! What has to be so before something else may happen.

use std::sync::Arc;

use write_buffer_core::buffer::background::BackgroundBuffer;
use write_buffer_core::settings::JournalSync;

use super::{House, LONG, add, numbers, spawn};
use crate::world::{StepSink, World};

#[test]
fn a_living_process_keeps_its_folder() {
    let house = House::new();
    let buffer = house.buffer();
    let hold = buffer.hold();
    add(&buffer, 1);
    for _ in 0..3 {
        let recovered = house.recover();
        assert!(recovered.is_empty(), "{recovered:?}");
        assert_eq!((house.folders().len(), house.rows()), (1, Vec::new()));
    }
    drop(hold);
    buffer.flush(Some(LONG), &|| false).expect("written");
    assert_eq!(house.rows(), [1]);
    buffer.stop();
    assert_eq!(house.folders(), [""; 0]);
}

#[test]
fn commit_waits_until_the_notes_before_it_are_on_the_disk() {
    let mut house = House::new();
    house.sync = JournalSync::Always;
    let world = World::new(1, 0);
    world.lock().commits_are_synced = true;
    let process = world.begin(house.directory(), None);
    let sink = Box::new(StepSink::new(&world, process));
    let buffer = BackgroundBuffer::new(house.settings(), vec![sink], spawn).expect("a buffer");
    let buffer = Arc::new(buffer);
    world.lock().processes[process].buffer = Some(Arc::clone(&buffer));
    for number in 1..=3 {
        let hold = buffer.hold();
        // Nothing comes meanwhile that is synced for another reason.
        add(&buffer, number);
        drop(hold);
        buffer.flush(Some(LONG), &|| false).expect("written");
    }
    buffer.stop();
    world.lock().processes[process].buffer = None;
    assert_eq!(world.lock().wrong, [""; 0]);
    assert_eq!(numbers(&world.store), [1, 2, 3]);
}
