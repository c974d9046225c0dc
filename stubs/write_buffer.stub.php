<?php

/**
 * The contract of the write_buffer extension, for editors, static analysers and people.
 *
 * A test compares this file with Reflection, so it is what the loaded extension has.
 *
 * {@see \WriteBuffer\Buffer} has the words and the methods, {@see \WriteBuffer::__construct()} the
 * settings.
 */

namespace WriteBuffer {

    /**
     * Rows on their way to the database. Type-hint this interface: both classes implement it.
     *
     * **The words**
     * - *Group*: what one add(), put() or delete() takes, or all that is added within group(). It
     *   is taken whole or not at all, and committed whole: one transaction may have many groups,
     *   over a connection of the buffer's own, and never in a transaction that your PDO has open.
     * - *Taken*: the group is the buffer's from now on. It is buffered, and then committed, given
     *   up, or unwritten. If it was *not taken*, nothing of it is anywhere.
     * - *Buffered*: taken, and not settled yet. count() counts the rows. They are in the memory of
     *   this process alone: if it is killed they are lost, but for those whose COMMIT the server
     *   had got, or that are in a *journal*. A forked child has none of them.
     * - *Journal*: a folder that keeps what is buffered, so that it outlives its process. The next
     *   process that uses the folder writes it: see the parameter `journal` and {@see Journal}.
     * - *Committed*: its transaction is. A row counts as committed also if it needed no write of
     *   its own: one that went into a later row of its key, one that was deleted before it was
     *   written, and a *stale* one, which changed nothing: the table had a row with a larger guard,
     *   or the same row. With the same guard, other values are written. Metrics count stale rows;
     *   nothing says which group had them.
     * - *Parked*: its table takes no rows now: it is missing, or a column or a right, or a rule
     *   does not fit it, or somebody has locked it. The group waits whole, and so do later groups
     *   that share a key with it; all others are written. It is given up after parkTimeoutMs,
     *   whole, but never for a lock.
     * - *Given up*: it will not be written. The server refuses it for good, it was parked too long,
     *   or nobody knows what became of its COMMIT. It is a *failure* then, with its rows as they
     *   were added, until takeFailures() takes it: see failures(). A row costs its own group alone:
     *   groups with rows that were merged with it are written without it.
     * - *Settled*: committed or given up.
     * - *Unwritten*: still buffered when its buffer ends, and not written by then. With a journal
     *   it stays there. Else it goes into the deadLetterFile under this status, or as `uncertain`
     *   if its COMMIT was not answered. Without one it is lost, with a warning.
     * - *Due*: to be flushed now, since the buffer is *full*, which is that rows of one table have
     *   reached batchSize, or since its oldest row is older than flushIntervalMs.
     * - *No room*: with the group, maxPendingRows or maxPendingBytes would be exceeded, or
     *   journalMaxBytes. That is something else than full.
     * - *Background*, the default: a native thread of the {@see \WriteBuffer} writes what is due.
     *   add() copies the rows and returns. It waits only for room.
     * - *Foreground*: a {@see \WriteBuffer} with `background: false`. The calling thread writes: in
     *   flush() and close(), in waitFor(), and in a *call that adds* if it makes a flush due:
     *   add(), put(), delete(), group(), putAll(), retry(). A server that cannot be reached is then
     *   tried again after a pause: meanwhile these take rows and say nothing, as long as there is
     *   room.
     * - *Synchronous*: a {@see \SyncWriteBuffer}. It is neither of the two.
     *
     * **A row** is one of these:
     * - an associative array,
     * - a `stdClass`,
     * - an Eloquent model: an object with `getAttributes()`, `getTable()` and `getKeyName()`. Its
     *   own table wins over the one that the call names, or that the settings do. If its row is
     *   there already (a public property `exists`, or a method `exists()`, is true) and it has
     *   `getDirty()`, the row is what that returns, with the columns of the key and the guard; if
     *   nothing is dirty, there is none. Such a row only updates: it is given up if no row has its
     *   key, in the table or before it in the buffer. So does one of all attributes if a model
     *   with a property `exists` that is true has no `getDirty()`,
     * - an object with `toArray()`.
     *
     * **A list of rows** is an array whose first key is a number, or a `Traversable`, of rows. An
     * empty list is no row. An object that is several of these is a model if it has
     * `getAttributes()`, else a list if it is a `Traversable`, else a `stdClass`, else what
     * `toArray()` returns: a row, or a list of them. A list within a list is a `TypeError`.
     *
     * **What is promised.** Each group that was taken is committed exactly once, or is a failure,
     * or is told as unwritten. Without a *journal* a killed process loses what it had buffered.
     * With `ledger: 'never'`, or for `repeatable` tables, a lost answer to COMMIT may double rows.
     * `docs/guarantees.md` has the conditions, and the test of each.
     *
     * **When is a row checked?** Its form and the types of its values in the call. Its columns, its
     * key and the rules in the call, too, if this buffer has read the table's definition; else when
     * it is written. What is at fault in the row is given up then; what is at fault in the table,
     * or a rule, parks the row. What only the server can judge it judges when it is written.
     *
     * **Order.** The tables end as if the rows had been sent one by one, in the order in which they
     * were added, those of a group too: a child before its parent is refused. With lanes that holds
     * for rows of one key, and other groups may overtake. A row that is refused while an earlier
     * one still waits in another lane is tried again after that. Two processes, or two buffers,
     * have no order between them: of rows of one key the last COMMIT wins, or the larger guard.
     *
     * **One key** is what the server takes for one, by the column's type and collation: 1 and '1'
     * of an INT, 'a' and 'A' where case does not count. Where only the server can tell, rows are
     * not merged, and are written in their order.
     *
     * **A partial row** leaves columns out. If its key is in the table, they stay as they are. If
     * not, they get their defaults. If one of them has no default, the row can only update: it is
     * given up if no row has its key, in the table or before it in the buffer.
     *
     * **A new row** lacks the AUTO_INCREMENT column of its table's key, and nothing else of it:
     * null or 0 there is refused. It is inserted, exactly once, and never merged. Nothing returns
     * the number that the server gives it, and find() does not find it: if you need the id, give
     * the row a key of your own, such as a UUID.
     *
     * **A value** is null, bool (stored as 1 or 0), int, finite float, string (any bytes), a backed
     * enum (its value), a `DateTimeInterface`, a `Stringable` such as `BcMath\Number`, or a `GMP`
     * number. For a JSON column give what json_encode() returns. A `DateTimeInterface` is stored as
     * its wall-clock time in its own zone, or in that of timeZone, cut, not rounded, to the
     * column's precision. Anything else is a `TypeError` that names the table and the column. Give
     * prices as strings: a string reaches a DECIMAL column digit by digit, a float does not. **The
     * server rounds a DECIMAL with too many digits behind the point, and says nothing**: round
     * yourself. What else does not fit its column it refuses in strict mode, its default, as in
     * your own INSERT. null is refused in a key, in a guard and in a summed column.
     *
     * **A ticket** is a group's number. The first one is 1, and they only grow. add(), put() and
     * delete() return it; of a group() lastTicket() does. Within group() they return 0, since it
     * has none before it is taken. Outside, a call without a row, such as an empty list or a model
     * in which nothing is dirty, takes no group and returns lastTicket(). A group that was not
     * taken has no ticket.
     *
     * A ticket is for the buffer that gave it, in its process, and stays good after close(). All
     * objects of a persistent buffer share one sequence: a ticket of another request is good in the
     * same process, and in no other one. A forked child begins anew at 1: a ticket of its parent is
     * unknown there, or is the number of a group of its own. So pass no ticket between processes.
     *
     * **What an exception says of your rows**, by its class:
     * - {@see NotTaken}, and PHP's own `TypeError` and `ValueError` of a call that adds: nothing of
     *   this call was taken.
     * - {@see IncompleteException}: a call that takes many groups took only some. It says how
     *   many.
     * - {@see RefusedException}: groups were given up, which getFailures() has. Others may be
     *   buffered: count() says.
     * - {@see BlockedException}, {@see ConnectionException}, {@see TimeoutException}, without
     *   NotTaken: rows cannot be written now, and are still buffered. The next flush() throws the
     *   groups that were given up meanwhile. If a call that adds throws one of these, or a
     *   RefusedException, it is about the flush that it made due, and in the background about a
     *   thread or a disk: its own rows **were taken**, so do not add them again. Of group() and
     *   putAll() see there.
     * - {@see Retryable}: another try may help, without a change of your code. If it is also
     *   NotTaken, make the same call again. Otherwise the rows are buffered: call flush().
     *
     * So `@throws` says only when, and what differs.
     *
     * **The synchronous buffer** keeps nothing. Its BlockedException, ConnectionException and
     * TimeoutException are those of the namespace `WriteBuffer\Synchronous`, which are NotTaken:
     * the group was not written. Its RefusedException has the group in getFailures(), and
     * takeFailures() does not. Look at its status: with `uncertain` the COMMIT was not answered,
     * and nobody could be asked afterwards, so the group may be in the table.
     *
     * **Your own code** runs while a row is read (an accessor, `toArray()`, `__toString()`, a
     * generator), and in a signal's handler while a background buffer waits. What it throws passes
     * through, also a TypeError, and its class says nothing of the rows: the group that was being
     * added is not taken, and what is buffered stays. An `\ArgumentCountError`, or a `TypeError`
     * for a wrong argument, can come from each method. Nothing was done then. Beside these,
     * isFull(), count(), getMetrics(), failures(), takeFailures(), lastTicket() and
     * committedThrough() throw nothing, also after close().
     *
     * **For static analysis** the shapes have names here. PHPStan and Psalm both read them. Use one
     * in a class of yours by `@phpstan-import-type Failure from \WriteBuffer\Buffer`.
     *
     * @phpstan-type ObjectValue = \BackedEnum|\DateTimeInterface|\Stringable|\GMP
     * @phpstan-type Value = null|bool|int|float|string|ObjectValue
     * @phpstan-type Row = array<string, Value>|object
     * @phpstan-type Rows = Row|iterable<Row>
     * @phpstan-type KeyValue = bool|int|float|string|ObjectValue
     * @phpstan-type Key = int|string|ObjectValue|non-empty-array<int|string, KeyValue>
     * @phpstan-type StoredValue = int|float|string|null
     * @phpstan-type StoredRow = array<string, StoredValue>
     * @phpstan-type Rules = array{
     *     key?: string|list<string>,
     *     mode?: Mode|'upsert'|'insert',
     *     merge?: array<string, Merge|'replace'|'keep'|'sum'|'min'|'max'>,
     *     guard?: string,
     *     allowSecondUnique?: bool,
     *     repeatable?: bool,
     *     coalesce?: bool
     * }
     * @phpstan-type FailedRow = array{table: string, row: StoredRow, update?: bool}
     * @phpstan-type FailedDeletion = array{table: string, delete: array<int|string, StoredValue>}
     * @phpstan-type Failure = array{
     *     id: string,
     *     tag: ?string,
     *     rows: list<FailedRow|FailedDeletion>,
     *     status: 'refused'|'uncertain'|'unwritten',
     *     code: int,
     *     message: string,
     *     time: float
     * }
     * @phpstan-type RowToRetry = array{table: string, row: array<string, mixed>, update?: bool}
     * @phpstan-type DeletionToRetry = array{table: string, delete: mixed}
     * @phpstan-type FailureToRetry = array{
     *     id?: ?string,
     *     tag?: ?string,
     *     status?: ?string,
     *     rows: list<RowToRetry|DeletionToRetry>,
     *     code?: int,
     *     message?: string,
     *     time?: float
     * }
     * @phpstan-type ParkedTable = array{
     *     rows: int,
     *     code: int,
     *     message: string,
     *     age_ms: float
     * }
     * @phpstan-type LaneMetrics = array{
     *     rows_added: int,
     *     rows_committed: int,
     *     rows_stale: int,
     *     rows_refused: int,
     *     rows_pending: int,
     *     transactions: int,
     *     transaction_time_p50_ms: float,
     *     transaction_time_p99_ms: float,
     *     transaction_rows_avg: float,
     *     retries: int,
     *     retries_deadlock: int,
     *     reconnects: int,
     *     thread_state: 'none'|'idle'|'writing'|'backoff'
     * }
     * @phpstan-type Metrics = array{
     *     flush_count: int,
     *     total_flushed: int,
     *     total_flush_time_ms: float,
     *     rows_added: int,
     *     rows_committed: int,
     *     rows_coalesced: int,
     *     rows_stale: int,
     *     rows_refused: int,
     *     rows_pending: int,
     *     rows_parked: int,
     *     groups_refused: int,
     *     bytes_pending: int,
     *     age_oldest_ms: float,
     *     tables_parked: array<string, ParkedTable>,
     *     transactions: int,
     *     transactions_failed: int,
     *     transaction_time_sum_ms: float,
     *     transaction_time_p50_ms: float,
     *     transaction_time_p95_ms: float,
     *     transaction_time_p99_ms: float,
     *     transaction_time_max_ms: float,
     *     transaction_rows_avg: float,
     *     transaction_rows_max: int,
     *     retries: int,
     *     retries_deadlock: int,
     *     retries_lock_wait_timeout: int,
     *     retries_record_changed: int,
     *     retries_other: int,
     *     retries_reconnect: int,
     *     commits_unknown: int,
     *     commits_looked_up: int,
     *     commits_confirmed: int,
     *     reconnects: int,
     *     time_blocked_ms: float,
     *     lanes: int,
     *     lanes_open: int,
     *     lane_metrics: list<LaneMetrics>,
     *     thread_state: 'none'|'idle'|'writing'|'backoff',
     *     pid: int,
     *     last_error: ?string
     * }
     */
    interface Buffer extends \Countable
    {
        /**
         * Takes a group: an order and its trades.
         *
         * In the background it returns when the rows are copied. In the foreground it flushes
         * before it returns, if a flush is due then. Synchronously it returns when the group is
         * committed.
         *
         * @param mixed $order null, one row, or a list of rows, for the order table
         * @param mixed $trade null, one row, or a list of rows, for the trade table
         *
         * @phpstan-param Rows|null $order
         * @phpstan-param Rows|null $trade
         *
         * @return int the group's ticket
         *
         * @throws \TypeError       a row or a value has a wrong type
         * @throws ConfigException  its table cannot take a row: no key, no guard, a bad column
         *                          name, a rule that the table cannot keep. See *When is a row
         *                          checked?*
         * @throws FullException    there is no room now, and was none for as long as `overflow`
         *                          waits. Foreground: and a flush has made none. What that flush
         *                          gave up, the next one throws
         * @throws TooLargeException the group alone exceeds maxPendingRows or maxPendingBytes.
         *                          Rows are read no further then
         * @throws ClosedException  after close()
         * @throws RefusedException foreground: the flush that it made due gave groups up, this one
         *                          or others. Synchronous: the server refuses the group
         * @throws BlockedException foreground: the flush that it made due left rows that the server
         *                          does not take now. Of parked rows it says so once for each
         *                          table, until that takes rows again. Background: the disk of
         *                          `journalSync: 'always'` failed. Synchronous: the server does not
         *                          take the group now
         * @throws ConnectionException foreground: the flush that it made due found no server, or
         *                          lost it. Background: no thread can be started; the next call
         *                          that adds, flushes or waits tries again. Synchronous: as the
         *                          foreground, for the group
         * @throws TimeoutException synchronous alone: the table's definition was not read in time
         */
        public function add(mixed $order, mixed $trade = null): int;

        /**
         * Takes a group of rows for any table, as add() does.
         *
         * @param string $table the table's name. `database.table` names another database on the
         *                      same server
         * @param mixed  $row   one row, or a list of rows
         * @param string|null $tag what you call the group: it comes back in its failure, and in its
         *                      line of the dead-letter file. Nothing else is done with it
         *
         * @phpstan-param Rows $row
         *
         * @return int the group's ticket
         *
         * @throws \TypeError       as add()
         * @throws ConfigException  as add(); or $table is not a table's name
         * @throws FullException    as add()
         * @throws TooLargeException as add()
         * @throws ClosedException  as add()
         * @throws RefusedException as add()
         * @throws BlockedException as add()
         * @throws ConnectionException as add()
         * @throws TimeoutException as add()
         * @throws \ValueError      $tag is not UTF-8, or longer than 1000 bytes
         */
        public function put(string $table, mixed $row, ?string $tag = null): int;

        /**
         * Takes many rows for a table, one after the other, each as a group of its own: an import.
         *
         * $rows is read lazily. A row is taken before the next one is asked for, and none is held,
         * so a generator of any length runs in flat memory. Keys are ignored.
         *
         * **It waits for room** in the background, whatever `overflow` says, as long as the
         * database takes rows: it gives up if there was no room for overflowTimeoutMs.
         *
         * **One bad row costs one row.** A row that put() refuses by a TypeError, a ConfigException
         * or a TooLargeException is skipped. So is, synchronously, one that the server refuses. All
         * others are taken. At the end an {@see IncompleteException} says which ones were skipped,
         * and why: it counts them all, and has the first 100 reasons. What the server refuses later
         * is a failure, as always.
         *
         * **What is taken stays taken**, whatever is thrown:
         * - Rows were skipped: an IncompleteException at the end.
         * - Foreground: a flush gave groups up. That does not end the call. Its RefusedException
         *   comes at the end, or is getPrevious() of the IncompleteException.
         * - Rows cannot be written now, or there is no room, or no thread can be started: that ends
         *   the call. Unless the exception is NotTaken, the row that met it was taken, too. If any
         *   row was taken, the exception is getPrevious() of an IncompleteException.
         * - Synchronous: a COMMIT was not answered. Its RefusedException, whose failure is
         *   `uncertain`, ends the call in the same way. Its row is not among those that are taken
         *   or processed: look whether it is in the table before you go on.
         * - Your own code throws, in $rows, in a row or in $progress: that ends the call, and the
         *   exception passes on. All rows that $rows gave before are taken, or were skipped. If any
         *   was skipped, an IncompleteException is the last one of getPrevious().
         *
         * **To go on** after an IncompleteException, leave out the first getProcessedRows() of
         * $rows. A generator is made anew for that: PHP cannot rewind one.
         *
         * Within group() the rows join the group, and get no tickets: they are taken when it is, or
         * dropped with it. There the numbers of rows taken are of those that have joined. The row
         * that passes the group's bounds ends the call; those before it stay in the group.
         *
         * Outside, the groups have tickets, one after the other, and no tag: lastTicket() returns
         * the last.
         *
         * @param string        $table    the table's name, as in put()
         * @param iterable<mixed> $rows   rows, in each form that put() takes for one
         * @param (callable(int): mixed)|null $progress is called after each 1,000 rows and at the
         *                                end, with the number of rows taken so far. It may throw,
         *                                which ends the call
         *
         * @phpstan-param iterable<Row> $rows
         * @param-immediately-invoked-callable $progress
         *
         * @return int the rows that were taken: all of them. A model without a change is none. No
         *             ticket: see lastTicket()
         *
         * @throws IncompleteException rows were skipped; or some were taken, and then getPrevious()
         *                          ended it
         * @throws \TypeError       $rows is not iterable, or $progress not callable
         * @throws ConfigException  $table is not a table's name
         * @throws ClosedException  after close()
         * @throws FullException    there was no room for the first row
         * @throws TooLargeException within group(): it has no room for the first row
         * @throws RefusedException foreground: all rows were taken, and flushes that they made due
         *                          gave groups up
         * @throws BlockedException synchronous: as add(), for the first row
         * @throws ConnectionException as BlockedException
         * @throws TimeoutException as BlockedException
         * @throws \Throwable       what your own code throws
         */
        public function putAll(string $table, iterable $rows, ?callable $progress = null): int;

        /**
         * Takes the deletion of a row, as a group. It counts as a row.
         *
         * It is in order with everything else of its key. Rows that were added before it are not
         * written any more, or deleted if they are committed already. What is added after it starts
         * from nothing: columns that a row leaves out get their defaults. A row that is not there
         * is no error.
         *
         * A guard decides first: with the guard's value in $key a row that is newer stays. Without
         * it the row is deleted whatever its guard is.
         *
         * A row that others refer to by a foreign key is refused by the server, as it would be
         * alone: delete the children first.
         *
         * @param string $table the table's name, as in put()
         * @param mixed  $key   the key's value, as in find(). Or an array: the key's columns by
         *                      name, in any order, with the guard if you like; or the key's values
         *                      in the key's order
         * @param string|null $tag as in put()
         *
         * @phpstan-param Key $key
         *
         * @return int the group's ticket
         *
         * @throws \TypeError       $key is no key: null; a bool or a float alone; no value, or an
         *                          array with one that is none; an array that is empty, or has
         *                          names and numbers
         * @throws ConfigException  the table is insert-only, or its key is the server's to know; or
         *                          $key has not exactly the columns of the table's key, the guard
         *                          aside, or null for one. If the key is not known yet, that is
         *                          checked when it is written, and the deletion given up
         * @throws FullException    as add()
         * @throws TooLargeException as add()
         * @throws ClosedException  as add()
         * @throws RefusedException as add()
         * @throws BlockedException as add()
         * @throws ConnectionException as add()
         * @throws TimeoutException as add()
         * @throws \ValueError      as put()
         */
        public function delete(string $table, mixed $key, ?string $tag = null): int;

        /**
         * Makes one group of all that is added while the callable runs, however deep: its rows are
         * committed in one transaction, or none of them is. They are taken when the callable
         * returns, as by add(). If it throws, or calls exit(), they are dropped: not taken, and
         * nowhere. The exception passes on.
         *
         * **Was it taken?** Thrown inside the callable, as by a flush() there: no, whatever the
         * class. Thrown after it: as the classes say of add(). If both may throw the same, compare
         * lastTicket(): it has risen if and only if the group was taken, unless retry() was called
         * inside, or another fiber added rows through this object meanwhile.
         *
         * Inside:
         * - add(), put() and delete() refuse what they always refuse, and such a call adds nothing.
         *   They neither flush nor wait, and return 0: lastTicket() has the group's ticket
         *   afterwards. The rows are not yet taken: neither count() nor getMetrics() counts them.
         *   maxPendingRows and maxPendingBytes bound all of them together: the call that passes
         *   one throws a TooLargeException;
         * - an inner group() joins the outer one. If it throws, its own rows are dropped;
         * - find() sees the rows;
         * - flush() and waitFor() write what was taken before, and not these rows. After close()
         *   the group is dropped, and group() throws a ClosedException;
         * - retry() puts its failures back as groups of their own, at once;
         * - a group belongs to this object and to the fiber that opened it. What another fiber adds
         *   is not in it, nor what is added to another buffer. PHP code that runs in between on the
         *   same stack, such as a destructor, a generator or a signal's handler, adds to it;
         * - in a forked child no group is open: what was added before the fork is the parent's, and
         *   what the child adds is taken at once.
         *
         * A callable that is a generator function runs nothing before its result is iterated: so
         * nothing is in the group.
         *
         * @template T
         *
         * @param callable(): T $rows adds the rows
         * @param string|null   $tag  as in put(). Without it the group has the first tag that a
         *                            call inside gives. Later ones are ignored
         *
         * @param-immediately-invoked-callable $rows
         *
         * @return T what the callable returns. It is lost if an exception comes after it
         *
         * @throws \Throwable       what the callable throws; the group is dropped
         * @throws ConfigException  as add(), for all of the rows
         * @throws FullException    as add(), for all of the rows
         * @throws TooLargeException as add(), for all of the rows
         * @throws ClosedException  as add()
         * @throws RefusedException as add()
         * @throws BlockedException as add()
         * @throws ConnectionException as add()
         * @throws TimeoutException as add()
         * @throws \ValueError      as put()
         */
        public function group(callable $rows, ?string $tag = null): mixed;

        /**
         * Returns the row that is still buffered under a key: all buffered rows of that key, merged
         * by the table's rules; of an insert-only table the last one. It does not look into the
         * table: a column under the rule `sum` holds the increment that is not yet committed, not
         * the total, and the row may turn out stale. In the background, before the thread has read
         * the table, the key is the configured one, else `id`: so name another one in `tables`, or
         * no row is found. Keys that only the server can compare are compared byte by byte. Of a
         * persistent buffer it finds the rows of all objects. A synchronous one has rows within
         * group() only.
         *
         * @param string $table the table's name, as in put()
         * @param mixed  $key   the key's value, which is what a row has as a value. For a composite
         *                      key an array of these, by column name or in the key's order. Alone
         *                      it is neither a bool nor a float: give these in an array, too
         *
         * @phpstan-param Key $key
         *
         * @return array<string, int|float|string|null>|false|null null: none has this key, so look
         *         into the table. false: its deletion is buffered, and no row after it: the row in
         *         the table is about to go. Values are what would be written: a DateTimeInterface,
         *         an enum or a GMP number is its text
         *
         * @phpstan-return StoredRow|false|null
         * @phpstan-impure
         *
         * @throws \TypeError       the key is no value, null, or an array with one of these. Or its
         *                          columns are not those of the table's key, which is looked at if
         *                          rows of the table are buffered. delete() throws a
         *                          ConfigException for that
         * @throws ConfigException  $table is not a table's name
         * @throws ConnectionException foreground: the table's key is not known yet, and there is no
         *                          server
         * @throws BlockedException foreground: the table's key is not known yet, and the server
         *                          answers with an error
         * @throws TimeoutException foreground: the table's key is not known yet, and the server did
         *                          not answer in time
         */
        public function find(string $table, mixed $key): array|false|null;

        /**
         * Commits all rows added before the call, and returns when that is done. Of a persistent
         * buffer that is what all objects added.
         *
         * What was given up is thrown once: by the flush(), the close() or, in the foreground, the
         * call that adds that gave it up. What the thread gave up, the next flush() or close()
         * throws. If that throws something else, the one after it does. While it waits in the
         * background, PHP sees its signals and its time limit.
         *
         * What is committed when it throws stays so. After close() it goes on working. Synchronous:
         * there is nothing to do.
         *
         * @param int|null $timeoutMs how long it may take, in milliseconds; null: as long as the
         *                            connection's own time-outs allow. 0: it waits for nothing. In
         *                            the background the rows are due then, in the foreground
         *                            nothing is sent to a server. If rows stay buffered, that is a
         *                            TimeoutException
         *
         * @return int the rows committed by this call. In the background: all that were committed
         *             while it waited. 0 if nothing was buffered
         *
         * @throws RefusedException    groups were given up. All other rows are committed, or wait
         *                             for a table, which the message says then
         * @throws BlockedException    a table takes no rows now: its rows stay buffered, as
         *                             getMetrics()['tables_parked'] says, and all others are
         *                             committed. Or a transaction lost its race once more than
         *                             maxRetries, the server does not take the rows at all, or
         *                             failures have no more room, in memory or in the
         *                             deadLetterFile: what is not committed by then stays buffered
         * @throws ConnectionException no server, or the connection was lost
         * @throws TimeoutException    the time is over
         * @throws \ValueError         $timeoutMs is negative
         */
        public function flush(?int $timeoutMs = null): int;

        /**
         * Waits until all groups added before would survive a power cut of this machine. With a
         * journal that is one write to its disk, whatever `journalSync` says, and the server is not
         * asked: it may be away. Without a journal only the server keeps them, so it is flush().
         *
         * With a journal nothing is due by it, and nothing is thrown of what became of rows.
         * Without one all is as in flush(). In group() it is about what was taken before. Also
         * after close().
         *
         * @param int|null $timeoutMs as in flush(). With a journal it is not heeded: nobody can
         *                            say how long a disk takes
         *
         * @throws RefusedException    without a journal: as flush()
         * @throws BlockedException    the disk failed. The rows stay buffered, and survive the
         *                             process as before. The next call has them written into
         *                             another file. Without a journal: as flush()
         * @throws ConnectionException without a journal: as flush()
         * @throws TimeoutException    without a journal: as flush()
         * @throws \ValueError         $timeoutMs is negative
         */
        public function sync(?int $timeoutMs = null): void;

        /**
         * Returns the ticket of the last group that was taken through this object, whatever has
         * become of it; 0 before the first one, and at first in a forked child. Also if the call
         * that took it threw: after putAll() or retry() that ended halfway it is that of the last
         * group which they took. Within group() it is that of the last group before. Of a
         * persistent buffer other objects may have taken later ones.
         *
         * @phpstan-impure
         */
        public function lastTicket(): int;

        /**
         * Returns up to which ticket all groups are settled: committed **or given up**. Which of
         * the two, waitFor($ticket, 0) says. 0: the first group is still buffered, or there is
         * none.
         *
         * Groups beyond it may be settled, too: with lanes, and while a table takes no rows, groups
         * are not settled in their order. It never falls, but in a forked child, which begins anew.
         * It counts the groups of all objects of a persistent buffer, so it may be larger than
         * lastTicket(). It asks no server. A synchronous buffer returns lastTicket().
         *
         * @phpstan-impure
         */
        public function committedThrough(): int;

        /**
         * Waits until a group is committed, and for nothing that came later. It makes the group due
         * at once, with what was added before it. Returns at once if the group is committed
         * already, also after close(). A row that a guard turned away counts as committed.
         *
         * What it throws says something of this group only. If the group was given up, its caller
         * was told: flush() does not throw it again. A synchronous buffer returns at once. Within
         * group() it waits for groups that were taken before. In the background PHP sees its
         * signals and its time limit while it waits.
         *
         * @param int      $ticket    what add(), put(), delete() or lastTicket() has returned
         * @param int|null $timeoutMs as in flush(). 0 asks what has become of the group: it returns
         *                            if it is committed, and throws otherwise
         *
         * @throws \ValueError         $timeoutMs is negative, or this buffer has given no such
         *                             ticket. 0 is none, unless nothing was taken through this
         *                             object yet: then there is nothing to wait for. Or nobody
         *                             knows any more what became of the ticket: later groups were
         *                             given up in more than 65,536 places of the sequence
         * @throws RefusedException    the group was given up, however long ago. getFailures() has
         *                             it while takeFailures() would return it, and is empty later.
         *                             It stays given up after retry(), which gives a new ticket.
         *                             Or its buffer ended, as at the end of the request, before it
         *                             was written: the deadLetterFile has it, or it is lost
         * @throws BlockedException    its rows cannot be written now, as when a table takes none:
         *                             the group was tried once more, and stays buffered. Or its
         *                             buffer ended before it was written, and it is in the journal:
         *                             the next process writes it
         * @throws ConnectionException no server, or the connection was lost: the group stays
         *                             buffered
         * @throws TimeoutException    the time is over: the group stays buffered
         */
        public function waitFor(int $ticket, ?int $timeoutMs = null): void;

        /**
         * Returns whether the buffered rows of any one table have reached batchSize. In the
         * foreground those with the same key count once. It says nothing of the room. Always false
         * of a synchronous buffer.
         *
         * @phpstan-impure
         */
        public function isFull(): bool;

        /**
         * Returns counters since the buffer was made, and its state now. Times are in milliseconds,
         * sizes in bytes. Always: `rows_added` = `rows_committed` + `rows_pending` +
         * `rows_refused`; `rows_pending` are the buffered ones, `rows_refused` those given up.
         * `docs/operations.md` has the meaning of each.
         *
         * @return array<string, mixed>
         *
         * @phpstan-return Metrics
         * @phpstan-impure
         */
        public function getMetrics(): array;

        /**
         * Returns the number of buffered rows. A row that went into another one still counts: it is
         * not committed yet. Of a persistent buffer those of all its objects. Always 0 of a
         * synchronous buffer.
         *
         * @phpstan-impure
         */
        public function count(): int;

        /**
         * Returns the failures (dead letters), which takeFailures() will return. They stay, and
         * flush() still throws those that it has not thrown yet.
         *
         * Each is a group, with an id that no other one has, in any process; the tag that it was
         * added with; its rows, its status, the server's error code (0 for our own), the reason,
         * and when it was given up (Unix time, in seconds). The update of a model has
         * `update`, true, beside its row. A deletion has its key under `delete`. Its line in the
         * dead-letter file has the same id.
         *
         * The status is
         * - `refused`: it is not in the database,
         * - `uncertain`: it may be there. Its COMMIT was not answered, and then its buffer ended,
         *   or the writer's row in the ledger was gone, as after a week. Or, in lines of the file,
         *   the process was killed amid DeadLetterFile::retry(), or a journal was damaged,
         * - `unwritten`, in lines of the dead-letter file only: nothing is wrong with it. Its
         *   buffer ended before it was written.
         *
         * At most 1,000 groups are kept, and at most 64 MiB. With a deadLetterFile the oldest are
         * dropped for new ones: the file has them. Without one, only those are that waitFor() has
         * thrown. If there are none, nothing more is given up, and flush() throws a
         * BlockedException. A forked child has none of its parent's. Also after close(). A
         * synchronous buffer has none.
         *
         * Those of a persistent buffer outlive the object and the request: any object of its name
         * in the process returns them, and the next flush() of one throws them. If nobody asks, all
         * that is left of them when the process ends is a number of rows in PHP's log. So give it a
         * deadLetterFile.
         *
         * @return list<array<string, mixed>>
         *
         * @phpstan-return list<Failure>
         * @phpstan-impure
         */
        public function failures(): array;

        /**
         * Returns the failures, as failures() does, and forgets them: each is returned once, and
         * its rows are yours then. flush() does not throw them any more. Lines of the dead-letter
         * file stay, with the same ids: put back the one or the other, not both. If memory_limit
         * ends the script in this call, they are in the file alone.
         *
         * @return list<array<string, mixed>>
         *
         * @phpstan-return list<Failure>
         */
        public function takeFailures(): array;

        /**
         * Puts failures back, each as a group, once the cause is gone.
         *
         * Takes what takeFailures() and {@see FlushException::getFailures()} return, and lines of
         * the dead-letter file after `json_decode($line, true)`. One whose status is `uncertain`,
         * or a word that is not known, is refused: look whether its rows are in the database, and
         * set its status to `unwritten` if they are not. One without a status is put back. They are
         * looked at first, as many at a time as maxPendingBytes allows: if one is refused then,
         * none of its batch is put back.
         *
         * One that this object has put back already is refused by its id, as is one that is in the
         * list twice. Of those that it has put back it remembers the last 10,000. Another object,
         * or another process, does not know of it. Without an id, or if it is null, nothing tells
         * that it was put back. A group that is given up once more is a new failure with a new id.
         *
         * Each is added after all that is buffered, as by add(): a guard keeps an old row from
         * replacing a newer one. Whether it is written then flush() says, or waitFor().
         *
         * They are put back in their order, up to the first one that cannot be. The others are
         * yours still, so keep the list: `array_slice($failures, $e->getTakenGroups())`. If your
         * own code throws meanwhile, as a signal's handler may, that passes on. If some were put
         * back, an IncompleteException is the last one of its getPrevious().
         *
         * Foreground: a flush that one of them makes due, and that throws, ends the call behind it.
         * Synchronous: if a group ended it as `uncertain`, that is the first of the others: look
         * whether it is in the table.
         *
         * @param array<array<string, mixed>> $failures
         *
         * @phpstan-param array<FailureToRetry> $failures
         *
         * @return int how many were put back: all. Synchronous: how many were committed.
         *             lastTicket() has the ticket of the last
         *
         * @throws IncompleteException getTakenGroups() were put back, from the first on, and then
         *                          getPrevious() ended it: a FullException, for instance
         * @throws \TypeError       an element is not a failure, or its id, status or tag is no
         *                          string
         * @throws ConfigException  one may be in the database already, or was put back already, or
         *                          the first one is refused as by add(). The message says which
         *                          one it is
         * @throws FullException    there is no room for the first one
         * @throws TooLargeException one alone exceeds maxPendingRows or maxPendingBytes
         * @throws ClosedException  after close(), also of an empty list
         * @throws RefusedException foreground: as add(), and all were put back. Synchronous: as
         *                          add(), for the first one
         * @throws BlockedException as RefusedException
         * @throws ConnectionException as RefusedException. Background: as add(), and all were put
         *                          back
         * @throws TimeoutException synchronous: as add(), for the first one
         */
        public function retry(array $failures): int;

        /**
         * Flushes, then takes no more rows. If the flush throws, the buffer stays open, with the
         * rows that are still buffered: call close() once more. A second close() after one that
         * returned does nothing.
         *
         * What takes no rows goes on working: flush(), find(), waitFor(), takeFailures(),
         * getMetrics(). Of a persistent buffer it closes this object only.
         *
         * @param int|null $timeoutMs as in flush(). With 0 it closes only if nothing is buffered
         *
         * @throws RefusedException    as flush()
         * @throws BlockedException    as flush()
         * @throws ConnectionException as flush()
         * @throws TimeoutException    as flush()
         * @throws \ValueError         $timeoutMs is negative
         */
        public function close(?int $timeoutMs = null): void;
    }

    /**
     * All exceptions of this extension implement it. PHP's own TypeError and ValueError do not.
     *
     * Each can be made by `new`, as any exception of PHP: for tests of the code that catches it.
     */
    interface Exception extends \Throwable
    {
    }

    /** Nothing of this call was taken. */
    interface NotTaken extends Exception
    {
    }

    /**
     * Another try may help, without a change of your code. With {@see NotTaken}: make the same call
     * again. Without: rows are buffered, so call flush(), and do not add them again. Of a call that
     * takes no rows, such as find() or {@see Journal::recover()}: call it again.
     */
    interface Retryable extends Exception
    {
    }

    /**
     * A setting, a table or a row that cannot work, whatever the state of the server. Nothing was
     * taken.
     */
    final class ConfigException extends \InvalidArgumentException implements NotTaken
    {
    }

    /**
     * The server cannot be reached, refused the login, or the connection was lost. Rows that were
     * taken stay buffered; if it is {@see NotTaken}, none were. The code is the server's error
     * code, or the client's (2002 and above), or 0.
     */
    class ConnectionException extends \RuntimeException implements Retryable
    {
    }

    /**
     * There is no room: with the group, maxPendingRows, maxPendingBytes or journalMaxBytes would be
     * exceeded, and the rows before could not be written in time. Nothing was taken. There may be
     * room later.
     */
    final class FullException extends \OverflowException implements NotTaken, Retryable
    {
    }

    /**
     * The group alone exceeds maxPendingRows or maxPendingBytes. It was not taken, and never will
     * be: add fewer rows at once, or raise the bound.
     */
    final class TooLargeException extends \LengthException implements NotTaken
    {
    }

    /**
     * The server, or a check before it, does not take rows. The code is the server's, or 0. What is
     * thrown is a {@see RefusedException} or a {@see BlockedException}: catch this class for both.
     *
     * @phpstan-import-type Failure from Buffer
     */
    class FlushException extends \RuntimeException implements Exception
    {
        /**
         * For tests: what `\Exception` takes, and what getFailures() returns.
         *
         * @param list<array<string, mixed>> $failures
         *
         * @phpstan-param list<Failure> $failures
         *
         * @throws \TypeError an argument has a wrong type
         */
        public function __construct(
            string $message = '',
            int $code = 0,
            ?\Throwable $previous = null,
            array $failures = [],
        ) {
        }

        /**
         * Returns the groups that were given up and not thrown before, as
         * {@see Buffer::takeFailures()}, which still returns them; of waitFor(), and of a
         * {@see \SyncWriteBuffer}, its own group. Empty in a {@see BlockedException}. It has the
         * first ones, up to 1,000 or 64 MiB.
         *
         * @return list<array<string, mixed>>
         *
         * @phpstan-return list<Failure>
         */
        public function getFailures(): array
        {
        }
    }

    /**
     * Groups were given up: they are failures in {@see Buffer::takeFailures()}. Of a
     * {@see \SyncWriteBuffer} getFailures() alone has the group: it was refused, or its COMMIT was
     * not answered, as its status says.
     */
    final class RefusedException extends FlushException
    {
    }

    /**
     * Rows cannot be written now. Those that were taken stay buffered; if it is {@see NotTaken},
     * none were.
     */
    class BlockedException extends FlushException implements Retryable
    {
    }

    /**
     * The time is over: that of the call, or the one within which a table's definition must be
     * read. Rows that were taken stay buffered; if it is {@see NotTaken}, none were. A time-out of
     * the connection's own is a {@see ConnectionException}.
     */
    class TimeoutException extends \RuntimeException implements Retryable
    {
    }

    /**
     * A call that takes many groups took only some: putAll(), retry() or
     * {@see DeadLetterFile::retry()}. What was taken stays taken: do not add it again. Within
     * group() these rows have joined the group: they are taken with it, or dropped with it. If an
     * error ended the call, that is getPrevious(), and the code is the error's. What the class of
     * that error says of rows, and of another try, holds for the group that ended the call, and not
     * for those before it.
     */
    final class IncompleteException extends \RuntimeException implements Exception
    {
        /**
         * For tests: what `\Exception` takes, and what the methods return.
         *
         * @param array<int, string> $reasons
         *
         * @throws \TypeError an argument has a wrong type
         */
        public function __construct(
            string $message = '',
            int $code = 0,
            ?\Throwable $previous = null,
            int $takenRows = 0,
            int $skippedRows = 0,
            array $reasons = [],
            int $takenGroups = 0,
            int $processedRows = 0,
        ) {
        }

        /** Returns how many rows were taken. */
        public function getTakenRows(): int
        {
        }

        /**
         * Returns how many groups were taken: of putAll() one a row, of retry() one a failure. So
         * `array_slice($failures, $e->getTakenGroups())` is what retry() has left.
         */
        public function getTakenGroups(): int
        {
        }

        /** Returns how many rows putAll() skipped, each for a reason of its own. */
        public function getSkippedRows(): int
        {
        }

        /**
         * Returns how many of putAll()'s $rows are done, from the first on: taken, skipped, or
         * models without a change. To go on, leave these out.
         */
        public function getProcessedRows(): int
        {
        }

        /**
         * Returns why rows were skipped: the first 100 reasons, each under the number of its row,
         * from 1.
         *
         * @return array<int, string>
         */
        public function getReasons(): array
        {
        }
    }

    /** The buffer was closed. Nothing was taken. */
    final class ClosedException extends \LogicException implements NotTaken
    {
    }

    /**
     * How the rows of a table are written: the rule `mode` of `tables`. The value of a case may
     * stand in its place.
     */
    enum Mode: string
    {
        /** A row whose key is there updates that row. */
        case Upsert = 'upsert';

        /** Rows are inserted, and never merged. A row whose key is there is given up. */
        case Insert = 'insert';
    }

    /**
     * What a column holds if a row meets an earlier one of its key, in the buffer or in the table:
     * a rule in `merge` of `tables`. The value of a case may stand in its place.
     */
    enum Merge: string
    {
        /** The later value. */
        case Replace = 'replace';

        /** The first value. */
        case Keep = 'keep';

        /** The sum, exact. NULL in the table counts as 0; null in a row is refused. */
        case Sum = 'sum';

        /** The smaller value. NULL counts as no value. */
        case Min = 'min';

        /** The larger value. NULL counts as no value. */
        case Max = 'max';
    }

    /**
     * What add() does in the background if there is no room: the parameter `overflow`. The value of
     * a case may stand in its place.
     */
    enum Overflow: string
    {
        /** It waits for room, for up to overflowTimeoutMs. Then it throws, too. */
        case Block = 'block';

        /** It throws a {@see FullException} at once. */
        case Throw = 'throw';
    }

    /**
     * Which transactions are entered in the ledger: the parameter `ledger`. The value of a case may
     * stand in its place.
     */
    enum Ledger: string
    {
        /** Those with rows that must not be written twice. */
        case Auto = 'auto';

        /** All. */
        case Always = 'always';

        /** None. Tables that need it are refused, unless they are `repeatable`. */
        case Never = 'never';
    }

    /**
     * When what was taken survives the machine, and not only the process: the parameter
     * `journalSync`. The value of a case may stand in its place.
     */
    enum JournalSync: string
    {
        /** When the system writes it, which may be half a minute later. */
        case None = 'none';

        /** A native thread writes it to the disk at least every journalSyncMs. */
        case Interval = 'interval';

        /** It is on the disk when add() returns. */
        case Always = 'always';
    }

    /**
     * What `deadLetterFile` names: a line for each group that was given up, or was unwritten when
     * its buffer ended.
     */
    final class DeadLetterFile
    {
        /**
         * Puts the groups of a dead-letter file back, waits until they are committed, and takes
         * them out of the file.
         *
         * What is given up once more is a new line with a new id, in the buffer's own
         * `deadLetterFile` if it has one, else in this file, and is a failure of the buffer, too.
         * Lines that are torn, or that {@see Buffer::retry()} refuses, come back as they are: look
         * at these, and set their status to `unwritten` or take them out. An id that this object
         * has put back before, also by retry(), comes back as `uncertain`. None of this is an
         * exception: what has come back is in the file. It waits as flush() does without a time.
         *
         * **If it throws**, call it again later, with the same buffer: each group is committed, or
         * has its line. The exception is about the group that ended the call, also if it is
         * NotTaken. Groups that are still buffered keep their lines in `$path.retry`, which stays
         * locked: the next call waits for them, and does not add them again.
         *
         * **Nothing is written twice**, also if the process is killed amid this: the next call
         * gives the lines that were begun, at most 100, back as `uncertain`, and goes on with the
         * others. Two processes do not retry one file at once: the second one throws.
         *
         * The file is read into memory whole. No path but `$path` must lead to it, and
         * `$path.retry` is no link. See `docs/operations.md`.
         *
         * @param Buffer $buffer writes the groups: a {@see \WriteBuffer} or a
         *                       {@see \SyncWriteBuffer}. Its `deadLetterFile` may be the same file
         * @param string $path   the file. If it is not there, there is nothing to do
         *
         * @phpstan-param \WriteBuffer|\SyncWriteBuffer $buffer
         *
         * @return int how many groups were committed. Within group() of the buffer it works as
         *             outside
         *
         * @throws \TypeError          $buffer is another Buffer
         * @throws IncompleteException groups were put back, and then getPrevious() ended it: a
         *                             ConfigException, a ClosedException or a FullException.
         *                             getTakenGroups() says how many, whatever became of them: the
         *                             file has what is left
         * @throws ConfigException     the file cannot be read or written to, is another user's, or
         *                             another process or buffer retries it; or PHP's json_decode()
         *                             is disabled
         * @throws ClosedException     the buffer is closed; the file is as it was
         * @throws FullException       there is no room for the first group now
         * @throws BlockedException    rows cannot be written now. Groups before may be committed
         * @throws ConnectionException no server, or the connection was lost. Groups before may be
         *                             committed
         * @throws TimeoutException    synchronous: the server did not answer in time. Groups before
         *                             may be committed
         */
        public static function retry(Buffer $buffer, string $path): int
        {
        }
    }

    /**
     * What `journal` names: a folder that keeps what is buffered, so that it outlives its process.
     * A buffer that names it recovers by itself what dead processes have left there. This class is
     * for those who want it at once, and to see it: deploys, boot, monitoring.
     *
     * @phpstan-type Recovered = array{
     *     writer: string,
     *     groups: int,
     *     rows_committed: int,
     *     rows_refused: int,
     *     rows_parked: int,
     *     set_aside: ?string,
     *     error: ?string
     * }
     * @phpstan-type Inspected = array{
     *     writer: string,
     *     pid: ?int,
     *     groups: int,
     *     bytes: int,
     *     age_oldest_ms: ?float,
     *     dsn: ?string,
     *     damage: ?string
     * }
     */
    final class Journal
    {
        /**
         * Writes what dead processes have left in a journal for one DSN, each group once, by the
         * rules that its own buffer had. It leaves alone what a living process has, also one that
         * is stopped; what another process recovers right now; and what is for another DSN.
         *
         * What is given up goes into the dead-letter file: php.ini's, or `dead-letters.jsonl` in
         * the folder. Rows whose table takes none now are waited for as long as parkTimeoutMs of
         * php.ini says. If it is killed amid this, the next one goes on. PHP sees its signals and
         * its time limit meanwhile.
         *
         * @param string      $directory the folder. If it is not there, there is nothing to do
         * @param string|null $dsn       the DSN, as the buffers have it. Default `write_buffer.dsn`
         * @param int|null    $timeoutMs how long it may take, in milliseconds; null: until all is
         *                               settled, or no server can be reached
         *
         * @return list<array<string, mixed>> an element for each dead writer: its groups that were
         *             not committed, what became of their rows, and where its folder was set aside
         *             if it was damaged. `error`: null if nothing is left, else why something is: a
         *             server that cannot be reached is said here, and is no exception
         *
         * @phpstan-return list<Recovered>
         *
         * @throws ConfigException     there is no DSN, or it is `memory:`; the folder cannot be
         *                             used; or php.ini has a setting that cannot work
         * @throws ConnectionException no thread can be started
         * @throws TimeoutException    the time is over: a server is slow, or was connected and does
         *                             not answer. What is left stays in the folder
         * @throws \ValueError         $directory is empty, or $timeoutMs is negative
         */
        public static function recover(
            string $directory,
            #[\SensitiveParameter] ?string $dsn = null,
            ?int $timeoutMs = null,
        ): array {
        }

        /**
         * Looks at a journal. It asks no server, waits for nobody and changes nothing.
         *
         * @param string $directory the folder. If it is not there, the list is empty
         *
         * @return list<array<string, mixed>> an element for each folder in it, those that were set
         *             aside too. `pid`: the process that has it, null if that is dead. `groups`:
         *             those that can be read, with committed ones whose file is still there.
         *             `bytes`: what it takes on the disk. `age_oldest_ms`: the age of its oldest
         *             file. `dsn`: without the password, null if it cannot be read. `damage`: what
         *             is wrong, and where
         *
         * @phpstan-return list<Inspected>
         *
         * @throws ConfigException the folder cannot be read, or is another user's
         * @throws \ValueError     $directory is empty
         */
        public static function inspect(string $directory): array
        {
        }
    }

    /**
     * The tables behind the DSN `memory:` (or `memory:NAME`, a separate set), for tests without a
     * server. They live until the request ends. Batches are applied by the rules that a server
     * would apply.
     *
     * @phpstan-import-type StoredRow from Buffer
     */
    final class MemorySink
    {
        /** There are no objects of it. */
        private function __construct()
        {
        }

        /**
         * Returns all tables by name, each with its rows in the order in which they were inserted.
         *
         * @param string $name the NAME of `memory:NAME`
         *
         * @return array<string, list<array<string, int|float|string|null>>>
         *
         * @phpstan-return array<string, list<StoredRow>>
         */
        public static function tables(string $name = ''): array
        {
        }

        /**
         * Empties the tables, and forgets the failures that failNext() asked for.
         *
         * @param string $name the NAME of `memory:NAME`
         */
        public static function reset(string $name = ''): void
        {
        }

        /**
         * Makes the next transactions fail as a server would.
         *
         * @param int    $code  a server error code, from 1 to 65535: 1213 (deadlock), 1205 (lock
         *                      wait time-out), 2006 (connection lost), 1062 …
         * @param int    $times how many transactions in a row, from 1 to 1000000
         * @param string $name  the NAME of `memory:NAME`
         *
         * @throws \ValueError $code or $times is out of its range
         */
        public static function failNext(int $code, int $times = 1, string $name = ''): void
        {
        }
    }
}

namespace WriteBuffer\Synchronous {

    /**
     * Of a {@see \SyncWriteBuffer}, which keeps nothing: the group was neither taken nor written.
     * Make the same call again.
     */
    final class BlockedException extends \WriteBuffer\BlockedException implements \WriteBuffer\NotTaken
    {
    }

    /** As {@see BlockedException}. */
    final class ConnectionException extends \WriteBuffer\ConnectionException implements \WriteBuffer\NotTaken
    {
    }

    /** As {@see BlockedException}. It comes before anything is sent. */
    final class TimeoutException extends \WriteBuffer\TimeoutException implements \WriteBuffer\NotTaken
    {
    }
}

namespace {

    /**
     * Collects rows and writes them to MySQL or MariaDB as batched upserts, one transaction a
     * batch. It can be neither cloned nor serialized.
     *
     * Needs no `close()`. Destruction waits for up to shutdownTimeoutMs until all is written, also
     * after `exit`, an uncaught exception or a fatal error, as of memory_limit or
     * max_execution_time. What it cannot write is *unwritten*: it stays in the journal, and the
     * next process writes it, or it goes into the deadLetterFile, or into a file beside that if
     * another process has locked it, which a warning names. Without either, or if the file cannot
     * be written to, it is lost, with a PHP warning that names the server, the reason, the tables
     * and the first keys. The failures in memory end with the buffer: those that no exception and
     * no file has told of are named in a warning. Of a persistent buffer the end of the process
     * does all this, and PHP's log has the warning.
     *
     * @phpstan-import-type Rules from \WriteBuffer\Buffer
     */
    final class WriteBuffer implements \WriteBuffer\Buffer
    {
        /**
         * Opens no connection: the first row does, or what dead processes have left in the journal,
         * which is written from here on. `docs/settings.md` has the bounds of each number.
         *
         * Every parameter but the rules is nullable. Null, or a parameter left out, takes the value
         * of the php.ini setting `write_buffer.NAME_IN_SNAKE_CASE`. The default that is named with
         * a parameter is that setting's own. An argument wins over php.ini. To switch off what
         * php.ini sets, give an empty string as deadLetterFile, journal, persistent, routeBy or
         * timeZone.
         *
         * @param string|null $dsn `mysql://user:pass@host:3306/db?option=value`, with
         *        `host1:3306,host2:3306` for the servers of one cluster, `unix_socket=/path` for a
         *        socket, or `memory:`. User, password and database are percent-encoded. Options:
         *        unix_socket, tls (`off`, the default; `required`), tls_ca, tls_cert, tls_key (PEM
         *        files), tls_verify (`identity`, the default; `ca`; `none`), charset, collation,
         *        timezone, sql_mode, isolation_level, connect_timeout_ms, read_timeout_ms,
         *        write_timeout_ms, lock_wait_timeout_ms. `docs/dsn.md` has all defaults.
         *        Default: `write_buffer.dsn`
         * @param int|null $batchSize rows of one table that make the buffer full: a flush is due
         *        then. In the foreground those with the same key count once. Default 100
         * @param int|null $flushIntervalMs milliseconds, since the oldest buffered row, after which
         *        a flush is due. Default 500
         * @param int|null $maxRetries how often a transaction is repeated after a lost race, such
         *        as a deadlock or a lock wait time-out. After that flush() throws a
         *        BlockedException, and the rows stay buffered: no row is given up for it. In the
         *        background the thread goes on after a pause, in the foreground the next flush
         *        does. Default 3
         * @param bool|null $background true: a native thread flushes if a batch is full or overdue,
         *        and add() waits only for room; false: the calling thread does, the foreground.
         *        Default true
         * @param string|null $orderTable the table of add()'s first parameter. Default `orders`
         * @param string|null $tradeTable the table of add()'s second parameter. Default `trades`
         * @param array<string, array<string, mixed>> $tables rules by table. `key`: the columns
         *        that tell rows apart (default: the primary key, read from the server; `id` for
         *        `memory:`; `'server'`: the server's unique keys decide, and rows are neither
         *        merged nor sorted). `mode`: default upsert, and insert for the trade table, whose
         *        rows are then neither merged nor deleted. `merge`: a rule for each column
         *        (default: replace). `guard`: a column; a row is replaced only by one whose guard
         *        is not smaller. Another is turned away whole, sums and all, in the buffer as in
         *        the table. `allowSecondUnique` accepts that a row may update another row through a
         *        second unique index; else such a table is refused. `repeatable` accepts that rows
         *        are written twice if the ledger is off, or refused by what they have written
         *        themselves. `coalesce`: false writes every version of a row, in order
         * @param int|null $maxPendingRows bound of buffered rows: beyond it there is no room.
         *        Default 100000
         * @param int|null $maxPendingBytes bound of buffered bytes: beyond it there is no room.
         *        Rows that wait in a journal alone take next to none. Default 67108864
         * @param \WriteBuffer\Overflow|string|null $overflow what add() does in the background if
         *        a bound is reached: `block` waits for it, `throw` throws a FullException. In the
         *        foreground it flushes, and throws a FullException if that makes no room. Default
         *        `block`
         * @param int|null $overflowTimeoutMs how long `block` waits, in milliseconds; then
         *        FullException. Default 5000
         * @param int|null $shutdownTimeoutMs how long destruction, or the process's end for a
         *        persistent buffer, may take to flush, in milliseconds. Buffers that end together,
         *        with a request or a process, share the longest of their times. Default 5000
         * @param int|null $lanes how many threads write side by side, each over a connection of its
         *        own. Rows of one key are written in the order in which they were added, whatever
         *        their lanes; groups of different keys are not. 0: as many as it needs. It begins
         *        with one, opens another while a backlog lasts, up to 4, and closes those that
         *        are not needed for five seconds. Needs `background`. Default 1
         * @param string|null $routeBy the column whose value chooses a group's lane, `symbol` for
         *        instance. Groups of one value go to one lane, unless a row of theirs still waits
         *        in another one. Without it, or if no row of a group has it, consecutive groups go
         *        to one lane, to the first one as long as it keeps up. That writes most rows a
         *        second
         * @param string|null $persistent a name. The buffer, its thread and its connection outlive
         *        the object and the request, and every object that gives this name in the process
         *        shares them, with the rows, the tickets and the failures. The end of an object
         *        waits for nothing; the process writes what is left when it ends in good order.
         *        Needs `background`, a server, and the same DSN and settings everywhere
         * @param string|null $deadLetterFile a file that gets a JSON line for each group that is
         *        given up, before it leaves the memory, and for each that is unwritten when the
         *        buffer ends. A line has what failures() returns:
         *        `{"id":…,"tag":…,"status":…,"rows":[{"table":…,"row":{…}}],…}`. A string that is
         *        not UTF-8 is `{"base64":"…"}`. The file is made with mode 0600. While it cannot be
         *        written to, nothing is given up
         * @param \WriteBuffer\Ledger|string|null $ledger when a transaction is entered in the
         *        ledger, a table which tells after a lost connection whether its COMMIT was carried
         *        out. `auto`: if it has rows that must not be written twice, such as insert-only or
         *        summed ones, and those that the server numbers. `always`. `never`: such tables are
         *        refused, unless they are `repeatable`. Default `auto`
         * @param string|null $ledgerTable the ledger's table: `table` or `database.table`. It is
         *        made at its first use, in the DSN's database if it names none. Accounts that must
         *        not harm each other's rows need one each. Default `write_buffer_ledger`
         * @param bool|null $redactValues true: messages have `…` in the place of the values that a
         *        server quotes; failures have them. Messages are those of exceptions, warnings,
         *        PHP's log and `last_error`. Default false
         * @param int|null $parkTimeoutMs how long rows wait for a table that takes none, in
         *        milliseconds; 0: until they are written. A table is missing, for instance, or a
         *        column, or a right. Rows of other tables are written meanwhile. When the time is
         *        over the rows are given up, as refused ones are. Default 60000
         * @param int|null $maxPreparedStatements how many statements each connection has prepared
         *        on the server; 0: rows are sent as text. So they are when the server has none
         *        left: it has `max_prepared_stmt_count`, 16382, for all its clients. Default 32
         * @param string|null $timeZone the zone to which DateTimeInterface objects are converted
         *        before they are written: a name that PHP knows, such as `UTC` or `Europe/Berlin`,
         *        or an offset such as `+02:00`. Without it each is written as its wall-clock time
         *        in its own zone. It is no setting of the server's session: that is the DSN's
         *        `timezone`
         * @param string|null $journal a folder in which what was taken survives the process, as
         *        SIGKILL, the OOM killer or a crash end it. The next buffer that names it, for the
         *        same DSN, writes what is left there, each group once, before rows of its own. It
         *        is made with mode 0700 if its parent is there, is on a disk of this machine, and
         *        is one user's. All transactions are then entered in the ledger, and what is given
         *        up goes into `dead-letters.jsonl` in it, unless deadLetterFile names another file.
         *        Needs `background` and a server. See `docs/journal.md`. Default: none
         * @param \WriteBuffer\JournalSync|string|null $journalSync when what was taken survives
         *        the machine, too: `none`, when the system writes it; `interval`, journalSyncMs
         *        later; `always`, when add() returns. sync() asks for it once. Default `none`
         * @param int|null $journalSyncMs how often `journalSync: 'interval'` syncs, in
         *        milliseconds. Default 10
         * @param int|null $journalMaxBytes bound of the journal on the disk, in bytes, for each
         *        buffer: at it there is no room, as `overflow` says. Default 1073741824
         *
         * @phpstan-param array<string, Rules> $tables
         *
         * @throws \TypeError                   an argument has a wrong type, or is a case of
         *                                      another enum
         * @throws \WriteBuffer\ConfigException a setting cannot work: a number out of its bounds, a
         *                                      word that is none of the enum's, an unknown rule, no
         *                                      DSN, settings that do not go together, or are
         *                                      others than before of the same persistent name.
         *                                      The message names the setting
         */
        public function __construct(
            #[\SensitiveParameter] ?string $dsn = null,
            ?int $batchSize = null,
            ?int $flushIntervalMs = null,
            ?int $maxRetries = null,
            ?bool $background = null,
            ?string $orderTable = null,
            ?string $tradeTable = null,
            array $tables = [],
            ?int $maxPendingRows = null,
            ?int $maxPendingBytes = null,
            \WriteBuffer\Overflow|string|null $overflow = null,
            ?int $overflowTimeoutMs = null,
            ?int $shutdownTimeoutMs = null,
            ?int $lanes = null,
            ?string $routeBy = null,
            ?string $persistent = null,
            ?string $deadLetterFile = null,
            \WriteBuffer\Ledger|string|null $ledger = null,
            ?string $ledgerTable = null,
            ?bool $redactValues = null,
            ?int $parkTimeoutMs = null,
            ?int $maxPreparedStatements = null,
            ?string $timeZone = null,
            ?string $journal = null,
            \WriteBuffer\JournalSync|string|null $journalSync = null,
            ?int $journalSyncMs = null,
            ?int $journalMaxBytes = null,
        ) {
        }

        public function add(mixed $order, mixed $trade = null): int
        {
        }

        public function put(string $table, mixed $row, ?string $tag = null): int
        {
        }

        public function putAll(string $table, iterable $rows, ?callable $progress = null): int
        {
        }

        public function delete(string $table, mixed $key, ?string $tag = null): int
        {
        }

        public function group(callable $rows, ?string $tag = null): mixed
        {
        }

        public function find(string $table, mixed $key): array|false|null
        {
        }

        public function flush(?int $timeoutMs = null): int
        {
        }

        public function sync(?int $timeoutMs = null): void
        {
        }

        public function lastTicket(): int
        {
        }

        public function committedThrough(): int
        {
        }

        public function waitFor(int $ticket, ?int $timeoutMs = null): void
        {
        }

        public function isFull(): bool
        {
        }

        public function getMetrics(): array
        {
        }

        public function count(): int
        {
        }

        public function failures(): array
        {
        }

        public function takeFailures(): array
        {
        }

        public function retry(array $failures): int
        {
        }

        public function close(?int $timeoutMs = null): void
        {
        }

        /**
         * Returns the settings, without secrets, and the metrics, for var_dump().
         *
         * @return array<string, mixed>
         */
        public function __debugInfo(): array
        {
        }
    }

    /**
     * The same interface, without a buffer: each add(), put(), delete() and group(), and each group
     * of putAll() and retry(), is committed before the call returns, so an error appears at the
     * very line. For tests and scripts.
     *
     * One call may add as much as maxPendingRows and maxPendingBytes say. flush(), sync() and
     * waitFor() have nothing to do, and close() ends the adding.
     *
     * What its exceptions say of rows: see *The synchronous buffer* of {@see \WriteBuffer\Buffer}.
     * Of putAll() and retry() the groups before are committed, and an
     * {@see \WriteBuffer\IncompleteException} says how many.
     *
     * @phpstan-import-type Rules from \WriteBuffer\Buffer
     */
    final class SyncWriteBuffer implements \WriteBuffer\Buffer
    {
        /**
         * Takes the parameters of {@see \WriteBuffer::__construct()}, in their order, so that the
         * two classes can be exchanged.
         *
         * It heeds dsn, maxRetries, orderTable, tradeTable, tables, ledger, ledgerTable,
         * redactValues, maxPreparedStatements and timeZone; and maxPendingRows and maxPendingBytes
         * as the bound of one call.
         *
         * It ignores those that have no meaning without a buffer: batchSize, flushIntervalMs,
         * background, overflow, overflowTimeoutMs, shutdownTimeoutMs, lanes, routeBy, persistent,
         * deadLetterFile, parkTimeoutMs, journal, journalSync, journalSyncMs and journalMaxBytes.
         * Such an argument is checked all the same: what
         * WriteBuffer refuses of it by itself, or without `background`, is refused here, too. What
         * php.ini has for these is not checked.
         *
         * @see WriteBuffer::__construct() for each parameter
         *
         * @param array<string, array<string, mixed>> $tables
         *
         * @phpstan-param array<string, Rules> $tables
         *
         * @throws \TypeError                   an argument has a wrong type, or is a case of
         *                                      another enum
         * @throws \WriteBuffer\ConfigException a setting cannot work: a number out of its bounds, a
         *                                      word that is none of the enum's, an unknown rule, no
         *                                      DSN, settings that do not go together. It names
         *                                      the setting
         */
        public function __construct(
            #[\SensitiveParameter] ?string $dsn = null,
            ?int $batchSize = null,
            ?int $flushIntervalMs = null,
            ?int $maxRetries = null,
            ?bool $background = null,
            ?string $orderTable = null,
            ?string $tradeTable = null,
            array $tables = [],
            ?int $maxPendingRows = null,
            ?int $maxPendingBytes = null,
            \WriteBuffer\Overflow|string|null $overflow = null,
            ?int $overflowTimeoutMs = null,
            ?int $shutdownTimeoutMs = null,
            ?int $lanes = null,
            ?string $routeBy = null,
            ?string $persistent = null,
            ?string $deadLetterFile = null,
            \WriteBuffer\Ledger|string|null $ledger = null,
            ?string $ledgerTable = null,
            ?bool $redactValues = null,
            ?int $parkTimeoutMs = null,
            ?int $maxPreparedStatements = null,
            ?string $timeZone = null,
            ?string $journal = null,
            \WriteBuffer\JournalSync|string|null $journalSync = null,
            ?int $journalSyncMs = null,
            ?int $journalMaxBytes = null,
        ) {
        }

        public function add(mixed $order, mixed $trade = null): int
        {
        }

        public function put(string $table, mixed $row, ?string $tag = null): int
        {
        }

        public function putAll(string $table, iterable $rows, ?callable $progress = null): int
        {
        }

        public function delete(string $table, mixed $key, ?string $tag = null): int
        {
        }

        public function group(callable $rows, ?string $tag = null): mixed
        {
        }

        public function find(string $table, mixed $key): array|false|null
        {
        }

        public function flush(?int $timeoutMs = null): int
        {
        }

        public function sync(?int $timeoutMs = null): void
        {
        }

        public function lastTicket(): int
        {
        }

        public function committedThrough(): int
        {
        }

        public function waitFor(int $ticket, ?int $timeoutMs = null): void
        {
        }

        public function isFull(): bool
        {
        }

        public function getMetrics(): array
        {
        }

        public function count(): int
        {
        }

        public function failures(): array
        {
        }

        public function takeFailures(): array
        {
        }

        public function retry(array $failures): int
        {
        }

        public function close(?int $timeoutMs = null): void
        {
        }

        /**
         * Returns the settings, without secrets, and the metrics, for var_dump().
         *
         * @return array<string, mixed>
         */
        public function __debugInfo(): array
        {
        }
    }
}
