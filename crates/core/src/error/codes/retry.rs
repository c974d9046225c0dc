//! Races that a transaction lost: the same transaction may succeed a moment later.

use super::code::codes;

codes! {
    /// See the module.
    RETRY: Retry;
    ER_CHECKREAD = 1020, Both, "The row changed since the snapshot was taken (MariaDB: `innodb_snapshot_isolation`).", link "https://mariadb.com/kb/en/innodb-system-variables/#innodb_snapshot_isolation";
    ER_LOCK_WAIT_TIMEOUT = 1205, Both, "`innodb_lock_wait_timeout` is over. Only the statement was rolled back: a ROLLBACK must follow.", link "https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_rollback_on_timeout";
    ER_LOCK_TABLE_FULL = 1206, Both, "The locks of all transactions fill the buffer pool: it passes when others end.";
    ER_LOCK_DEADLOCK = 1213, Both, "Two transactions waited for each other, and this one was rolled back.", fails_commit "Galera: certification failed, another node's transaction was first, and this one is rolled back on every node.", link "https://dev.mysql.com/doc/refman/8.4/en/innodb-deadlocks.html";
    ER_GET_TEMPORARY_ERRMSG = 1297, Both, "The storage engine calls its error temporary, as NDB does.";
    ER_QUERY_INTERRUPTED = 1317, Both, "`KILL QUERY` ended the statement. Vitess answers so if it ended a transaction of its own accord.";
    ER_TABLE_DEF_CHANGED = 1412, Both, "The table was altered while the transaction was under way.";
    ER_NEED_REPREPARE = 1615, Both, "The table of a prepared statement changed too often while it was prepared anew.";
    ER_TOO_MANY_CONCURRENT_TRXS = 1637, Both, "InnoDB has no undo slot left: it passes when other transactions end.";
    ER_LOCK_ABORTED = 1689, Both, "The wait for a lock was ended: a statement of another session had precedence.";
    ER_STATEMENT_TIMEOUT = 1969, MariaDb, "`max_statement_time` is over, and the statement was rolled back.", link "https://mariadb.com/kb/en/aborting-statements/";
    ER_QUERY_TIMEOUT = 3024, MySql, "`max_execution_time` is over: it ends questions, which change nothing.";
    ER_USER_LOCK_DEADLOCK = 3058, Both, "A trigger's `GET_LOCK()` would wait for ever.";
    ER_TRANSACTION_ROLLBACK_DURING_COMMIT = 3101, MySql, "Group Replication rolled the transaction back: another member's was first.", fails_commit "The server says that it rolled the transaction back: certification failed, on every member.", link "https://dev.mysql.com/doc/refman/8.4/en/group-replication-limitations.html";
    ER_LOCKING_SERVICE_DEADLOCK = 3132, MySql, "A trigger's locking service lock would wait for ever.";
    ER_LOCKING_SERVICE_TIMEOUT = 3133, MySql, "A trigger waited for a locking service lock in vain.";
    ER_LOCK_NOWAIT = 3572, MySql, "A trigger asks for a lock without waiting, and another transaction has it.";
    ER_MDL_OUT_OF_RESOURCES = 3985, MySql, "The server has no room for one more metadata lock now.";
    ER_OPERATION_NOT_ALLOWED_WHILE_PRIMARY_CHANGE_IS_RUNNING = 4094, MySql, "Group Replication changes its primary, and lets nothing begin meanwhile.";
    TIDB_FOR_UPDATE_CANT_RETRY = 8002, TiDb, "A conflict found at COMMIT.", fails_commit "The conflict was found before anything was written, and the server can't repeat the transaction itself.";
    TIDB_WRITE_CONFLICT_STALE = 8005, TiDb, "A write conflict of an optimistic transaction.", fails_commit "The first phase of the commit met a newer version of a row, and the transaction is rolled back.";
    TIDB_TXN_RETRYABLE = 8022, TiDb, "The transaction was rolled back, and its repetition failed.", fails_commit "The server says that the commit failed and was rolled back.";
    TIDB_INFO_SCHEMA_CHANGED = 8028, TiDb, "The table's schema changed while the transaction was under way.", fails_commit "The schema is checked before the commit begins.";
    TIDB_WRITE_CONFLICT = 9007, TiDb, "A write conflict.", fails_commit "The first phase of the commit met a newer version of a row, and the transaction is rolled back.";
}
