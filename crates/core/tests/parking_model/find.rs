//! What `find()` finds of the model's rows.

use std::sync::Arc;

use proptest::prelude::*;
use write_buffer_core::buffer::find::{Found, TableIndex};
use write_buffer_core::table::entry::TableId;
use write_buffer_core::value::Value;

use crate::World;
use crate::steps::{KEYS, ModelRow, model};

impl World {
    /// The last row of each key is found, wherever it waits.
    pub fn find(&mut self, table: usize) -> Result<(), TestCaseError> {
        let model = Arc::new(model(&self.shapes[table][0].entry));
        for key in KEYS {
            let rows = self.pending.iter().flat_map(|number| {
                let rows = self.groups[number].rows.iter();
                rows.map(move |row| (*number, row))
            });
            let mut of_key = rows.filter(|(_, row)| row.table == table && row.key == key && row.is_certain);
            let expected = of_key.next_back().map(|(number, _)| Value::Int(number.cast_signed()));
            let lanes = &self.lanes;
            let mut look = |index: &mut TableIndex, wanted| {
                let queues = lanes.iter().map(|lane| &lane.queue);
                let seen = index.look(queues, lanes.parking(), wanted, &|_| None);
                (seen, lanes.pending_rows())
            };
            let found = self
                .finder
                .find(TableId(table), &model, &[(None, Value::Int(key))], &mut look)
                .expect("a key of the right form");
            let number = match found {
                Found::Row(row) => row
                    .into_iter()
                    .find(|(name, _)| **name == *"number")
                    .map(|(_, value)| value),
                Found::Nothing | Found::Deletion => None,
            };
            prop_assert_eq!(number, expected, "table {}, key {}", table, key);
        }
        Ok(())
    }
}

/// However many groups are parked, before and after the index knows them.
#[test]
fn a_find_reads_no_group_but_those_of_its_key() {
    let mut world = World::new(false);
    world.is_dropped[0] = true;
    let row = |key| ModelRow {
        table: 0,
        key,
        is_certain: true,
        is_wide: false,
    };
    for key in 0..5_000 {
        world.add(vec![row(key % 2_500)], None);
    }
    world.lanes.request_flush();
    world.rest().expect("it rests");
    assert_eq!(world.lanes.parking().rows(), 5_000);
    let model = Arc::new(model(&world.shapes[0][0].entry));
    for key in [7, 8] {
        let mut read = Vec::new();
        let lanes = &world.lanes;
        let mut look = |index: &mut TableIndex, wanted| {
            let queues = lanes.iter().map(|lane| &lane.queue);
            let seen = index.look(queues, lanes.parking(), wanted, &|_| None);
            read.push(seen.parked.rows(TableId(0)).count());
            (seen, lanes.pending_rows())
        };
        let key = [(None, Value::Int(key))];
        let found = world.finder.find(TableId(0), &model, &key, &mut look).expect("a key");
        assert!(matches!(found, Found::Row(_)));
        assert_eq!(read.pop(), Some(2));
        assert!(read.into_iter().all(|rows| rows == 0));
    }
}
