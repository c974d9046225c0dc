//! The parameter `tables`: rules by table.

use ext_php_rs::types::{ZendHashTable, Zval};
use write_buffer_core::error::{Error, Result};
use write_buffer_core::table::rules::{KeyRule, MergeRule, Mode, TableRules};

/// Reads `tables`.
///
/// # Errors
///
/// The first rule that cannot be read.
pub fn tables(array: &ZendHashTable) -> Result<Vec<(String, TableRules)>> {
    entries(array, "tables")?
        .into_iter()
        .map(|(name, value)| {
            let path = format!("tables[{name:?}]");
            let Some(rules) = value.array() else {
                return Err(Error::config(format!(
                    "{path} must be an array of rules, such as ['key' => 'id']"
                )));
            };
            Ok((name, table_rules(rules, &path)?))
        })
        .collect()
}

fn table_rules(array: &ZendHashTable, path: &str) -> Result<TableRules> {
    let mut rules = TableRules::default();
    for (name, value) in entries(array, path)? {
        let path = format!("{path}[{name:?}]");
        match name.as_str() {
            "key" => rules.key = key(value, &path)?,
            "mode" => {
                rules.mode = Some(match value.str() {
                    Some("upsert") => Mode::Upsert,
                    Some("insert") => Mode::Insert,
                    _ => return Err(Error::config(format!("{path} must be 'upsert' or 'insert'"))),
                });
            }
            "merge" => rules.merge = merge_rules(value, &path)?,
            "guard" => rules.guard = Some(column(value, &path, "a column's name")?),
            "allowSecondUnique" => rules.allow_second_unique = boolean(value, &path)?,
            "repeatable" => rules.repeatable = boolean(value, &path)?,
            _ => {
                return Err(Error::config(format!(
                    "{path} is no rule; there are: key, mode, merge, guard, allowSecondUnique, repeatable"
                )));
            }
        }
    }
    Ok(rules)
}

fn boolean(value: &Zval, path: &str) -> Result<bool> {
    value
        .bool()
        .ok_or_else(|| Error::config(format!("{path} must be true or false")))
}

fn key(value: &Zval, path: &str) -> Result<KeyRule> {
    const WHAT: &str = "a column's name, a list of names, or 'server' for the server's own keys";
    let columns = match value.array() {
        Some(list) => list
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
    let Some(array) = value.array() else {
        return Err(Error::config(format!(
            "{path} must be an array, such as ['available' => 'sum']"
        )));
    };
    entries(array, path)?
        .into_iter()
        .map(|(column, rule)| {
            let parsed = rule.str().and_then(MergeRule::parse);
            let rule = parsed.ok_or_else(|| {
                Error::config(format!(
                    "{path}[{column:?}] must be 'replace', 'keep', 'sum', 'min' or 'max'"
                ))
            })?;
            Ok((column, rule))
        })
        .collect()
}

/// An array's elements by name.
fn entries<'a>(array: &'a ZendHashTable, path: &str) -> Result<Vec<(String, &'a Zval)>> {
    let mut entries = Vec::with_capacity(array.len());
    let mut iterator = array.iter();
    while let Some((key, value)) = iterator.next_zval() {
        if let Some(number) = key.long() {
            return Err(Error::config(format!(
                "{path} must be an associative array; it has the key {number}"
            )));
        }
        let name = key
            .zend_str()
            .and_then(|name| std::str::from_utf8(name.as_bytes()).ok().map(str::to_owned));
        let name = name.ok_or_else(|| Error::config(format!("{path} has a key that is not UTF-8")))?;
        entries.push((name, value.dereference()));
    }
    Ok(entries)
}
