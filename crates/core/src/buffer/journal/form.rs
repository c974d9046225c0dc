//! A group in its portable form, and back. The values are encoded as the journal has them, so they
//! are copied in one piece.

use std::sync::Arc;

use write_buffer_journal::group::{self, Malformed, Parts, ROW_HEAD_BYTES};
use write_buffer_journal::lane::Beginning;

use crate::error::{Error, Result};
use crate::rows::group::{Group, PushError};
use crate::table::catalog::Catalog;
use crate::table::shape::{RowKind, Shape};

/// Encodes what stands before a group's [values](Group::encoded_values). What one group has of the
/// one before is not encoded again.
#[derive(Debug, Default)]
pub struct HeadEncoder {
    bytes: Vec<u8>,
    /// The shapes of the last group, if it had no tag,
    shapes: Vec<Arc<Shape>>,
    /// and how many rows.
    rows: usize,
    beginning: Beginning,
}

impl HeadEncoder {
    /// Encodes a group's [head](Self::head).
    ///
    /// # Errors
    ///
    /// The form has no room for so many rows, or so long names.
    pub fn encode(&mut self, group: &Group) -> Result<()> {
        if group.tag().is_none() && self.is_like(group) {
            self.bytes.truncate(self.bytes.len() - self.rows * ROW_HEAD_BYTES);
            group::encode_rows(&mut self.bytes, row_heads(group));
        } else {
            self.shapes.clear();
            encode_head(group, &mut self.bytes)?;
            self.rows = group.len();
            self.beginning = Beginning::of(self.bytes.len() - self.rows * ROW_HEAD_BYTES);
            if group.tag().is_none() {
                self.shapes.extend_from_slice(group.shapes());
            }
        }
        Ok(())
    }

    /// The last head, and how it begins: as the one before, if that is the same.
    pub fn head(&mut self) -> (&[u8], &mut Beginning) {
        (&self.bytes, &mut self.beginning)
    }

    fn is_like(&self, group: &Group) -> bool {
        let mut shapes = self.shapes.iter().zip(group.shapes());
        !self.shapes.is_empty()
            && self.rows == group.len()
            && self.shapes.len() == group.shapes().len()
            && shapes.all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

fn row_heads(group: &Group) -> impl ExactSizeIterator<Item = (u16, u32)> {
    // A group has 1 GiB at most, and so has a row: a position or a length that does not fit is
    // noticed by its shapes, or by the journal.
    group.encoded_rows().map(|(shape, bytes)| {
        (
            u16::try_from(shape).unwrap_or(u16::MAX),
            u32::try_from(bytes).unwrap_or(u32::MAX),
        )
    })
}

fn encode_head(group: &Group, head: &mut Vec<u8>) -> Result<()> {
    let too_large = || {
        Error::too_large(
            "a group has more rows or tables, or longer names, than a journal takes: add fewer rows at once",
        )
    };
    head.clear();
    if group
        .shapes()
        .iter()
        .any(|shape| shape.portable(encode_shape).is_none())
    {
        return Err(too_large());
    }
    let shapes = group
        .shapes()
        .iter()
        .map(|shape| shape.portable(encode_shape).unwrap_or_default());
    let tag = group.tag().map(|tag| &**tag);
    group::encode_head(head, tag, shapes, row_heads(group)).map_err(|_| too_large())
}

fn encode_shape(shape: &Shape) -> Option<Vec<u8>> {
    let kind = match shape.kind {
        RowKind::Row => group::RowKind::Row,
        RowKind::Update => group::RowKind::Update,
        RowKind::Deletion => group::RowKind::Deletion,
        RowKind::DeletionByPlace => group::RowKind::DeletionByPlace,
    };
    let columns = shape.columns.iter().map(|column| &**column);
    group::encode_shape(kind, &shape.entry.name.to_string(), columns).ok()
}

/// Reads groups back, for the tables of a catalog. What one group has of the one before is not
/// looked up again.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The last group's shapes, as they stand there: how many, and their bytes.
    unread: (u16, Vec<u8>),
    /// The same, read: each with the number of its columns.
    shapes: Vec<(Arc<Shape>, usize)>,
    group: Group,
}

impl Decoder {
    /// Reads a group. It is there until the next one is read.
    ///
    /// # Errors
    ///
    /// Bytes of a later version, or that are no group; a table or columns that this catalog
    /// refuses.
    pub fn decode(&mut self, payload: &[u8], catalog: &mut Catalog) -> Result<&Group> {
        self.decode_by(payload, |shape| look_up(shape, catalog))
    }

    /// Reads a group back whose shapes are among these.
    ///
    /// # Errors
    ///
    /// They are not; bytes that are no group.
    pub fn decode_known(&mut self, payload: &[u8], known: &[Arc<Shape>]) -> Result<&Group> {
        let is_it = |shape: &group::Shape<'_>, known: &Shape| {
            let columns = shape.columns.iter().map(|column| &**column);
            known.kind == kind_of(shape.kind)
                && known.columns.iter().map(|column| &**column).eq(columns)
                && known.entry.name.to_string() == shape.table
        };
        self.decode_by(payload, |shape| {
            let found = known.iter().find(|known| is_it(shape, known));
            found.cloned().ok_or_else(|| malformed(Malformed::Damaged))
        })
    }

    /// The group that was read last.
    pub fn into_group(self) -> Group {
        self.group
    }

    fn decode_by(
        &mut self,
        payload: &[u8],
        mut look_up: impl FnMut(&group::Shape<'_>) -> Result<Arc<Shape>>,
    ) -> Result<&Group> {
        let parts = Parts::new(payload).map_err(malformed)?;
        let unread = parts.unread_shapes();
        if (self.unread.0, self.unread.1.as_slice()) != unread {
            // Nothing is kept of shapes that are refused.
            self.unread = (0, Vec::new());
            self.shapes.clear();
            let shapes = parts.shapes().map_err(malformed)?;
            for shape in &shapes {
                self.shapes.push((look_up(shape)?, shape.columns.len()));
            }
            self.unread = (unread.0, unread.1.to_vec());
        }
        let shapes = &self.shapes;
        parts
            .check(|shape| shapes.get(shape).map(|(_, columns)| *columns))
            .map_err(malformed)?;
        self.group.clear();
        self.group.set_tag(parts.tag().map(Arc::from));
        for (shape, encoded) in parts.rows() {
            let Some((shape, _)) = shapes.get(shape) else { continue };
            self.group.push_encoded(shape, encoded).map_err(|error| match error {
                PushError::GroupTooLarge => Error::bug("a group without bounds has passed them"),
                PushError::ValueTooLong => Error::row("a value in the journal is longer than a row may have"),
            })?;
        }
        Ok(&self.group)
    }
}

fn malformed(malformed: Malformed) -> Error {
    match malformed {
        Malformed::Version(version) => Error::row(format!(
            "a later version of write_buffer wrote this group (form {version}): recover it with that version"
        )),
        Malformed::Damaged => Error::row("a group in the journal is no group, though its checksum is right"),
    }
}

fn kind_of(kind: group::RowKind) -> RowKind {
    match kind {
        group::RowKind::Row => RowKind::Row,
        group::RowKind::Update => RowKind::Update,
        group::RowKind::Deletion => RowKind::Deletion,
        group::RowKind::DeletionByPlace => RowKind::DeletionByPlace,
    }
}

fn look_up(shape: &group::Shape<'_>, catalog: &mut Catalog) -> Result<Arc<Shape>> {
    let table = catalog.table(shape.table)?;
    let columns = shape.columns.iter().map(|column| column.as_bytes());
    match kind_of(shape.kind) {
        RowKind::Row => catalog.shape(table, columns),
        RowKind::Update => catalog.update(table, columns),
        RowKind::Deletion => catalog.deletion(table, columns),
        RowKind::DeletionByPlace => catalog.deletion_by_place(table, shape.columns.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Value, Values};
    use proptest::prelude::*;
    use write_buffer_journal::value as portable;

    fn catalog() -> Catalog {
        Catalog::new(Some("shop"), &["orders", "trades"], "trades", Vec::new()).expect("a catalog")
    }

    fn form(group: &Group) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_head(group, &mut bytes).expect("a small group");
        bytes.extend_from_slice(group.encoded_values());
        bytes
    }

    fn rows(group: &Group) -> Vec<(String, RowKind, Vec<String>, Vec<Value<'static>>)> {
        let row = |row: crate::rows::arena::Row<'_>| {
            (
                row.shape.entry.name.to_string(),
                row.shape.kind,
                row.shape.columns.iter().map(ToString::to_string).collect(),
                row.values().map(Value::into_owned).collect(),
            )
        };
        group.rows().map(row).collect()
    }

    #[test]
    fn a_group_comes_back_as_it_was_taken() {
        let mut catalog = catalog();
        let table = |catalog: &mut Catalog, name| catalog.table(name).expect("a name");
        let names = |names: &'static [&'static str]| names.iter().map(|name| name.as_bytes());
        let orders = table(&mut catalog, "orders");
        let other = table(&mut catalog, "archive.`o.d`");
        let shapes = [
            catalog.shape(orders, names(&["id", "price"])).expect("a shape"),
            catalog.shape(other, names(&["Id", "é"])).expect("a shape"),
            catalog.update(orders, names(&["id", "price"])).expect("a shape"),
            catalog.deletion(orders, names(&["id", "version"])).expect("a shape"),
            catalog.deletion_by_place(orders, 2).expect("a shape"),
        ];
        let mut group = Group::default();
        group.set_tag(Some("import 7".into()));
        for (at, shape) in shapes.iter().chain(&shapes).enumerate() {
            let text = vec![b'\xff'; at * 100];
            let values = [Value::Int(-1), Value::Bytes(text.into())];
            group.push_row(shape, &values).expect("short");
        }
        let mut decoder = Decoder::default();
        let read = decoder.decode(&form(&group), &mut self::catalog()).expect("a group");
        assert_eq!(rows(read), rows(&group));
        assert_eq!(read.tag(), group.tag());
        assert_eq!(form(read), form(&group));
    }

    /// A group of a row with these columns of a table, each of them NULL.
    fn nulls(catalog: &mut Catalog, tables: &[(&str, &[&str])]) -> Group {
        let mut group = Group::default();
        for (name, columns) in tables {
            let table = catalog.table(name).expect("a name");
            let shape = catalog.shape(table, columns.iter().map(|name| name.as_bytes()));
            let values = vec![Value::Null; columns.len()];
            group.push_row(&shape.expect("a shape"), &values).expect("short");
        }
        group
    }

    #[test]
    fn groups_of_other_shapes_than_the_one_before_come_back() {
        let mut catalog = catalog();
        let orders = ("orders", ["id", "price"].as_slice());
        let other = ("orders", ["id", "count"].as_slice());
        let trades = ("trades", ["id"].as_slice());
        let groups: [&[(&str, &[&str])]; 7] = [
            &[orders],
            &[orders, trades],
            &[orders, trades],
            &[other, trades],
            &[orders],
            &[trades],
            &[trades, orders],
        ];
        let (mut decoder, mut own) = (Decoder::default(), self::catalog());
        for tables in groups {
            let group = nulls(&mut catalog, tables);
            let read = decoder.decode(&form(&group), &mut own).expect("a group");
            assert_eq!(rows(read), rows(&group));
        }
    }

    #[test]
    fn heads_that_begin_like_the_one_before_are_the_same() {
        let mut catalog = catalog();
        let orders = ("orders", ["id", "price"].as_slice());
        let other = ("orders", ["id", "count"].as_slice());
        let trades = ("trades", ["id"].as_slice());
        let mut groups = vec![
            nulls(&mut catalog, &[orders]),
            nulls(&mut catalog, &[orders, trades]),
            nulls(&mut catalog, &[trades, orders]),
            nulls(&mut catalog, &[other, trades]),
            nulls(&mut catalog, &[orders, orders]),
            nulls(&mut catalog, &[orders, trades, trades]),
            nulls(&mut catalog, &[orders, trades, orders]),
            Group::default(),
        ];
        let shape = groups[0].shapes()[0].clone();
        let mut long = Group::default();
        let text = vec![b'x'; 1000];
        long.push_row(&shape, &[Value::Int(7), Value::Bytes(text.into())])
            .expect("short");
        let mut tagged = nulls(&mut catalog, &[orders, trades]);
        tagged.set_tag(Some("import".into()));
        groups.extend([long, tagged]);
        let mut encoder = HeadEncoder::default();
        // Each after each.
        for first in &groups {
            for second in &groups {
                for group in [first, second] {
                    let mut wanted = Vec::new();
                    encode_head(group, &mut wanted).expect("small");
                    encoder.encode(group).expect("small");
                    assert_eq!(encoder.head().0, wanted);
                }
            }
        }
    }

    #[test]
    fn what_a_catalog_refuses_is_refused_again() {
        let mut catalog = catalog();
        let good = form(&nulls(&mut catalog, &[("orders", &["id"])]));
        let mut bad = form(&nulls(&mut catalog, &[("orders", &["id"]), ("a.b", &["id"])]));
        let name = bad.windows(3).position(|bytes| bytes == b"a.b").expect("it is there");
        bad[name + 2] = b'.';
        let mut decoder = Decoder::default();
        for _ in 0..2 {
            let refused = decoder.decode(&bad, &mut catalog).map(Group::len);
            refused.expect_err("no name");
            let read = decoder.decode(&good, &mut catalog);
            assert_eq!(read.expect("a group").len(), 1);
        }
    }

    #[test]
    fn bytes_that_are_no_group_are_an_error() {
        for bytes in [&[][..], &[2, 0, 0], &[1; 40]] {
            let refused = Decoder::default().decode(bytes, &mut catalog()).map(Group::len);
            refused.expect_err("no group");
        }
    }

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<f64>()
                .prop_filter("finite", |float| float.is_finite())
                .prop_map(Value::Float),
            prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| Value::Bytes(bytes.into())),
            Just(Value::DateTime("2026-01-01 00:00:00.000000".into())),
        ]
    }

    proptest! {
        /// The journal's form of a value is the engine's: otherwise a row could not be copied.
        #[test]
        fn both_crates_have_one_form_of_a_value(values in prop::collection::vec(any_value(), 0..8)) {
            let (mut own, mut other) = (Vec::new(), Vec::new());
            for value in &values {
                value.encode(&mut own).expect("short");
                let value = match value {
                    Value::Null => portable::Value::Null,
                    Value::Int(number) => portable::Value::Int(*number),
                    Value::Float(number) => portable::Value::Float(*number),
                    Value::Bytes(bytes) => portable::Value::Bytes(bytes),
                    Value::DateTime(text) => portable::Value::DateTime(text),
                };
                portable::encode(value, &mut other).expect("short");
            }
            prop_assert_eq!(&own, &other);
            prop_assert_eq!(portable::Values::new(&own).count(), values.len());
            prop_assert_eq!(Values::new(&other).collect::<Vec<_>>(), values);
        }
    }
}
