//! Owns the portable form of a group: it says all of itself, and needs no catalog and no version of
//! the program that wrote it. So it is what a journal keeps, and what may travel.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version: 1 |
//! | 1 | 1 if there is a tag, else 0 |
//! | 2 | shapes |
//! | 4 | rows |
//! | 4 | bytes of the shapes |
//! | | the tag, if there is one: length in 2 bytes, text |
//! | | the shapes, one after the other |
//! | | of each row: its shape in 2 bytes, the bytes of its values in 4 |
//! | | the rows' values, one row after the other: [`crate::value`] |
//!
//! A shape: the kind of its rows in 1 byte, the table, the number of columns in 2 bytes, the
//! columns. Each name has its length in 2 bytes before it.
//!
//! Numbers are little-endian, names UTF-8. The parts come in that order so that an engine that has
//! them already copies each in one piece: a shape is [encoded](encode_shape) once and for all.
//!
//! Invariant: what [`GroupReader::new`] takes is whole: each name is a name, each row has its
//! shape and a value for each column. No bytes make it panic, or take more memory than themselves.

use crate::record::u32_at;
use crate::value::{TooLong, Value, Values};

/// The version of the form.
pub const VERSION: u8 = 1;
const HEAD_BYTES: usize = 12;
/// What stands of each row before the values.
pub const ROW_HEAD_BYTES: usize = 6;

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// To be written.
    Row,
    /// To change the row with its key, which must be there.
    Update,
    /// It names the row to delete: its columns are the key's, and maybe the guard.
    Deletion,
    /// As [`Self::Deletion`], by the key's values in the key's order: nobody knew its columns.
    DeletionByPlace,
}

impl RowKind {
    fn code(self) -> u8 {
        match self {
            Self::Row => 0,
            Self::Deletion => 1,
            Self::DeletionByPlace => 2,
            Self::Update => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Row,
            1 => Self::Deletion,
            2 => Self::DeletionByPlace,
            3 => Self::Update,
            _ => return None,
        })
    }
}

/// Encodes a table and the columns of its rows.
///
/// # Errors
///
/// A name or a list that is longer than 65,535.
pub fn encode_shape<'a>(
    kind: RowKind,
    table: &str,
    columns: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<u8>, TooLong> {
    let mut shape = vec![kind.code()];
    push_text(&mut shape, table)?;
    shape.extend_from_slice(&u16::try_from(columns.len()).map_err(|_| TooLong)?.to_le_bytes());
    for column in columns {
        push_text(&mut shape, column)?;
    }
    Ok(shape)
}

fn push_text(into: &mut Vec<u8>, text: &str) -> Result<(), TooLong> {
    into.extend_from_slice(&u16::try_from(text.len()).map_err(|_| TooLong)?.to_le_bytes());
    into.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Encodes what stands before the values. After it come the values of all rows.
///
/// `shapes` are [encoded](encode_shape) ones, `rows` each row's shape and the bytes of its values.
///
/// # Errors
///
/// More than the form has room for. `into` holds nothing of worth then.
pub fn encode_head<'s>(
    into: &mut Vec<u8>,
    tag: Option<&str>,
    shapes: impl ExactSizeIterator<Item = &'s [u8]> + Clone,
    rows: impl ExactSizeIterator<Item = (u16, u32)>,
) -> Result<(), TooLong> {
    let shape_bytes: usize = shapes.clone().map(<[u8]>::len).sum();
    into.extend_from_slice(&[VERSION, u8::from(tag.is_some())]);
    into.extend_from_slice(&u16::try_from(shapes.len()).map_err(|_| TooLong)?.to_le_bytes());
    for number in [rows.len(), shape_bytes] {
        into.extend_from_slice(&u32::try_from(number).map_err(|_| TooLong)?.to_le_bytes());
    }
    if let Some(tag) = tag {
        push_text(into, tag)?;
    }
    for shape in shapes {
        into.extend_from_slice(shape);
    }
    encode_rows(into, rows);
    Ok(())
}

/// Encodes the end of a group's head: the part that tells of its rows. What stands before it is the
/// same for groups with the same shapes, no tag, and as many rows.
pub fn encode_rows(into: &mut Vec<u8>, rows: impl ExactSizeIterator<Item = (u16, u32)>) {
    into.reserve(rows.len() * ROW_HEAD_BYTES);
    for (shape, bytes) in rows {
        let [shape_low, shape_high] = shape.to_le_bytes();
        let [a, b, c, d] = bytes.to_le_bytes();
        into.extend_from_slice(&[shape_low, shape_high, a, b, c, d]);
    }
}

/// Why bytes are no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// A later version wrote it.
    Version(u8),
    /// The bytes are none.
    Damaged,
}

/// A table and the columns of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape<'a> {
    /// What the rows are for.
    pub kind: RowKind,
    /// The table.
    pub table: &'a str,
    /// The columns.
    pub columns: Vec<&'a str>,
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row<'g, 'a> {
    /// Its table and columns.
    pub shape: &'g Shape<'a>,
    /// Its position among the shapes.
    pub shape_position: usize,
    /// Its values' bytes.
    pub encoded: &'a [u8],
}

impl<'a> Row<'_, 'a> {
    /// Its values.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> {
        Values::new(self.encoded)
    }
}

/// A group's parts. Its tables and columns are not read yet, so that whoever reads many groups need
/// not read the same ones each time.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    tag: Option<&'a str>,
    shape_count: u16,
    shape_bytes: &'a [u8],
    heads: &'a [u8],
    values: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads a group's parts.
    ///
    /// # Errors
    ///
    /// Why the bytes are none.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match bytes.first() {
            Some(&VERSION) => Self::read(bytes).ok_or(Malformed::Damaged),
            Some(version) => Err(Malformed::Version(*version)),
            None => Err(Malformed::Damaged),
        }
    }

    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let has_tag = match head.get(1)? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut rest = Reader(rest);
        let tag = if has_tag { Some(rest.text()?) } else { None };
        let shape_bytes = rest.take(usize::try_from(u32_at(head, 8)?).ok()?)?;
        let row_count = usize::try_from(u32_at(head, 4)?).ok()?;
        Some(Self {
            tag,
            shape_count: u16::from_le_bytes(*head.get(2..)?.first_chunk()?),
            shape_bytes,
            heads: rest.take(row_count.checked_mul(ROW_HEAD_BYTES)?)?,
            values: rest.0,
        })
    }

    /// The group's tag.
    pub fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// What its tables and columns are read from: how many shapes, and their bytes.
    pub fn unread_shapes(&self) -> (u16, &'a [u8]) {
        (self.shape_count, self.shape_bytes)
    }

    /// Reads its tables and columns.
    ///
    /// # Errors
    ///
    /// The bytes are none.
    pub fn shapes(&self) -> Result<Vec<Shape<'a>>, Malformed> {
        let mut bytes = Reader(self.shape_bytes);
        let shapes = (0..self.shape_count).map(|_| bytes.shape()).collect::<Option<_>>();
        shapes.filter(|_| bytes.0.is_empty()).ok_or(Malformed::Damaged)
    }

    /// Checks its rows, if its shapes have so many columns.
    ///
    /// # Errors
    ///
    /// A row that is none.
    pub fn check(&self, columns: impl Fn(usize) -> Option<usize>) -> Result<(), Malformed> {
        let (mut rows, mut bytes) = (0, 0);
        for (shape, encoded) in self.rows() {
            let mut values = Values::new(encoded);
            if Some(values.by_ref().count()) != columns(shape) || !values.rest().is_empty() {
                return Err(Malformed::Damaged);
            }
            rows += 1;
            bytes += encoded.len();
        }
        let is_whole = rows * ROW_HEAD_BYTES == self.heads.len() && bytes == self.values.len();
        is_whole.then_some(()).ok_or(Malformed::Damaged)
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        self.heads.len() / ROW_HEAD_BYTES
    }

    /// The rows, in order: of each the position of its shape, and its values.
    pub fn rows(&self) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        let mut values = Reader(self.values);
        self.heads.chunks_exact(ROW_HEAD_BYTES).map_while(move |head| {
            let shape = usize::from(u16::from_le_bytes(*head.first_chunk()?));
            let bytes = usize::try_from(u32_at(head, 2)?).ok()?;
            Some((shape, values.take(bytes)?))
        })
    }
}

/// A group, checked.
#[derive(Debug, Clone)]
pub struct GroupReader<'a> {
    parts: Parts<'a>,
    shapes: Vec<Shape<'a>>,
}

impl<'a> GroupReader<'a> {
    /// Reads a group.
    ///
    /// # Errors
    ///
    /// Why the bytes are none.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let parts = Parts::new(bytes)?;
        let shapes = parts.shapes()?;
        parts.check(|shape| shapes.get(shape).map(|shape| shape.columns.len()))?;
        Ok(Self { parts, shapes })
    }

    /// The group's tag.
    pub fn tag(&self) -> Option<&'a str> {
        self.parts.tag
    }

    /// Tables and columns.
    pub fn shapes(&self) -> &[Shape<'a>] {
        &self.shapes
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        self.parts.row_count()
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_, 'a>> {
        self.parts.rows().map_while(|(shape_position, encoded)| {
            Some(Row {
                shape: self.shapes.get(shape_position)?,
                shape_position,
                encoded,
            })
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    fn short(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes(*self.take(2)?.first_chunk()?)))
    }

    fn text(&mut self) -> Option<&'a str> {
        let bytes = self.short()?;
        std::str::from_utf8(self.take(bytes)?).ok()
    }

    fn shape(&mut self) -> Option<Shape<'a>> {
        let kind = RowKind::from_code(*self.take(1)?.first()?)?;
        let table = self.text()?;
        let columns = self.short()?;
        let columns = (0..columns).map(|_| self.text()).collect::<Option<_>>()?;
        Some(Shape { kind, table, columns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;
    use proptest::prelude::*;

    fn group(rows: &[Vec<Value<'_>>], tag: Option<&str>) -> Vec<u8> {
        let shapes = [
            encode_shape(RowKind::Row, "orders", ["id", "price"].into_iter()).expect("short"),
            encode_shape(RowKind::Deletion, "trades", ["id"].into_iter()).expect("short"),
        ];
        let (mut heads, mut values) = (Vec::new(), Vec::new());
        for row in rows {
            let start = values.len();
            for one in row {
                value::encode(*one, &mut values).expect("short");
            }
            let bytes = u32::try_from(values.len() - start).expect("short");
            heads.push((u16::from(row.len() == 1), bytes));
        }
        let mut bytes = Vec::new();
        let shapes = shapes.iter().map(Vec::as_slice);
        encode_head(&mut bytes, tag, shapes, heads.iter().copied()).expect("short");
        bytes.append(&mut values);
        bytes
    }

    fn any_value() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..40)
    }

    #[test]
    fn a_group_says_all_of_itself() {
        let rows = vec![
            vec![Value::Int(7), Value::Bytes(b"1.5\0")],
            vec![Value::Null],
            vec![Value::Float(0.5), Value::DateTime("2026-01-01 00:00:00.000000")],
        ];
        let bytes = group(&rows, Some("import"));
        let read = GroupReader::new(&bytes).expect("a group");
        assert_eq!((read.tag(), read.row_count()), (Some("import"), 3));
        let found: Vec<Vec<Value<'_>>> = read.rows().map(|row| row.values().collect()).collect();
        assert_eq!(found, rows);
        let tables: Vec<(&str, RowKind)> = read.rows().map(|row| (row.shape.table, row.shape.kind)).collect();
        let orders = ("orders", RowKind::Row);
        assert_eq!(tables, [orders, ("trades", RowKind::Deletion), orders]);
        assert_eq!(read.shapes()[0].columns, ["id", "price"]);
        assert_eq!(GroupReader::new(&group(&[], None)).expect("empty").row_count(), 0);
    }

    #[test]
    fn what_is_cut_or_longer_is_no_group() {
        let mut bytes = group(&[vec![Value::Int(7), Value::Null], vec![Value::Null]], None);
        for length in 0..bytes.len() {
            assert_eq!(
                GroupReader::new(&bytes[..length]).err(),
                Some(Malformed::Damaged),
                "{length}"
            );
        }
        bytes.push(0);
        GroupReader::new(&bytes).expect_err("longer");
        bytes.pop();
        bytes[0] = 2;
        assert_eq!(GroupReader::new(&bytes).err(), Some(Malformed::Version(2)));
    }

    #[test]
    fn a_row_has_a_value_for_each_column() {
        let bytes = group(&[vec![Value::Int(7), Value::Null]], None);
        let at = bytes.len() - 10 - ROW_HEAD_BYTES;
        let mut other = bytes.clone();
        other[at] = 1;
        GroupReader::new(&other).expect_err("two values for one column");
        other[at] = 2;
        GroupReader::new(&other).expect_err("no such shape");
        assert_eq!(bytes[at], 0, "it is the row's shape");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            is_version in any::<bool>(),
        ) {
            if let Some(first) = bytes.first_mut().filter(|_| is_version) {
                *first = VERSION;
            }
            if let Ok(read) = GroupReader::new(&bytes) {
                prop_assert_eq!(read.rows().count(), read.row_count());
            }
        }

        #[test]
        fn no_change_makes_it_panic(at in 0_usize..120, to in any::<u8>(), text in any_value()) {
            let mut bytes = group(&[vec![Value::Int(7), Value::Bytes(&text)], vec![Value::Null]], Some("t"));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            if let Ok(read) = GroupReader::new(&bytes) {
                prop_assert_eq!(read.rows().count(), read.row_count());
            }
        }
    }
}
