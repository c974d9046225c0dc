//! What a sink asks of its [ledger](super::ledger_table), and what it says if that cannot be done.

use std::time::Instant;

use crate::error::phase::Phase;
use crate::error::{Error, Result, codes};
use crate::ledger::LedgerRow;
use crate::sink::mysql::ledger_table::{LedgerTable, TakeOver};
use crate::sink::mysql::own_sessions::OwnSessions;
use crate::sink::mysql::table_errors::{check_name, without_transactions};
use crate::sink::mysql::wire::conn::Conn;
use crate::sink::mysql::{MySqlSink, schema};

impl MySqlSink {
    /// Runs statements of the ledger.
    pub(super) fn with_ledger<R>(
        &mut self,
        deadline: Option<Instant>,
        run: impl FnOnce(&mut LedgerTable, &OwnSessions, &mut Conn) -> mysql::Result<R>,
    ) -> Result<R> {
        self.connection_that_commits(deadline)?;
        let Some(connection) = &mut self.connection else {
            return Err(Error::connection(0, "there is no connection"));
        };
        run(&mut self.ledger, &self.sessions, &mut connection.conn)
            .map_err(|error| self.ledger_failed(&error, deadline))
    }

    /// The ledger's table has a column for the position from now on.
    pub(super) fn make_room_for_position(&mut self, deadline: Option<Instant>) -> Result<()> {
        let added = self.with_ledger(deadline, |ledger, _, conn| ledger.add_position_column(conn));
        added.map_err(|error| match error.code() {
            codes::ER_NO_SUCH_TABLE => error,
            code if codes::is_of_account_or_table(code) => Error::config(error.words().map(|why| {
                format!(
                    "{why}. An earlier version made the ledger's table, without a column for the position that this writer \
                     leaves there; the account {:?} needs ALTER on it once, or an administrator adds it: {}",
                    self.connector.dsn().user,
                    self.ledger.add_position_sql()
                )
            })),
            _ => error,
        })
    }

    /// As [`Self::make_room_for_position`], if there is a table.
    pub(super) fn make_room_in_table(&mut self, deadline: Option<Instant>) -> Result<()> {
        match self.make_room_for_position(deadline) {
            Err(error) if error.code() == codes::ER_NO_SUCH_TABLE => Ok(()),
            made => made,
        }
    }

    /// Asks the ledger for a row, on a server that knows it.
    pub(super) fn look_up<R>(
        &mut self,
        deadline: Option<Instant>,
        ask: impl FnOnce(&mut LedgerTable, &OwnSessions, &mut Conn, Option<u64>) -> mysql::Result<R>,
    ) -> Result<R> {
        let may_be_replica = self.connector.dsn().host_count() > 1;
        if may_be_replica && self.with_ledger(deadline, |_, _, conn| LedgerTable::is_on_replica(conn))? {
            let place = self.connector.address();
            self.disconnect();
            self.connector.advance_host();
            return Err(Error::server(
                codes::ER_OPTION_PREVENTS_STATEMENT,
                format!("{place} is read-only, so it cannot say whether the last COMMIT was carried out"),
            )
            .during(Phase::LookUp));
        }
        if self.ledger.is_named() {
            self.make_room_in_table(deadline)?;
        }
        let lock_wait_s = self.connector.lock_wait_s();
        let found = self.with_ledger(deadline, |ledger, sessions, conn| {
            ask(ledger, sessions, conn, lock_wait_s)
        });
        if found.is_err() {
            // The question has settings of its own, which the session may still have.
            self.disconnect();
        }
        found
    }

    /// See [`Sink::take_over`](crate::sink::Sink::take_over).
    pub(super) fn take_over_row(&mut self, deadline: Option<Instant>) -> Result<Option<LedgerRow>> {
        let taken = self.look_up(deadline, |ledger, sessions, conn, lock_wait_s| {
            ledger.take_over(conn, sessions, lock_wait_s)
        })?;
        let why = match taken {
            TakeOver::Taken(row) => return Ok(Some(row)),
            TakeOver::NoRow => return Ok(None),
            TakeOver::IsInUse => "its owner lives, and writes",
            TakeOver::NoEpoch => "its number is too large, so somebody else has written there",
        };
        Err(Error::config(format!(
            "table {}: the row of writer {:?} cannot be taken over: {why}",
            self.ledger.name(),
            self.ledger.writer()
        )))
    }

    /// Runs what makes the writer's row. Makes sure that the ledger can be relied on.
    pub(super) fn register_by<R>(
        &mut self,
        deadline: Option<Instant>,
        insert: impl FnOnce(&mut LedgerTable, &OwnSessions, &mut Conn) -> mysql::Result<R>,
    ) -> Result<R> {
        self.ledger.name_writer().map_err(|error| {
            Error::connection(
                0,
                format!("the system gives no random numbers to name this writer by: {error}"),
            )
        })?;
        let database = self.connector.dsn().database.clone();
        let names = self.connection(deadline)?.traits.names;
        check_name(names, self.ledger.name())?;
        let registered = self.with_ledger(deadline, |ledger, sessions, conn| {
            let inserted = insert(ledger, sessions, conn)?;
            Ok((
                inserted,
                schema::engine_without_transactions(conn, ledger.name(), &database)?,
            ))
        });
        let (inserted, engine) = registered.map_err(|error| match error.code() {
            code if codes::is_of_account_or_table(code) => Error::config(error.words().map(|why| {
                format!(
                    "{why}. The ledger says after a lost connection what was committed; the account {:?} needs to make it once, \
                     or an administrator does: {}; and the account needs SELECT, INSERT and UPDATE on it, and DELETE to clean up. \
                     Or do without, by ledger: 'never'",
                    self.connector.dsn().user,
                    self.ledger.create_sql()
                )
            })),
            _ => error,
        })?;
        let Some(engine) = engine else { return Ok(inserted) };
        // The next transaction looks again.
        self.ledger.forget_registration();
        let harm = "the ledger could not say what was committed";
        Err(without_transactions(self.ledger.name(), &engine, harm))
    }

    /// Ends rows of the ledger, if there is a connection. Without one this is not urgent: they are
    /// pruned later.
    pub(super) fn retire_by(
        &mut self,
        deadline: Instant,
        retire: impl FnOnce(&mut LedgerTable, &mut Conn) -> mysql::Result<()>,
    ) {
        if self.connection.is_some() && self.ledger.is_registered() {
            let retired = self.with_ledger(Some(deadline), |ledger, _, conn| retire(ledger, conn));
            if retired.is_err() {
                self.disconnect();
            }
        }
    }
}
