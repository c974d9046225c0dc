//! The tables and shapes that a buffer has met, by name.
//!
//! Bounds: [`MAX_TABLES`] tables, four spellings for each, [`MAX_SHAPES`] shapes. One shape or
//! spelling more, and all of them are forgotten. A forgotten shape lives on in the batches that use
//! it. A shape has at most [`MAX_COLUMNS`] names of 64 characters.
//!
//! Cost: a shape is found by a hash of its columns, however many there are.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use crate::error::{Error, Result};
use crate::ledger::LedgerUse;
use crate::table::entry::{TableEntry, TableId, unrepeatable};
use crate::table::name::TableName;
use crate::table::rules::{Mode, TableRules};
use crate::table::shape::{RowKind, Shape};

/// A bound on memory: more tables than an application writes to through one buffer.
pub const MAX_TABLES: usize = 1_000;
/// The most column sets that are remembered. An application has a few per table.
pub const MAX_SHAPES: usize = 1_000;
/// Spellings of tables' names that are remembered, for each table that there may be.
const SPELLINGS_PER_TABLE: usize = 4;
/// The most columns that MySQL allows in a table; InnoDB allows 1,017:
/// <https://dev.mysql.com/doc/refman/8.4/en/column-count-limit.html>.
pub const MAX_COLUMNS: usize = 4_096;

/// All tables, in order of first use.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The connection's database: a name with it is the name without it.
    database: Option<String>,
    tables: Vec<Arc<TableEntry>>,
    by_name: FxHashMap<TableName, TableId>,
    /// The same, by the names as they were spelled.
    by_spelling: FxHashMap<String, TableId>,
    /// By a hash of their columns: more than one after a collision alone.
    shapes: FxHashMap<(TableId, RowKind, u64), Vec<Arc<Shape>>>,
    shape_count: usize,
    configured: FxHashMap<TableName, TableRules>,
    insert_by_default: Option<TableName>,
    refuses_unrepeatable: bool,
    route_by: Option<String>,
}

impl Catalog {
    /// A catalog with the rules of `configured`, for a connection that uses `database`. The table
    /// `insert_by_default` (the trades) is insert-only unless its rules say otherwise.
    /// `first_tables` are written first, in this sequence.
    ///
    /// # Errors
    ///
    /// A table's name that no server takes; a table that is configured under two spellings.
    pub fn new(
        database: Option<&str>,
        first_tables: &[&str],
        insert_by_default: &str,
        configured: Vec<(String, TableRules)>,
    ) -> Result<Self> {
        let mut catalog = Self {
            database: database.map(str::to_owned),
            ..Self::default()
        };
        catalog.insert_by_default = Some(catalog.name(insert_by_default)?);
        for (spelled, rules) in configured {
            let name = catalog.name(&spelled)?;
            rules.check(&name)?;
            if catalog.configured.insert(name, rules).is_some() {
                return Err(Error::config(format!(
                    "tables names one table twice, the second time as {spelled:?}: give its rules once"
                )));
            }
        }
        for name in first_tables {
            catalog.table(name)?;
        }
        Ok(catalog)
    }

    fn name(&self, spelled: &str) -> Result<TableName> {
        Ok(TableName::parse(spelled)?.within(self.database.as_deref()))
    }

    /// The same catalog; with [`LedgerUse::Never`] it refuses rows that need a ledger. It checks
    /// the configured tables here, and other tables when their first row comes.
    ///
    /// # Errors
    ///
    /// A configured table that needs a ledger.
    pub fn with_ledger(mut self, ledger: LedgerUse) -> Result<Self> {
        self.refuses_unrepeatable = ledger == LedgerUse::Never;
        for table in self.tables.iter_mut().filter_map(Arc::get_mut) {
            table.refuses_unrepeatable = self.refuses_unrepeatable;
        }
        for (name, rules) in &self.configured {
            self.check_repeatable(name, rules, self.default_mode(name))?;
        }
        Ok(self)
    }

    /// The same catalog, with groups routed by this column.
    #[must_use]
    pub fn routed_by(mut self, column: Option<String>) -> Self {
        self.route_by = column;
        self
    }

    fn default_mode(&self, name: &TableName) -> Mode {
        if self.insert_by_default.as_ref() == Some(name) {
            Mode::Insert
        } else {
            Mode::Upsert
        }
    }

    fn check_repeatable(&self, name: &TableName, rules: &TableRules, default_mode: Mode) -> Result<()> {
        match rules.unrepeatable(default_mode).filter(|_| self.refuses_unrepeatable) {
            None => Ok(()),
            Some(why) => Err(unrepeatable(name, &why)),
        }
    }

    /// The table of that name. Its first use makes it known.
    ///
    /// # Errors
    ///
    /// A name that no server takes; more than [`MAX_TABLES`] tables.
    pub fn table(&mut self, spelled: &str) -> Result<TableId> {
        if let Some(id) = self.by_spelling.get(spelled) {
            return Ok(*id);
        }
        let name = self.name(spelled)?;
        let id = match self.by_name.get(&name) {
            Some(id) => *id,
            None => self.add_table(name)?,
        };
        if self.by_spelling.len() >= SPELLINGS_PER_TABLE * MAX_TABLES {
            self.by_spelling.clear();
        }
        self.by_spelling.insert(spelled.to_owned(), id);
        Ok(id)
    }

    fn add_table(&mut self, name: TableName) -> Result<TableId> {
        if self.tables.len() >= MAX_TABLES {
            return Err(Error::config(format!(
                "table {name}: one buffer writes to {MAX_TABLES} tables at most; use another buffer"
            )));
        }
        let id = TableId(self.tables.len());
        let rules = self.configured.get(&name).cloned().unwrap_or_default();
        let (mode, twin) = (self.default_mode(&name), self.case_twin(&name));
        let mut entry = TableEntry::new(name.clone(), rules, mode, twin);
        entry.refuses_unrepeatable = self.refuses_unrepeatable;
        self.tables.push(Arc::new(entry));
        self.by_name.insert(name, id);
        Ok(id)
    }

    /// A name in use, or with rules, that differs in letter case alone.
    fn case_twin(&self, name: &TableName) -> Option<String> {
        let folded = name.folded();
        let mut others = self.by_name.keys().chain(self.configured.keys());
        let twin = others.find(|other| *other != name && other.folded() == folded)?;
        Some(twin.to_string())
    }

    /// The table of that name, if it was used before.
    pub fn known_table(&self, spelled: &str) -> Option<TableId> {
        let known = self.by_spelling.get(spelled);
        known.or_else(|| self.by_name.get(&self.name(spelled).ok()?)).copied()
    }

    /// A table by its number.
    pub fn entry(&self, table: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(table.0)
    }

    /// Remembers the key that a model object named. A configured key and the server's own key come
    /// first.
    pub fn hint_key(&self, table: TableId, column: &str) {
        if let Some(entry) = self.tables.get(table.0) {
            entry.key_hint.get_or_init(|| column.to_owned());
        }
    }

    /// The shape with these columns, shared by all rows that have them.
    ///
    /// # Errors
    ///
    /// No column, more than [`MAX_COLUMNS`], or a column's name that no server takes.
    pub fn shape<'c>(&mut self, table: TableId, columns: impl Iterator<Item = &'c [u8]> + Clone) -> Result<Arc<Shape>> {
        self.shape_of_kind(table, RowKind::Row, columns)
    }

    /// The shape of a row that only updates the row with its key. Where no row can name another, it
    /// is one to be written.
    ///
    /// # Errors
    ///
    /// As [`Self::shape`].
    pub fn update<'c>(
        &mut self,
        table: TableId,
        columns: impl Iterator<Item = &'c [u8]> + Clone,
    ) -> Result<Arc<Shape>> {
        let kind = if self.known_entry(table)?.names_rows() {
            RowKind::Update
        } else {
            RowKind::Row
        };
        self.shape_of_kind(table, kind, columns)
    }

    /// The shape of a deletion whose columns have these names.
    ///
    /// # Errors
    ///
    /// As [`Self::shape`]; a table whose rows are not deleted.
    pub fn deletion<'c>(
        &mut self,
        table: TableId,
        columns: impl Iterator<Item = &'c [u8]> + Clone,
    ) -> Result<Arc<Shape>> {
        self.known_entry(table)?.check_deletion()?;
        self.shape_of_kind(table, RowKind::Deletion, columns)
    }

    /// The shape of a deletion that has so many values, in the key's order.
    ///
    /// # Errors
    ///
    /// As [`Self::deletion`].
    pub fn deletion_by_place(&mut self, table: TableId, values: usize) -> Result<Arc<Shape>> {
        let entry = self.known_entry(table)?;
        entry.check_deletion()?;
        let key = entry.known_key().filter(|key| key.len() == values);
        let (kind, names) = match key {
            Some(key) => (RowKind::Deletion, key),
            None => (
                RowKind::DeletionByPlace,
                (0..values).map(|place| place.to_string()).collect(),
            ),
        };
        self.shape_of_kind(table, kind, names.iter().map(String::as_bytes))
    }

    /// The shape of another catalog's, for the table of the same name here.
    ///
    /// # Errors
    ///
    /// As [`Self::table`] and [`Self::shape`].
    pub fn adopt(&mut self, shape: &Shape) -> Result<Arc<Shape>> {
        let table = self.table(&shape.entry.name.to_string())?;
        self.shape_of_kind(table, shape.kind, shape.columns.iter().map(|name| name.as_bytes()))
    }

    fn known_entry(&self, table: TableId) -> Result<&Arc<TableEntry>> {
        self.entry(table)
            .ok_or_else(|| Error::bug("a row's table is not known"))
    }

    fn shape_of_kind<'c>(
        &mut self,
        table: TableId,
        kind: RowKind,
        columns: impl Iterator<Item = &'c [u8]> + Clone,
    ) -> Result<Arc<Shape>> {
        let place = (table, kind, hash_of(columns.clone()));
        let known = self.shapes.get(&place);
        if let Some(shape) = known.and_then(|shapes| {
            let same = |shape: &&Arc<Shape>| shape.columns.iter().map(|name| name.as_bytes()).eq(columns.clone());
            shapes.iter().find(same)
        }) {
            return Ok(Arc::clone(shape));
        }
        let columns = columns.map(|name| {
            std::str::from_utf8(name).map(Box::from).map_err(|_| {
                let name_of_table = self
                    .entry(table)
                    .map_or_else(String::new, |entry| entry.name.to_string());
                Error::config(format!(
                    "table {name_of_table}: column \"{}\" is not UTF-8",
                    name.escape_ascii()
                ))
            })
        });
        let columns: Arc<[Box<str>]> = columns.collect::<Result<_>>()?;
        self.check_columns(table, &columns)?;
        if self.shape_count >= MAX_SHAPES {
            self.shapes.clear();
            self.shape_count = 0;
        }
        let entry = self.known_entry(table)?;
        self.check_repeatable(&entry.name, &entry.rules, entry.default_mode)?;
        let shape = Shape::new(table, Arc::clone(entry), columns, self.route_by.as_deref());
        let shape = Arc::new(shape.of_kind(kind));
        self.shapes.entry(place).or_default().push(Arc::clone(&shape));
        self.shape_count += 1;
        Ok(shape)
    }

    fn check_columns(&self, table: TableId, columns: &[Box<str>]) -> Result<()> {
        let name = || {
            self.entry(table)
                .map_or_else(String::new, |entry| entry.name.to_string())
        };
        if columns.is_empty() {
            return Err(Error::config(format!("table {}: a row has no column", name())));
        }
        if columns.len() > MAX_COLUMNS {
            return Err(Error::config(format!(
                "table {}: a row has {} columns; a table has {MAX_COLUMNS} at most",
                name(),
                columns.len()
            )));
        }
        for column in columns {
            // At most 64 characters of the basic plane, no NUL, no space at the end:
            // <https://dev.mysql.com/doc/refman/8.4/en/identifiers.html>.
            let legal = !column.is_empty()
                && column.chars().count() <= 64
                && !column.ends_with(' ')
                && column
                    .chars()
                    .all(|letter| letter != '\0' && u32::from(letter) <= 0xffff);
            if !legal {
                return Err(Error::config(format!("table {}: {column:?} is no column name", name())));
            }
        }
        Ok(())
    }
}

fn hash_of<'c>(columns: impl Iterator<Item = &'c [u8]>) -> u64 {
    let mut hasher = FxHasher::default();
    columns.for_each(|name| name.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_compared_with_few_others() {
        let mut catalog = Catalog::new(None, &["t", "u"], "none", Vec::new()).expect("a catalog");
        let mut shape = |table, column: usize| {
            let names = ["id".to_owned(), format!("c{column}")];
            let columns = names.iter().map(String::as_bytes);
            catalog.shape(TableId(table), columns).expect("a shape")
        };
        let sets = MAX_SHAPES / 2;
        let first: Vec<_> = (0..2 * sets).map(|at| shape(at % 2, at / 2)).collect();
        for (at, known) in first.iter().enumerate() {
            let again = shape(at % 2, at / 2);
            assert!(Arc::ptr_eq(known, &again));
            assert_eq!(
                (again.table.0, &*again.columns[1]),
                (at % 2, format!("c{}", at / 2).as_str())
            );
        }
        let most = catalog.shapes.values().map(Vec::len).max();
        assert!(most <= Some(3), "{most:?} shapes of one hash");
    }

    #[test]
    fn a_columns_end_is_no_other_columns_begin() {
        let mut catalog = Catalog::new(None, &["t"], "none", Vec::new()).expect("a catalog");
        let mut shape = |columns: &[&str]| {
            let names = columns.iter().map(|name| name.as_bytes());
            catalog.shape(TableId(0), names).expect("a shape")
        };
        let shapes = [shape(&["ab", "c"]), shape(&["a", "bc"]), shape(&["c", "ab"])];
        let columns: Vec<_> = shapes.iter().map(|shape| shape.columns.join(",")).collect();
        assert_eq!(columns, ["ab,c", "a,bc", "c,ab"]);
    }
}
