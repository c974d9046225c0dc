//! Why a table is of no use to a sink.

use std::fmt;

use crate::error::phase::Phase;
use crate::error::{Error, Result, codes};
use crate::sink::mysql::connector::Connector;
use crate::table::name::TableName;
use crate::table::name_charset::NameCharset;

/// Refuses a table's name that could be another one to the server.
pub fn check_name(names: NameCharset, table: &TableName) -> Result<()> {
    let mut parts = table.database().into_iter().chain([table.table()]);
    parts.try_for_each(|part| names.check(part, &format_args!("table {table}")))
}

/// There is no such table, or the account may not see it.
pub fn no_such_table(connector: &Connector, name: &TableName, has_dotted_twin: bool) -> Error {
    let dsn = connector.dsn();
    let advice = match name.database() {
        Some(database) if has_dotted_twin => format!(
            "the dot was read as database {database}, table {}; for the table of the database {} that has the dot in its \
             name, write `{database}.{}`, in backticks",
            name.table(),
            dsn.database,
            name.table()
        ),
        Some(database) => format!(
            "the dot was read as database {database}, table {}; create it, correct the name, or put a name that has a dot \
             in backticks",
            name.table()
        ),
        None => "create it, or correct the table's name".to_owned(),
    };
    Error::server(
        codes::ER_NO_SUCH_TABLE,
        format!(
            "table {name} does not exist at {}, or the account {:?} may not see it; {advice}",
            connector.address(),
            dsn.user
        ),
    )
    .during(Phase::LookUp)
}

/// A table with an engine that could not take anything back.
pub fn without_transactions(table: &dyn fmt::Display, engine: &str, harm: &str) -> Error {
    Error::config(format!(
        "table {table} has the engine {engine}, which has no transactions: {harm}. Use ALTER TABLE {table} ENGINE = InnoDB"
    ))
}
