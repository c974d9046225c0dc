<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use Closure;
use Illuminate\Database\Connection;
use Throwable;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowRuns;
use WriteBuffer\Laravel\Tables\Table;
use WriteBuffer\Laravel\Tables\TableCatalog;

/**
 * Owns one transaction: writes groups in it, and repeats it after a lost race or a lost connection.
 *
 * Groups without deletions are written together, table by table. A group with deletions is written
 * by itself, in the order of its rows: foreign keys, and what cascades, see them in that order.
 *
 * Inside an open transaction it is a savepoint. A lost race is not repeated there, since it ended
 * the outer transaction too.
 *
 * Bounds: maxRetries lost races, and one new connection.
 */
final class GroupWriter
{
    private const BACKOFF_MS = 10;

    private const BACKOFF_MS_MAX = 500;

    /** Rows of the transaction under way that have a guard and changed nothing. */
    private int $staleRows = 0;

    /** @param Closure(): Connection $connection */
    public function __construct(
        private readonly Closure $connection,
        private readonly TableCatalog $tables,
        private readonly int $maxRetries,
        private readonly Counters $counters,
    ) {
    }

    /**
     * @param list<list<Row>> $groups
     *
     * @return WriteError|null null: they are committed
     */
    public function write(array $groups): ?WriteError
    {
        for ($retries = $reconnects = 0;; $retries++) {
            $connection = ($this->connection)();
            $isNested = $connection->transactionLevel() > 0;
            $isDone = false;
            $this->staleRows = 0;
            try {
                $connection->transaction(function () use ($connection, $groups, &$isDone): void {
                    $this->writeGroups($connection, $groups);
                    $isDone = true;
                });
                $this->counters->add('rows_stale', $this->staleRows);

                return null;
            } catch (Throwable $e) {
                $error = DatabaseError::of($connection, $e);
            }
            if ($error->class === DatabaseError::CONNECTION && $isDone) {
                $this->counters->add('commits_unknown');

                return new WriteError($error, true);
            }
            if ($isNested || !$this->mayRepeat($connection, $error, $retries, $reconnects)) {
                return new WriteError($error, false);
            }
        }
    }

    private function mayRepeat(Connection $connection, DatabaseError $error, int $retries, int &$reconnects): bool
    {
        if ($error->class === DatabaseError::RETRY && $retries - $reconnects < $this->maxRetries) {
            $this->counters->add('retries');
            $this->counters->add(match ($error->code) {
                1213 => 'retries_deadlock',
                1205 => 'retries_lock_wait_timeout',
                1020 => 'retries_record_changed',
                default => 'retries_other',
            });
            $wait = min(self::BACKOFF_MS_MAX, self::BACKOFF_MS * 2 ** $retries);
            usleep(random_int(intdiv($wait, 2), $wait) * 1_000);

            return true;
        }
        // SQLite has no server to reconnect to, and a database in memory would go with its
        // connection.
        $isRemote = $connection->getDriverName() !== 'sqlite';
        if ($error->class === DatabaseError::CONNECTION && $reconnects === 0 && $isRemote) {
            $reconnects++;
            $this->counters->add('retries');
            $this->counters->add('retries_reconnect');
            // Opens no connection: the next statement does, and says if it cannot.
            $connection->disconnect();

            return true;
        }

        return false;
    }

    /** @param list<list<Row>> $groups */
    private function writeGroups(Connection $connection, array $groups): void
    {
        $together = [];
        foreach ($groups as $group) {
            if (!self::hasDeletions($group)) {
                array_push($together, ...$group);
                continue;
            }
            $this->writeTables($connection, $together);
            $together = [];
            $this->writeInOrder($connection, $group);
        }
        $this->writeTables($connection, $together);
    }

    /** @param list<Row> $group */
    private static function hasDeletions(array $group): bool
    {
        foreach ($group as $row) {
            if ($row->isDeletion) {
                return true;
            }
        }

        return false;
    }

    /**
     * Writes each row after the one before it. Rows of one table that stand together share
     * statements.
     *
     * @param list<Row> $group
     */
    private function writeInOrder(Connection $connection, array $group): void
    {
        foreach (RowRuns::of($group, static fn (Row $row): string => "{$row->isDeletion} {$row->table}") as $run) {
            $this->writeTable($connection, $run);
        }
    }

    /** @param list<Row> $rows no deletions */
    private function writeTables(Connection $connection, array $rows): void
    {
        $byTable = [];
        foreach ($rows as $row) {
            $byTable[$row->table][] = $row;
        }
        foreach ($this->tables->inOrder(array_map('strval', array_keys($byTable))) as $name) {
            $this->writeTable($connection, $byTable[$name]);
        }
    }

    /** @param list<Row> $rows of one table: rows alone, or deletions alone */
    private function writeTable(Connection $connection, array $rows): void
    {
        $name = $rows[0]->table;
        $table = $this->tables->of($name, $rows[0]);
        if ($table->schema === null) {
            // There is no such table. This lets the database say so, with its own code.
            $quoted = str_replace(['`', '.'], ['``', '`.`'], $name);
            $connection->select("SELECT 1 FROM `{$quoted}` WHERE 1 = 0", [], false);
            if ($table->isUpsert() && $table->key === []) {
                throw new ConfigException("table {$name}: its key is not known, configure it in `tables`");
            }
        }
        $bound = array_map(static fn (Row $row): array => self::bind($table, $row), $rows);
        $statements = new Statements($connection);
        if (!$rows[0]->isDeletion) {
            $updates = array_map($table->isUpdate(...), $rows);
            $this->staleRows += $statements->write($table, $bound, $updates);

            return;
        }
        foreach ($bound as $deletion) {
            $statements->delete($table, $deletion);
        }
    }

    /**
     * @return array<string, mixed>
     *
     * @throws RowRefusedException the row was taken while the database could not be asked, and
     *                             cannot be written
     */
    private static function bind(Table $table, Row $row): array
    {
        try {
            return $row->isDeletion ? $table->bindDeletion($row) : $table->bind($row);
        } catch (ConfigException $e) {
            throw new RowRefusedException($e->getMessage(), 0, $e);
        }
    }
}
