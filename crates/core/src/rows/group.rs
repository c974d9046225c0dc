//! A group: the rows of one `add()`.
//!
//! Invariant: it is taken whole, committed in one transaction, or given up whole.
//!
//! Bounds: a group has those that it was made with. They hold while it is gathered: a row or a long
//! string that passes them is refused before it is copied. Numbers and short strings are counted
//! when the next row begins, so the last row may pass the bounds by 4 MiB. The room in which rows
//! are encoded has at most 64 KiB.

use std::sync::Arc;

use crate::rows::arena::{GROUP_BYTES, Row, RowHead, Rows};
use crate::table::shape::Shape;
use crate::value::room::Room;
use crate::value::{STRING_OVERHEAD_BYTES, Value, ValueTooLong};

/// The memory that a group keeps for the next one, once it was written. One `add()` seldom needs
/// more.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// Strings up to this length are not held against the bounds one by one. A row has 4,096 columns.
const SHORT_BYTES: usize = 1024;

/// The sizes of the room in which a row is encoded at once. Longer rows are taken value by value.
const MIN_ROOM_BYTES: usize = 1024;
const MAX_ROOM_BYTES: usize = 64 * 1024;

/// Why a row or a value was not taken into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// A string longer than 4 GiB.
    ValueTooLong,
    /// The group passes its bounds: see [`Group::refused_size`].
    GroupTooLarge,
}

impl From<ValueTooLong> for PushError {
    fn from(ValueTooLong: ValueTooLong) -> Self {
        Self::ValueTooLong
    }
}

/// A position in a group that is being made.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    rows: usize,
    bytes: usize,
    has_tag: bool,
}

/// The rows of one `add()`, collected before any of them is taken.
#[derive(Debug)]
pub struct Group {
    pub(super) rows: Rows,
    max_rows: usize,
    max_bytes: usize,
    /// The bounds that it was made with.
    bounds: (usize, usize),
    /// The rows and bytes of the group that it will be appended to.
    before: (usize, usize),
    /// The rows and bytes that it would have, had it taken what it refused.
    refused: (usize, usize),
    /// What its caller calls it.
    tag: Option<Arc<str>>,
    /// Where a row is encoded before it is taken.
    room: Vec<u8>,
}

impl Default for Group {
    fn default() -> Self {
        Self::bounded(usize::MAX, usize::MAX)
    }
}

impl Group {
    /// An empty group that takes so many rows, and so many bytes of memory in a batch.
    pub fn bounded(max_rows: usize, max_bytes: usize) -> Self {
        Self {
            rows: Rows::default(),
            max_rows,
            max_bytes,
            bounds: (max_rows, max_bytes),
            before: (0, 0),
            refused: (0, 0),
            tag: None,
            room: Vec::new(),
        }
    }

    /// Gives it a tag, unless it has one.
    pub fn set_tag(&mut self, tag: Option<Arc<str>>) {
        if self.tag.is_none() {
            self.tag = tag;
        }
    }

    /// What its caller calls it.
    pub fn tag(&self) -> Option<&Arc<str>> {
        self.tag.as_ref()
    }

    /// The rows and the bytes that the group has with what it refused last.
    pub fn refused_size(&self) -> (usize, usize) {
        self.refused
    }

    /// The same rows with other shapes: `shape` returns the new one for each.
    ///
    /// # Errors
    ///
    /// As `shape`.
    pub fn reshaped<E>(mut self, shape: impl FnMut(&Arc<Shape>) -> Result<Arc<Shape>, E>) -> Result<Self, E> {
        let shapes = self.shapes().iter().map(shape).collect::<Result<_, E>>()?;
        self.rows.replace_shapes(shapes);
        Ok(self)
    }

    /// Begins a row. [`Self::push`] adds its values.
    ///
    /// # Errors
    ///
    /// The group passes its bounds.
    pub fn begin_row(&mut self, shape: &Arc<Shape>) -> Result<(), PushError> {
        if self.len() >= self.max_rows || self.rows.arena.len() >= self.max_bytes {
            return Err(self.refuse(1, size_of::<RowHead>()));
        }
        let shape = self.rows.shape(shape);
        let start = self.rows.arena.len();
        self.rows.heads.push(RowHead { shape, start });
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, rows: usize, bytes: usize) -> PushError {
        let (rows_before, bytes_before) = self.before;
        let bytes = bytes.saturating_add(bytes_before);
        self.refused = (self.len() + rows_before + rows, self.size_bytes().saturating_add(bytes));
        PushError::GroupTooLarge
    }

    /// Makes an empty group one that will be appended to `whole`: it has what that one's bounds
    /// leave, until it is [cleared](Self::clear).
    pub fn continue_from(&mut self, whole: &Self) {
        self.before = (whole.len(), whole.row_bytes());
        self.max_rows = whole.max_rows.saturating_sub(whole.len());
        self.max_bytes = whole.max_bytes.saturating_sub(whole.row_bytes());
    }

    /// Takes the rows of another group, behind its own, and its tag, if it has none itself.
    ///
    /// # Errors
    ///
    /// They pass its bounds. It is as it was.
    pub fn append(&mut self, other: &Self) -> Result<(), PushError> {
        let fits = self.len() + other.len() <= self.max_rows
            && self.size_bytes().saturating_add(other.row_bytes()) <= self.max_bytes;
        if !fits {
            return Err(self.refuse(other.len(), other.row_bytes()));
        }
        let offset = self.rows.arena.len();
        self.rows.arena.extend_from_slice(&other.rows.arena);
        for head in &other.rows.heads {
            if let Some(shape) = other.shapes().get(head.shape) {
                let shape = self.rows.shape(shape);
                let start = head.start + offset;
                self.rows.heads.push(RowHead { shape, start });
            }
        }
        self.set_tag(other.tag.clone());
        Ok(())
    }

    /// Makes room for a long string, if it is within the bounds, and not beyond them.
    #[cold]
    fn make_room(&mut self, text_bytes: usize) -> Result<(), PushError> {
        let needed = text_bytes.saturating_add(STRING_OVERHEAD_BYTES);
        if self.size_bytes().saturating_add(needed) > self.max_bytes {
            return Err(self.refuse(0, needed));
        }
        let most = self.max_bytes - (self.size_bytes() - self.rows.arena.len());
        let arena = &mut self.rows.arena;
        if arena.capacity() - arena.len() < needed {
            let larger = (2 * arena.capacity()).min(most).saturating_sub(arena.len());
            arena.reserve_exact(larger.max(needed));
        }
        Ok(())
    }

    /// The position at which the group ends now.
    pub fn mark(&self) -> Mark {
        Mark {
            rows: self.rows.heads.len(),
            bytes: self.rows.arena.len(),
            has_tag: self.tag.is_some(),
        }
    }

    /// Forgets all that came after a mark.
    pub fn rewind(&mut self, mark: Mark) {
        self.rows.heads.truncate(mark.rows);
        self.rows.arena.truncate(mark.bytes);
        if !mark.has_tag {
            self.tag = None;
        }
    }

    /// Adds a row whose values `encode` puts into a room, one after the other: it may begin again
    /// in a larger one. `false`: it returned `None`, the room is not to be larger, or the row
    /// passes the group's bounds. Then the group is as it was.
    #[inline]
    pub fn push_at_once(&mut self, shape: &Arc<Shape>, encode: impl Fn(&mut Room<'_>) -> Option<()>) -> bool {
        if self.len() >= self.max_rows || self.rows.arena.len() >= self.max_bytes {
            return false;
        }
        let bytes = loop {
            let mut room = Room::new(&mut self.room);
            let done = encode(&mut room);
            match (done, room.left()) {
                (Some(()), Some(left)) => break self.room.len() - left,
                (None, None) if self.room.len() < MAX_ROOM_BYTES => self.enlarge_room(),
                _ => return false,
            }
        };
        if bytes > SHORT_BYTES && self.make_room(bytes).is_err() {
            return false;
        }
        let shape = self.rows.shape(shape);
        let start = self.rows.arena.len();
        self.rows.heads.push(RowHead { shape, start });
        let encoded = self.room.get(..bytes).unwrap_or_default();
        self.rows.arena.extend_from_slice(encoded);
        true
    }

    #[cold]
    fn enlarge_room(&mut self) {
        let larger = (2 * self.room.len()).max(MIN_ROOM_BYTES);
        self.room.resize(larger, 0);
    }

    /// Adds a value to the row that was begun last.
    ///
    /// # Errors
    ///
    /// A string that is too long, or passes the group's bounds.
    pub fn push(&mut self, value: &Value<'_>) -> Result<(), PushError> {
        if let Value::Bytes(bytes) = value
            && bytes.len() > SHORT_BYTES
        {
            self.make_room(bytes.len())?;
        }
        Ok(value.encode(&mut self.rows.arena)?)
    }

    /// Begins a row and adds all its values.
    ///
    /// # Errors
    ///
    /// As [`Self::begin_row`] and [`Self::push`].
    pub fn push_row(&mut self, shape: &Arc<Shape>, values: &[Value<'_>]) -> Result<(), PushError> {
        self.begin_row(shape)?;
        values.iter().try_for_each(|value| self.push(value))
    }

    /// Begins a row whose values are encoded already, and adds them.
    ///
    /// # Errors
    ///
    /// The group passes its bounds.
    pub fn push_encoded(&mut self, shape: &Arc<Shape>, values: &[u8]) -> Result<(), PushError> {
        self.begin_row(shape)?;
        if values.len() > SHORT_BYTES {
            self.make_room(values.len())?;
        }
        self.rows.arena.extend_from_slice(values);
        Ok(())
    }

    /// The shapes of its rows: [`Self::encoded_rows`] names them by their positions.
    pub fn shapes(&self) -> &[Arc<Shape>] {
        self.rows.shapes()
    }

    /// Of each row the position of its shape, and the bytes of its values.
    pub fn encoded_rows(&self) -> impl ExactSizeIterator<Item = (usize, usize)> {
        let heads = &self.rows.heads;
        (0..heads.len()).map(|at| {
            let end = heads.get(at + 1).map_or(self.rows.arena.len(), |next| next.start);
            heads.get(at).map_or((0, 0), |head| (head.shape, end - head.start))
        })
    }

    /// The values of all rows, encoded one after the other.
    pub fn encoded_values(&self) -> &[u8] {
        &self.rows.arena
    }

    /// Its rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|at| self.rows.row(at))
    }

    /// A row, by its position.
    pub fn row(&self, at: usize) -> Option<Row<'_>> {
        self.rows.row(at)
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.heads.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.heads.is_empty()
    }

    /// The memory that it will take in a batch, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.row_bytes() + GROUP_BYTES + self.tag.as_deref().map_or(0, tag_bytes)
    }

    fn row_bytes(&self) -> usize {
        self.rows.arena.len() + self.len() * size_of::<RowHead>()
    }

    /// Empties it and keeps its memory for the next one, if that is little. Its bounds are those
    /// that it was made with.
    pub fn clear(&mut self) {
        (self.max_rows, self.max_bytes) = self.bounds;
        self.before = (0, 0);
        self.tag = None;
        self.rows.clear();
        if self.rows.reserved_bytes() > MAX_KEPT_BYTES {
            self.rows = Rows::default();
        }
    }
}

/// The memory that a tag takes in a batch.
pub(super) fn tag_bytes(tag: &str) -> usize {
    tag.len() + size_of::<(usize, Arc<str>)>() + 2 * size_of::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::catalog::Catalog;
    use crate::table::entry::TableId;

    fn shape() -> Arc<Shape> {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let columns = ["id".as_bytes(), "text".as_bytes()];
        catalog.shape(TableId(0), columns.into_iter()).expect("a shape")
    }

    #[test]
    fn what_passes_the_bounds_is_refused_before_it_is_copied() {
        let (shape, long) = (shape(), vec![b'x'; 40_000]);
        let mut group = Group::bounded(3, 100_000);
        let row = [Value::Int(1), Value::bytes(&long)];
        for _ in 0..2 {
            assert_eq!(group.push_row(&shape, &row), Ok(()));
        }
        let before = group.mark();
        assert_eq!(group.push_row(&shape, &row), Err(PushError::GroupTooLarge));
        let row_bytes = size_of::<RowHead>() + 9 + STRING_OVERHEAD_BYTES + long.len();
        assert_eq!(group.refused_size(), (3, 3 * row_bytes + GROUP_BYTES));
        group.rewind(before);
        assert_eq!(group.push_row(&shape, &[Value::Int(1), Value::Null]), Ok(()));
        assert_eq!(group.begin_row(&shape), Err(PushError::GroupTooLarge));
        assert_eq!(group.refused_size().0, 4);
    }

    #[test]
    fn short_values_are_counted_with_the_next_row() {
        let (shape, mut group) = (shape(), Group::bounded(usize::MAX, 10_000));
        let row = [Value::Int(1), Value::text("short")];
        let taken = (0..10_000).take_while(|_| group.push_row(&shape, &row).is_ok()).count();
        assert_eq!(taken, 10_000_usize.div_ceil(9 + STRING_OVERHEAD_BYTES + 5));
    }

    #[test]
    fn a_group_that_continues_another_has_what_its_bounds_leave() {
        let (shape, row) = (shape(), [Value::Int(1), Value::Null]);
        let mut whole = Group::bounded(3, 10_000);
        let mut part = Group::bounded(3, 10_000);
        for _ in 0..2 {
            part.clear();
            part.continue_from(&whole);
            assert_eq!(part.push_row(&shape, &row), Ok(()));
            assert_eq!(whole.append(&part), Ok(()));
        }
        part.clear();
        part.continue_from(&whole);
        assert_eq!(part.push_row(&shape, &row), Ok(()));
        let after_one = part.mark();
        assert_eq!(part.push_row(&shape, &row), Err(PushError::GroupTooLarge));
        assert_eq!(part.refused_size().0, 4);
        part.rewind(after_one);
        let long = vec![b'x'; 10_000 - whole.size_bytes()];
        assert_eq!(part.push(&Value::bytes(&long)), Err(PushError::GroupTooLarge));
        let bytes = whole.size_bytes() + part.size_bytes() + STRING_OVERHEAD_BYTES + long.len() - GROUP_BYTES;
        assert_eq!(part.refused_size(), (3, bytes));
        part.clear();
        for _ in 0..3 {
            assert_eq!(part.push_row(&shape, &row), Ok(()), "bounds of its own again");
        }
        let before = whole.mark();
        assert_eq!(whole.append(&part), Err(PushError::GroupTooLarge));
        assert_eq!(whole.refused_size().0, 5);
        assert_eq!(whole.len(), 2, "it is as it was");
        whole.rewind(before);
        let values: Vec<Vec<Value<'_>>> = whole.rows().map(|row| row.values().collect()).collect();
        assert_eq!(values, vec![row.to_vec(); 2]);
    }

    #[test]
    fn a_row_is_taken_at_once_or_leaves_nothing() {
        let (shape, mut group) = (shape(), Group::bounded(4, 2 * MAX_ROOM_BYTES));
        let push = |group: &mut Group, text: &[u8]| {
            group.push_at_once(&shape, |room| {
                room.int(7)?;
                room.bytes(text)
            })
        };
        let text = vec![b'x'; MAX_ROOM_BYTES];
        let mut taken: Vec<Vec<Value<'_>>> = Vec::new();
        for (bytes, is_taken) in [
            (3, true),
            (5_000, true),
            (MAX_ROOM_BYTES, false),
            (40_000, true),
            (5, true),
        ] {
            assert_eq!(push(&mut group, &text[..bytes]), is_taken, "{bytes}");
            if is_taken {
                taken.push(vec![Value::Int(7), Value::bytes(&text[..bytes])]);
            }
            let rows: Vec<Vec<Value<'_>>> = group.rows().map(|row| row.values().collect()).collect();
            assert_eq!(rows, taken);
        }
        // A row too many; and a value that it does not take.
        assert!(!push(&mut group, b"y"));
        group.clear();
        assert!(!group.push_at_once(&shape, |room| room.int(7).and(None)));
        assert!(group.is_empty() && group.encoded_values().is_empty());
        // Bytes too many.
        for is_taken in [true, true, false] {
            assert_eq!(push(&mut group, &text[..50_000]), is_taken);
        }
        assert_eq!(group.len(), 2);
    }

    #[test]
    fn the_memory_of_a_large_group_is_given_back_and_of_a_small_one_kept() {
        let (shape, mut group) = (shape(), Group::default());
        for (bytes, is_kept) in [(1_000, true), (2 * MAX_KEPT_BYTES, false)] {
            let text = vec![b'x'; bytes];
            group
                .push_row(&shape, &[Value::Int(1), Value::bytes(&text)])
                .expect("within the bounds");
            group.clear();
            assert!(group.is_empty());
            assert_eq!(group.rows.reserved_bytes() > 0, is_kept);
        }
    }

    #[test]
    fn the_first_tag_stays_and_goes_with_its_rows() {
        let tag = |group: &Group| group.tag().map(ToString::to_string);
        let mut whole = Group::default();
        let before = whole.mark();
        let mut part = Group::default();
        part.set_tag(Some("first".into()));
        assert_eq!(whole.append(&part), Ok(()));
        assert_eq!(tag(&whole).as_deref(), Some("first"));
        assert!(whole.size_bytes() > Group::default().size_bytes() + "first".len());
        let with_tag = whole.mark();
        part.clear();
        assert_eq!(tag(&part), None);
        part.set_tag(Some("second".into()));
        assert_eq!(whole.append(&part), Ok(()));
        whole.rewind(with_tag);
        assert_eq!(tag(&whole).as_deref(), Some("first"));
        whole.rewind(before);
        assert_eq!(tag(&whole), None);
    }
}
