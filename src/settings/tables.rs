//! The parameter `tables`: rules by table.

use ext_php_rs::types::Zval;
use write_buffer_core::error::{Error, Result};
use write_buffer_core::table::rules::{KeyRule, MergeRule, TableRules};

use crate::settings::words::{self, Words};
use crate::zend::array::{Elements, HeldArray, Key};

/// Reads `tables`.
///
/// # Errors
///
/// The first rule that cannot be read.
pub fn tables(value: &Zval) -> Result<Vec<(String, TableRules)>> {
    let Some(array) = HeldArray::of(value) else {
        return Ok(Vec::new());
    };
    entries(array.elements(), "tables")?
        .into_iter()
        .map(|(name, value)| {
            let path = format!("tables[{name:?}]");
            let Some(rules) = HeldArray::of(value) else {
                return Err(Error::config(format!(
                    "{path} must be an array of rules, such as ['key' => 'id']"
                )));
            };
            Ok((name, table_rules(rules.elements(), &path)?))
        })
        .collect()
}

fn table_rules(array: Elements<'_>, path: &str) -> Result<TableRules> {
    let mut rules = TableRules::default();
    for (name, value) in entries(array, path)? {
        let path = format!("{path}[{name:?}]");
        match name.as_str() {
            "key" => rules.key = key(value, &path)?,
            "mode" => rules.mode = Some(word(&words::MODE, value, &path)?),
            "merge" => rules.merge = merge_rules(value, &path)?,
            "guard" => rules.guard = Some(column(value, &path, "a column's name")?),
            "allowSecondUnique" => rules.allow_second_unique = boolean(value, &path)?,
            "repeatable" => rules.repeatable = boolean(value, &path)?,
            "coalesce" => rules.writes_each_version = !boolean(value, &path)?,
            _ => {
                return Err(Error::config(format!(
                    "{path} is no rule; there are: key, mode, merge, guard, allowSecondUnique, repeatable, coalesce"
                )));
            }
        }
    }
    Ok(rules)
}

fn word<T: Copy>(words: &Words<T>, value: &Zval, path: &str) -> Result<T> {
    let meaning = words.read(value);
    meaning
        .copied()
        .map_err(|must_be| Error::config(format!("{path} {must_be}")))
}

fn boolean(value: &Zval, path: &str) -> Result<bool> {
    value
        .bool()
        .ok_or_else(|| Error::config(format!("{path} must be true or false")))
}

fn key(value: &Zval, path: &str) -> Result<KeyRule> {
    const WHAT: &str = "a column's name, a list of names, or 'server' for the server's own keys";
    let columns = match HeldArray::of(value) {
        Some(list) => list
            .elements()
            .values()
            .map(|value| column(value.dereference(), path, WHAT))
            .collect::<Result<Vec<_>>>()?,
        None => match column(value, path, WHAT)? {
            server if server == "server" => return Ok(KeyRule::Server),
            name => vec![name],
        },
    };
    if columns.is_empty() {
        return Err(Error::config(format!("{path} must name at least one column")));
    }
    for (at, column) in columns.iter().enumerate() {
        if columns
            .iter()
            .take(at)
            .any(|earlier| earlier.eq_ignore_ascii_case(column))
        {
            return Err(Error::config(format!(
                "{path} names the column {column:?} twice: name each once"
            )));
        }
    }
    Ok(KeyRule::Columns(columns))
}

fn column(value: &Zval, path: &str, what: &str) -> Result<String> {
    value
        .str()
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| Error::config(format!("{path} must be {what}")))
}

fn merge_rules(value: &Zval, path: &str) -> Result<Vec<(String, MergeRule)>> {
    let Some(array) = HeldArray::of(value) else {
        return Err(Error::config(format!(
            "{path} must be an array, such as ['available' => 'sum']"
        )));
    };
    entries(array.elements(), path)?
        .into_iter()
        .map(|(column, rule)| {
            let rule = word(&words::MERGE, rule, &format!("{path}[{column:?}]"))?;
            Ok((column, rule))
        })
        .collect()
}

/// An array's elements by name. PHP makes a number of a name such as `'1'`; a list has the numbers
/// from 0 on.
fn entries<'a>(array: Elements<'a>, path: &str) -> Result<Vec<(String, &'a Zval)>> {
    let mut names = Vec::new();
    let (mut index, mut is_list) = (0, true);
    for (key, value) in array.entries() {
        let name = match key {
            Key::Name(name) => {
                is_list = false;
                let name = std::str::from_utf8(name);
                name.map_err(|_| Error::config(format!("{path} has a key that is not UTF-8")))?
                    .to_owned()
            }
            Key::Number(number) => {
                is_list &= number == index;
                number.to_string()
            }
        };
        names.push((name, value.dereference()));
        index += 1;
    }
    if is_list && !names.is_empty() {
        return Err(Error::config(format!(
            "{path} must be an associative array; it has the key 0"
        )));
    }
    Ok(names)
}
