//! A row's columns, bound to their table's model: the key, the guard, and each column's rule and
//! kind.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::error::{Error, Result};
use crate::table::column::ColumnKind;
use crate::table::domain::Domain;
use crate::table::guarded::{Beside, beside};
use crate::table::model::TableModel;
use crate::table::rules::{MergeRule, Mode};
use crate::table::shared_update::SharedUpdate;
use crate::value::decimal::{Decimal, number};
use crate::value::{Value, Values};

/// A row's columns, bound to their table: the key, the guard, and each column's rule and kind.
#[derive(Debug, Clone)]
pub struct BoundColumns {
    /// The table.
    pub model: Arc<TableModel>,
    /// The columns' names, in the row's order.
    pub columns: Arc<[Box<str>]>,
    /// Positions of the key's columns, in the key's order. Empty: an insert-only row without its
    /// key, or a row that the server numbers.
    pub key: Vec<usize>,
    /// The guard's position.
    pub guard: Option<usize>,
    /// Each column's rule.
    pub rules: Vec<MergeRule>,
    /// Each column's kind.
    pub kinds: Vec<ColumnKind>,
    /// The row names one to delete.
    pub is_deletion: bool,
    /// The values that each column takes for certain, and whether it takes NULL.
    pub domains: Vec<(Domain, bool)>,
    /// Whether a CHECK or a generated column depends on the value, by column.
    pub(super) checked: Vec<bool>,
    /// Whether a foreign key has the column.
    pub(super) references: Vec<bool>,
    /// Whether a row without the column may be refused for the column's default.
    pub(super) default_is_checked: Vec<bool>,
    /// The row lacks a column that the server then sets at each change.
    pub(super) lacks_column_set_on_update: bool,
    /// The server takes the defaults of all columns that the row lacks.
    pub defaults_are_taken: bool,
    /// A part of the key for whose 0 the server makes a number.
    pub(super) numbered_key: Option<usize>,
    /// Why the row can only update. `None`: it may insert.
    pub only_updates: Option<OnlyUpdates>,
    /// How rows that can only update share an UPDATE, if they may.
    pub shared_update: Option<SharedUpdate>,
    /// In a row that can only update: the columns that its guard decides about, and for whose
    /// values an UPDATE might not be refused.
    pub(super) guarded: Vec<usize>,
    /// The columns whose values are assigned as they are, beside a guard.
    pub as_they_are: Vec<(usize, Beside)>,
    /// The checks of each row's values, by column, in the columns' order.
    pub(super) checks: Vec<(usize, Check)>,
}

/// Why a row can only update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlyUpdates {
    /// It lacks this column, which an INSERT needs.
    Lacks(String),
    /// Whoever gave it says so: its row was there.
    Asked,
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// Part of the key: not NULL.
    Key,
    /// Part of the key, for whose 0 the server makes a number: neither NULL nor 0.
    NumberedKey,
    /// Part of the key of a row to delete: not NULL.
    DeletedKey,
    /// The guard: not NULL.
    Guard,
    /// Under `sum`: a number.
    Number,
    /// The guard of a deletion, if its column holds numbers: a number.
    ComparedNumber,
    /// In a row that can only update: what the column takes. An insert would be refused for it; an
    /// update that adds or compares the value would not.
    Fitting,
    /// An ENUM or a SET that is compared, in a row that can only update or in a deletion:
    /// [members by their names](Domain::is_by_name).
    Member,
    /// Part of the key of a row that can only update: what finds the row that an insert would meet.
    LookedUp,
}

impl TableModel {
    /// The checks of a row that can only update, beside those of any row.
    fn checks_of_update(&self, columns: &[Box<str>], rules: &[MergeRule], key: &[usize]) -> Vec<(usize, Check)> {
        let mut checks: Vec<_> = key.iter().map(|at| (*at, Check::LookedUp)).collect();
        for (at, (column, rule)) in columns.iter().zip(rules).enumerate() {
            if self.is_checked_first(column, *rule, key.contains(&at)) {
                checks.push((at, Check::Fitting));
            }
            if self.has_members(column) && (self.is_guard(column) || matches!(rule, MergeRule::Min | MergeRule::Max)) {
                checks.push((at, Check::Member));
            }
        }
        checks
    }

    fn is_guard(&self, column: &str) -> bool {
        self.guard().is_some_and(|guard| guard.eq_ignore_ascii_case(column))
    }

    /// Whether the column is an ENUM or a SET.
    pub(super) fn has_members(&self, column: &str) -> bool {
        matches!(self.domain(column).0, Domain::Enum(_) | Domain::Set(_))
    }

    /// Where the key's columns stand. Empty: the row lacks one, and is inserted without it.
    fn key_positions(&self, position: &impl Fn(&str) -> Option<usize>) -> Result<Vec<usize>> {
        let mut key = Vec::with_capacity(self.key.len());
        let mut is_whole = true;
        for name in &self.key {
            match position(name) {
                Some(at) => key.push(at),
                None if self.mode == Mode::Insert => is_whole = false,
                // A table has one such column.
                None if self.column(name).is_some_and(|column| column.is_auto_increment) => is_whole = false,
                None => return Err(self.lacks_key_column(name)),
            }
        }
        if !is_whole {
            key.clear();
        }
        Ok(key)
    }

    fn lacks_key_column(&self, name: &str) -> Error {
        Error::config(format!(
            "table {}: a row has no key column {name}; give it a value, or configure another key in `tables`",
            self.name
        ))
    }

    /// Whether a row that can only update is refused here if the column refuses its value. Its
    /// guard may turn it away, and then the server looks at no other value: see
    /// [`mod@super::guarded`].
    fn is_checked_first(&self, column: &str, rule: MergeRule, is_key: bool) -> bool {
        // A key that no row has is looked for in vain. But MariaDB cannot compare a text column
        // with characters that its character set lacks.
        let is_text_key = is_key && matches!(self.kind(column), ColumnKind::Text(_));
        match self.guard() {
            Some(_) => is_text_key || self.is_guard(column),
            None => is_text_key || rule.computes(),
        }
    }

    /// Binds a row's columns to the table.
    ///
    /// # Errors
    ///
    /// Columns with which no row can be written: the key or the guard is missing, a column stands
    /// twice, its name cannot stand in a statement, or a second unique index could make the row hit
    /// another one.
    pub fn bind(self: &Arc<Self>, columns: &Arc<[Box<str>]>) -> Result<BoundColumns> {
        self.bind_row(columns, false)
    }

    /// Binds the columns of a row that only updates the row with its key.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`]; a table whose rows are inserted only, or whose key is the server's to
    /// know.
    pub fn bind_update(self: &Arc<Self>, columns: &Arc<[Box<str>]>) -> Result<BoundColumns> {
        if !self.rules.key.names_rows(self.mode) {
            return Err(Error::config(format!(
                "table {}: a row that only updates names its row by a key, and rows of this table are only inserted, or their \
                 key is the server's to know: give the whole row, or run the UPDATE yourself",
                self.name
            )));
        }
        self.bind_row(columns, true)
    }

    fn bind_row(self: &Arc<Self>, columns: &Arc<[Box<str>]>, is_update: bool) -> Result<BoundColumns> {
        let position = |name: &str| columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        for (at, column) in columns.iter().enumerate() {
            if position(column) != Some(at) {
                return Err(Error::config(format!(
                    "table {}: column {column} is given twice in one row; the server compares column names without case",
                    self.name
                )));
            }
        }
        if let Some(schema) = &self.schema {
            for column in columns.iter() {
                let what = format_args!("table {}: column {column}", self.name);
                schema.names.check(column, &what)?;
            }
        }
        let key = self.key_positions(&position)?;
        let is_numbered = key.is_empty() && self.mode == Mode::Upsert && !self.key.is_empty();
        if is_update && let Some(lacked) = self.key.iter().find(|name| position(name).is_none()) {
            return Err(self.lacks_key_column(lacked));
        }
        let guard = match self.guard() {
            None => None,
            Some(guard) => Some(
                position(guard)
                    .ok_or_else(|| Error::config(format!("table {}: a row has no guard column {guard}", self.name)))?,
            ),
        };
        if !is_numbered {
            self.check_other_unique(&position)?;
        }
        let lacked = match (&self.schema, self.mode) {
            (Some(schema), Mode::Upsert) if !self.key.is_empty() && !is_numbered => schema
                .columns
                .iter()
                .find(|column| column.is_required && position(&column.name).is_none())
                .map(|column| OnlyUpdates::Lacks(column.name.clone())),
            _ => None,
        };
        let only_updates = is_update.then_some(OnlyUpdates::Asked).or(lacked);
        let makes_number = |at: &usize| {
            columns
                .get(*at)
                .is_some_and(|column| self.makes_number_for_zero(column))
        };
        let numbered_key = key.iter().copied().find(makes_number);
        let rules: Vec<_> = columns.iter().map(|column| self.rule(column)).collect();
        let mut checks: Vec<_> = guard.iter().map(|at| (*at, Check::Guard)).collect();
        if self.mode == Mode::Upsert {
            let check = |at: &usize| {
                (
                    *at,
                    if numbered_key == Some(*at) {
                        Check::NumberedKey
                    } else {
                        Check::Key
                    },
                )
            };
            checks.extend(key.iter().map(check));
        }
        let is_summed = |at: &usize| rules.get(*at) == Some(&MergeRule::Sum);
        checks.extend((0..columns.len()).filter(is_summed).map(|at| (at, Check::Number)));
        if only_updates.is_some() {
            checks.extend(self.checks_of_update(columns, &rules, &key));
        }
        let guarded = self.guarded_columns(columns, &key, guard.filter(|_| only_updates.is_some()), &rules);
        let shared_update = only_updates
            .as_ref()
            .and_then(|_| SharedUpdate::of(self, columns, &key, guard, &rules));
        // A column's checks stand together: a guard is outside the key, and neither has a rule.
        checks.sort_unstable_by_key(|(at, _)| *at);
        Ok(BoundColumns {
            checks,
            rules,
            kinds: columns.iter().map(|column| self.kind(column)).collect(),
            domains: columns.iter().map(|column| self.domain(column)).collect(),
            checked: columns.iter().map(|column| self.is_checked(column)).collect(),
            references: columns.iter().map(|column| self.is_reference(column)).collect(),
            default_is_checked: columns.iter().map(|column| self.default_is_checked(column)).collect(),
            defaults_are_taken: self.takes_defaults(|name| position(name).is_some()),
            lacks_column_set_on_update: self.columns_set_on_update().any(|name| position(name).is_none()),
            numbered_key,
            columns: Arc::clone(columns),
            key,
            guard,
            only_updates,
            is_deletion: false,
            shared_update,
            guarded,
            as_they_are: Vec::new(),
            model: Arc::clone(self),
        })
    }
}

impl BoundColumns {
    /// Whether writing such rows twice does no harm.
    pub fn is_repeatable(&self) -> bool {
        self.model.is_repeatable() && (!self.is_numbered() || self.model.rules.repeatable)
    }

    /// Whether the row lacks the `AUTO_INCREMENT` column of its key, and nothing else of it. It is
    /// a new row, whose key the server makes.
    pub fn is_numbered(&self) -> bool {
        self.key.is_empty() && self.model.mode == Mode::Upsert && !self.model.key.is_empty()
    }

    /// The error of a row that can only update, if no row has its key.
    pub fn missing_row(&self) -> Error {
        let (name, no_row) = (
            &self.model.name,
            format!("there is no row with its key ({})", self.model.key.join(", ")),
        );
        Error::row(match &self.only_updates {
            Some(OnlyUpdates::Lacks(column)) => {
                format!(
                    "table {name}: a row without column {column} can only update, and {no_row}; add the whole row first"
                )
            }
            _ => format!("table {name}: an update of a row that is gone: {no_row}"),
        })
    }

    /// The position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// Checks one row's values, in the columns' order. Reads no further than the last column that
    /// has a check.
    ///
    /// # Errors
    ///
    /// NULL in the key or in the guard; a value under `sum` that is no number.
    pub fn check<'v>(&self, mut values: impl Iterator<Item = Value<'v>>) -> Result<()> {
        let (mut read, mut value) = (0, Value::Null);
        for (at, check) in &self.checks {
            // A column may have two checks.
            if *at >= read {
                value = values.nth(at - read).unwrap_or(Value::Null);
                read = at + 1;
            }
            let passes = match check {
                Check::Number => number(&value).is_some(),
                Check::ComparedNumber => is_number(&value),
                Check::Key | Check::DeletedKey | Check::Guard => !value.is_null(),
                Check::NumberedKey => !value.is_null() && !is_zero(&value),
                Check::Fitting => !self.domains.get(*at).is_some_and(|(domain, _)| domain.refuses(&value)),
                Check::Member => {
                    value.is_null()
                        || self
                            .domains
                            .get(*at)
                            .is_some_and(|(domain, _)| domain.is_by_name(&value))
                }
                Check::LookedUp => self.kinds.get(*at).is_some_and(|kind| kind.may_be_looked_up(&value)),
            };
            if !passes {
                return Err(self.refused(*at, *check));
            }
        }
        Ok(())
    }

    fn refused(&self, at: usize, check: Check) -> Error {
        let (name, column) = (&self.model.name, self.columns.get(at).map_or("?", |column| column));
        Error::config(match check {
            Check::Key => {
                format!("table {name}: key column {column} is null; a row without its key cannot be written")
            }
            Check::DeletedKey => {
                format!("table {name}: key column {column} is null; a row is deleted by its whole key")
            }
            Check::ComparedNumber => {
                format!("table {name}: guard column {column} takes a number: an int, or a string such as '12.50'")
            }
            Check::Fitting => format!(
                "table {name}: column {column} does not take this value: it is out of range, too long or not in the column's character set"
            ),
            Check::Member => format!(
                "table {name}: column {column} is compared here, and this is no member's name as the column has it (several \
                 members in its own order)"
            ),
            Check::LookedUp => format!(
                "table {name}: key column {column} holds numbers, and the row can only update: such a row finds its row by a \
                 number only; give the key as an int"
            ),
            Check::NumberedKey => format!(
                "table {name}: key column {column} is null or 0, for which the server makes a fresh number; give the row its \
                 key, or leave {column} out: it is a new row then"
            ),
            Check::Guard => {
                format!("table {name}: guard column {column} is null; a row without its guard cannot be compared")
            }
            Check::Number => format!(
                "table {name}: column {column} is summed and takes a number: an int, or a string such as '12.50'"
            ),
        })
    }

    /// Appends the row's key form (see [`ColumnKind::key`]). `value` returns the value of a column.
    /// Returns `None` if only the server can tell whether another row has the same key.
    pub fn append_key<'v, V: Borrow<Value<'v>>>(
        &self,
        value: impl Fn(usize) -> Option<V>,
        key: &mut Vec<u8>,
    ) -> Option<()> {
        if self.key.is_empty() || !self.model.keys_are_certain() {
            return None;
        }
        if let Some(at) = self.numbered_key
            && is_zero(value(at)?.borrow())
        {
            return None;
        }
        for at in &self.key {
            let (kind, value) = (self.kinds.get(*at)?, value(*at)?);
            let value = value.borrow();
            // An insert rounds its key to the column's scale, or pads it; an update and a deletion
            // look for it as it is.
            let is_looked_for = self.is_deletion || self.only_updates.is_some();
            if is_looked_for && !kind.holds_as_it_is(value) {
                return None;
            }
            kind.key(value, key)?;
        }
        Some(())
    }

    /// A hash of the row's key form. Leaves the key form in `key`. `None` as for
    /// [`Self::append_key`].
    pub fn key_hash(&self, values: &Values<'_>, key: &mut Vec<u8>) -> Option<u64> {
        key.clear();
        self.append_key(|at| values.clone().nth(at), key)?;
        Some(FxBuildHasher.hash_one(&*key))
    }

    /// Whether the server takes the column's value for certain, whatever the row's others are.
    pub fn takes(&self, at: usize, value: &Value<'_>) -> bool {
        self.domains.get(at).is_some_and(|(domain, is_nullable)| {
            if value.is_null() {
                *is_nullable
            } else {
                domain.takes(value)
            }
        })
    }

    /// Whether a row without the column may be refused for the column's default, also if it then
    /// only updates.
    pub fn default_is_checked(&self, at: usize) -> bool {
        self.default_is_checked.get(at).copied().unwrap_or(true)
    }

    /// Whether a foreign key, a CHECK or a generated column depends on the column's value.
    pub fn is_examined(&self, at: usize) -> bool {
        self.checked.get(at).copied().unwrap_or(true) || self.references.get(at).copied().unwrap_or(true)
    }

    /// Whether the server sets a column at each change of such a row.
    pub fn lacks_column_set_on_update(&self) -> bool {
        self.lacks_column_set_on_update
    }

    /// Whether a row that can only update may share an UPDATE with others, none of which has its
    /// key. Its key has a key form.
    pub fn shares_update(&self, values: &[Value<'_>]) -> bool {
        let shared = self.shared_update.as_ref();
        shared.is_some_and(|shared| shared.takes(values, &self.kinds, &self.domains))
    }

    /// The columns of a row that can only update, if it has values to be assigned as they are.
    pub fn assigning_as_they_are(&self, values: &[Value<'_>]) -> Option<Arc<Self>> {
        let beside = |at: &usize| {
            let (domain, _) = self.domains.get(*at)?;
            Some((*at, beside(domain, *self.rules.get(*at)?, values.get(*at)?)?))
        };
        let as_they_are: Vec<_> = self.guarded.iter().filter_map(beside).collect();
        if as_they_are.is_empty() {
            return None;
        }
        let mut bound = self.clone();
        for (at, _) in &as_they_are {
            if let Some(rule) = bound.rules.get_mut(*at) {
                *rule = MergeRule::Replace;
            }
        }
        bound.as_they_are = as_they_are;
        Some(Arc::new(bound))
    }

    /// Whether the column's value is assigned as it is, beside a guard.
    pub fn is_as_it_is(&self, at: usize) -> bool {
        self.as_they_are.iter().any(|(column, _)| *column == at)
    }

    /// What a column is to be beside its value.
    pub fn beside(&self, at: usize) -> Beside {
        let found = self.as_they_are.iter().find(|(column, _)| *column == at);
        found.map_or(Beside::Itself, |(_, beside)| *beside)
    }

    /// Whether a lenient server refuses the row alone, and takes it beside others: it has NULL for
    /// a column that takes none.
    pub fn must_go_alone(&self, values: &[Value<'_>]) -> bool {
        self.model.refuses_null_alone()
            && values
                .iter()
                .zip(&self.domains)
                .any(|(value, (_, is_nullable))| value.is_null() && !is_nullable)
    }

    /// Compares two values of a column as the server does. `None` if only the server can tell.
    pub fn compare(&self, at: usize, left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
        self.kinds.get(at)?.compare(left, right)
    }
}

/// Whether the server takes the value for a number: spaces around it are no part of it.
fn is_number(value: &Value<'_>) -> bool {
    match value {
        Value::Bytes(bytes) => Decimal::parse(bytes.trim_ascii()).is_some(),
        value => number(value).is_some(),
    }
}

fn is_zero(value: &Value<'_>) -> bool {
    number(value).is_some_and(|number| number.round(0).is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::column::Column;
    use crate::table::name::TableName;
    use crate::table::rules::TableRules;
    use crate::table::schema::{TableSchema, UniqueIndex};

    /// A table of a key of this kind and a column that an INSERT must name.
    fn bound(kind: ColumnKind, columns: &[&str]) -> BoundColumns {
        let column = |name: &str, kind| Column {
            name: name.to_owned(),
            kind,
            is_required: true,
            ..Column::default()
        };
        let schema = TableSchema {
            columns: vec![column("id", kind), column("x", ColumnKind::Integer)],
            unique_indexes: vec![UniqueIndex {
                name: "PRIMARY".to_owned(),
                columns: vec![Some("id".to_owned())],
                whole_columns: true,
            }],
            is_strict: true,
            ..TableSchema::default()
        };
        let table = TableName::parse("t").expect("a name");
        let model = TableModel::from_server(&table, &TableRules::default(), Mode::Upsert, schema).expect("a model");
        let columns = columns.iter().map(|name| Box::from(*name)).collect();
        Arc::new(model).bind(&columns).expect("bound")
    }

    /// A table of this key, whose `id` the server numbers, with a second unique index.
    fn numbered(key: &[&str], columns: &[&str], rules: &TableRules) -> Result<BoundColumns> {
        let column = |name: &str| Column {
            name: name.to_owned(),
            is_auto_increment: name == "id",
            is_required: name == "x",
            ..Column::default()
        };
        let index = |name: &str, columns: &[&str]| UniqueIndex {
            name: name.to_owned(),
            columns: columns.iter().map(|name| Some((*name).to_owned())).collect(),
            whole_columns: true,
        };
        let schema = TableSchema {
            columns: ["id", "part", "x", "u"].map(column).into(),
            unique_indexes: vec![index("PRIMARY", key), index("u", &["u"])],
            is_strict: true,
            ..TableSchema::default()
        };
        let table = TableName::parse("t").expect("a name");
        let model = TableModel::from_server(&table, rules, Mode::Upsert, schema).expect("a model");
        let columns = columns.iter().map(|name| Box::from(*name)).collect();
        Arc::new(model).bind(&columns)
    }

    #[test]
    fn a_row_that_lacks_no_more_of_its_key_than_the_servers_number_is_inserted() {
        let rules = TableRules::default();
        for (key, columns) in [(vec!["id"], vec!["x"]), (vec!["part", "id"], vec!["part", "u"])] {
            let bound = numbered(&key, &columns, &rules).expect("bound");
            assert!(bound.is_numbered());
            assert!(!bound.is_repeatable());
            // Neither found by its key, nor by a column that it lacks, nor by another unique key.
            assert_eq!((bound.key.len(), bound.only_updates), (0, None));
        }
        let refused = numbered(&["part", "id"], &["x"], &rules).expect_err("more is missing");
        assert!(refused.to_string().contains("no key column part"), "{refused}");
        let refused = numbered(&["id"], &["id", "x", "u"], &rules).expect_err("it may hit another row");
        assert!(refused.to_string().contains("second unique index"), "{refused}");

        let accepted = TableRules {
            repeatable: true,
            allow_second_unique: true,
            ..rules
        };
        assert!(numbered(&["id"], &["x"], &accepted).expect("bound").is_repeatable());
        assert!(!numbered(&["id"], &["id", "x"], &accepted).expect("bound").is_numbered());
    }

    #[test]
    fn a_row_that_can_only_update_is_refused_if_its_key_finds_another_row() {
        for (kind, key, finds_its_row) in [
            (ColumnKind::Bit, Value::Int(5), true),
            (ColumnKind::Bit, Value::bytes(b"\x05"), false),
            (ColumnKind::Integer, Value::text("5"), true),
            (ColumnKind::Integer, Value::text("abc"), false),
        ] {
            let check =
                |columns: &[&str], values: &[Value<'static>]| bound(kind, columns).check(values.iter().cloned());
            assert_eq!(
                check(&["id"], std::slice::from_ref(&key)).is_ok(),
                finds_its_row,
                "{kind:?}: {key:?}"
            );
            // An insert tells by itself, and needs no WHERE.
            check(&["id", "x"], &[key, Value::Int(1)]).expect("a whole row");
        }
    }
}
