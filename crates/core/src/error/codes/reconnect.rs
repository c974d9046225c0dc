//! What a new connection may cure: the connection is of no use, or the server takes nothing for
//! now.

use super::code::codes;

codes! {
    /// The server, for now: it is away, full, read-only or out of something. The next one of
    /// several hosts may do.
    SERVER: Reconnect;
    ER_DISK_FULL = 1021, Both, "The server's disk is full.";
    ER_ERROR_ON_READ = 1024, Both, "The server can't read one of its files.";
    ER_ERROR_ON_WRITE = 1026, Both, "The server can't write a file, for want of room as a rule.";
    ER_GET_ERRNO = 1030, Both, "The storage engine failed. InnoDB says so, with error 28, if its disk is full.";
    ER_OUTOFMEMORY = 1037, Both, "The server is out of memory.";
    ER_OUT_OF_SORTMEMORY = 1038, Both, "The server has too little memory to sort.";
    ER_CON_COUNT_ERROR = 1040, Both, "`max_connections` is reached.";
    ER_OUT_OF_RESOURCES = 1041, Both, "The server is out of memory.";
    ER_BAD_HOST_ERROR = 1042, Both, "The server can't look up the name of this host now.";
    ER_HANDSHAKE_ERROR = 1043, Both, "The server did not understand the handshake: a packet was damaged, or a proxy is in between.";
    ER_UNKNOWN_COM_ERROR = 1047, Both, "Galera: the node is not part of the primary component (`WSREP has not yet prepared node`).";
    ER_SERVER_SHUTDOWN = 1053, Both, "The server is shutting down.";
    ER_RECORD_FILE_FULL = 1114, Both, "`The table is full`: InnoDB can't extend its files.";
    ER_CANT_CREATE_THREAD = 1135, Both, "The server can't start a thread for the connection.";
    ER_NET_READ_ERROR = 1158, Both, "The server could not read the packet from the connection.";
    ER_NET_READ_INTERRUPTED = 1159, Both, "The server waited for a packet in vain.";
    ER_NET_ERROR_ON_WRITE = 1160, Both, "The server could not write to the connection.";
    ER_NET_WRITE_INTERRUPTED = 1161, Both, "The server could not write to the connection in time.";
    ER_ERROR_DURING_COMMIT = 1180, Both, "COMMIT failed, for want of room for the binary log as a rule. It may be done in part.";
    ER_ERROR_DURING_ROLLBACK = 1181, Both, "ROLLBACK failed: the end of the connection rolls back, too.";
    ER_TOO_MANY_USER_CONNECTIONS = 1203, Both, "The account has as many connections as it may have. Vitess: its pool is used up.";
    ER_USER_LIMIT_REACHED = 1226, Both, "The account has used up its resources for this hour.";
    ER_OPTION_PREVENTS_STATEMENT = 1290, Both, "The server runs with `--read-only`, as a replica does: another host may be the primary now.";
    ER_BINLOG_ROW_LOGGING_FAILED = 1534, Both, "The server can't write its binary log.";
    ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION = 1792, Both, "The transaction is read-only, as on a replica behind a proxy.";
    ER_IO_READ_ERROR = 1810, Both, "InnoDB can't read one of its files.";
    ER_IO_WRITE_ERROR = 1811, Both, "InnoDB can't write one of its files.";
    ER_READ_ONLY_MODE = 1836, Both, "The server is in read-only mode.";
    ER_INNODB_READ_ONLY = 1874, Both, "InnoDB runs read-only on this server.";
    ER_TEMP_FILE_WRITE_FAILURE = 1878, Both, "The server can't write a temporary file, for want of room as a rule.";
    ER_INNODB_FORCED_RECOVERY = 1881, MySql, "The server was started for recovery (`innodb_force_recovery`) and takes no rows.";
    ER_ENGINE_OUT_OF_MEMORY = 3015, Both, "The storage engine is out of memory.";
    ER_INNODB_UNDO_LOG_FULL = 3019, Both, "InnoDB has no room for its undo log.";
    ER_SERVER_OFFLINE_MODE = 3032, Both, "The server is offline for ordinary accounts.";
    ER_STD_BAD_ALLOC_ERROR = 3044, Both, "A function of geometry is out of memory.";
    ER_RUN_HOOK_ERROR = 3100, MySql, "A plugin, such as Group Replication's or semi-synchronous replication's, stopped the COMMIT.";
    ER_SERVER_ISNT_AVAILABLE = 3168, MySql, "The server is starting or stopping.";
    ER_DISK_FULL_NOWAIT = 3675, MySql, "The server's disk is full.";
    ER_GR_HOLD_WAIT_TIMEOUT = 3781, MySql, "Group Replication: the new primary did not catch up in time.";
    ER_GR_HOLD_KILLED = 3782, MySql, "Group Replication ended while the new primary was catching up.";
    ER_GR_HOLD_MEMBER_STATUS_ERROR = 3783, MySql, "Group Replication: the member failed while it was catching up.";
    ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED = 3796, MySql, "Group Replication: the member's state does not allow the consistency asked for.";
    ER_GRP_TRX_CONSISTENCY_BEFORE = 3797, MySql, "Group Replication: the member did not catch up before the transaction.";
    ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN = 3798, MySql, "Group Replication: earlier transactions did not reach the group in time.";
    ER_GRP_TRX_CONSISTENCY_BEGIN_NOT_ALLOWED = 3799, MySql, "Group Replication is stopping on this member.";
    ER_NO_SESSION_TEMP = 3884, MySql, "The server has no room for temporary tables now.";
    ER_DA_OOM = 3950, MySql, "The server is out of memory.";
    ER_GRP_RPL_CONNECTION_HANDOFF_BUSY = 6141, MySql, "Group Replication is busy with the connection: `retry the connection`.";
    ER_SERVER_OFFLINE_MODE_REASON = 6400, MySql, "The server is offline for ordinary accounts.";
    TIDB_RESULT_UNDETERMINED = 8501, TiDb, "It is not known whether the transaction was committed.";
    TIDB_PD_SERVER_TIMEOUT = 9001, TiDb, "Its placement driver did not answer in time. ProxySQL: no server could be reached in time.";
    TIDB_TIKV_SERVER_TIMEOUT = 9002, TiDb, "Its storage did not answer in time.";
    TIDB_TIKV_SERVER_BUSY = 9003, TiDb, "Its storage is busy.";
    TIDB_REGION_UNAVAILABLE = 9005, TiDb, "A part of its storage has no leader for now.";
}

codes! {
    /// The client library's own, with which proxies answer, too.
    CLIENT: Reconnect;
    CR_UNKNOWN_ERROR = 2000, Client, "`Unknown error` of the connection.";
    CR_CONNECTION_ERROR = 2002, Client, "`Can't connect through the socket`.";
    CR_CONN_HOST_ERROR = 2003, Client, "`Can't connect to the host`. MaxScale: it lost its connection to the server.";
    CR_UNKNOWN_HOST = 2005, Client, "`Unknown host`.";
    CR_SERVER_GONE_ERROR = 2006, Client, "`Server has gone away`.";
    CR_OUT_OF_MEMORY = 2008, Client, "`Out of memory`.";
    CR_SERVER_HANDSHAKE_ERR = 2012, Client, "`Error in the handshake`.";
    CR_SERVER_LOST = 2013, Client, "`Lost connection during query`.";
    CR_SERVER_LOST_EXTENDED = 2055, Client, "`Lost connection`, and where.";
}

codes! {
    /// The connection alone: nothing is said against the server.
    CONNECTION: Reconnect;
    ER_TABLE_NOT_LOCKED_FOR_WRITE = 1099, Both, "The session has `LOCK TABLES`, which is not ours: a proxy gave it another's connection.";
    ER_TABLE_NOT_LOCKED = 1100, Both, "The session has `LOCK TABLES`, which is not ours: a proxy gave it another's connection.";
    ER_ABORTING_CONNECTION = 1152, Both, "The server ends the connection.";
    ER_NET_READ_ERROR_FROM_PIPE = 1154, Both, "The server could not read from the connection's pipe.";
    ER_NET_FCNTL_ERROR = 1155, Both, "The server could not set up the connection's socket.";
    ER_NET_PACKETS_OUT_OF_ORDER = 1156, Both, "The packets' numbers do not follow each other.";
    ER_NET_UNCOMPRESS_ERROR = 1157, Both, "A packet was damaged.";
    ER_NEW_ABORTING_CONNECTION = 1184, Both, "The server ends the connection.";
    ER_LOCK_OR_ACTIVE_TRANSACTION = 1192, Both, "The session has locks or a transaction that are not ours.";
    ER_CANT_UPDATE_WITH_READLOCK = 1223, Both, "The session has a read lock, which is not ours.";
    ER_UNKNOWN_STMT_HANDLER = 1243, Both, "The prepared statement is not known: a proxy gave this session another server connection.";
    ER_XAER_RMFAIL = 1399, Both, "The session is in an XA transaction, which is not ours.";
    ER_XAER_OUTSIDE = 1400, Both, "The session has work outside the XA transaction that it is to begin: neither is ours.";
    ER_CANT_CHANGE_TX_CHARACTERISTICS = 1568, Both, "The session is in a transaction in which we did not expect it.";
    ER_VARIABLE_NOT_SETTABLE_IN_TRANSACTION = 1766, Both, "The session is in a transaction in which we did not expect it.";
    ER_MALFORMED_PACKET = 1835, Both, "The server did not understand a packet.";
    ER_CONNECTION_KILLED = 1927, MariaDb, "`KILL CONNECTION` hit this one.";
    CR_COMMANDS_OUT_OF_SYNC = 2014, Client, "`Commands out of sync`.";
    CR_MALFORMED_PACKET = 2027, Client, "`Malformed packet`.";
    ER_SESSION_WAS_KILLED = 3169, MySql, "`KILL` hit this session, or a shutdown did.";
    ER_CLIENT_INTERACTION_TIMEOUT = 4031, MySql, "The server disconnected this client because it was idle too long.";
    ER_DA_GLOBAL_CONN_LIMIT = 4081, MySql, "The server closed the connection: all of them take too much memory.";
    ER_DA_CONN_LIMIT = 4082, MySql, "The server closed the connection: it takes too much memory.";
}
