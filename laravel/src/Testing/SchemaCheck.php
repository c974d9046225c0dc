<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Testing;

use Closure;
use Illuminate\Database\Connection;
use PDO;
use Throwable;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\Table;
use WriteBuffer\Laravel\Tables\TableCatalog;

/**
 * Owns that a fake refuses a row whose table or columns the test's database does not have: no real
 * buffer would get it there. It looks where a database is at hand: its connection was opened by the
 * test, as RefreshDatabase does, and it has tables. Then it sees what migrations have made.
 *
 * Its queries are seen neither by DB::listen() nor in the query log.
 */
final class SchemaCheck
{
    private ?TableCatalog $catalog = null;

    /**
     * @param Closure(): Connection   $connection
     * @param Closure(): TableCatalog $makeCatalog
     * @param Closure(): ?bool        $isWanted    null: where a database is at hand
     */
    public function __construct(
        private readonly Closure $connection,
        private readonly Closure $makeCatalog,
        private readonly Closure $isWanted,
    ) {
    }

    /** @throws ConfigException no database with this schema would take the row */
    public function check(Row $row): void
    {
        try {
            $this->checkBy($this->table($row->table, $row), $row);
        } catch (ConfigException) {
            // A migration may have changed the table since it was read.
            $this->catalog = null;
            $this->checkBy($this->table($row->table, $row), $row);
        }
    }

    /** @return list<string> the columns of a table's key; none: nobody can say */
    public function keyOf(string $table): array
    {
        try {
            return $this->table($table)?->key ?? [];
        } catch (ConfigException) {
            return [];
        }
    }

    private function checkBy(?Table $table, Row $row): void
    {
        if ($table === null) {
            return;
        }
        foreach ($row->isDeletion ? [] : array_keys($row->values) as $column) {
            if ($table->schema?->column((string) $column) === null) {
                throw self::refusal(
                    "table {$table->name} has no column {$column}; there are: "
                    . implode(', ', array_column($table->schema?->columns ?? [], 'name'))
                );
            }
        }
        $row->isDeletion ? $table->bindDeletion($row) : $table->bind($row);
    }

    /**
     * @return Table|null null: no database is at hand
     *
     * @throws ConfigException there is no such table, or no row of it can be written
     */
    private function table(string $name, ?Row $row = null): ?Table
    {
        $isWanted = ($this->isWanted)();
        if ($isWanted === false) {
            return null;
        }
        try {
            $connection = ($this->connection)();
            if ($isWanted === true && !$connection->getRawPdo() instanceof PDO) {
                // A query, at which LazilyRefreshDatabase migrates.
                $connection->select('SELECT 1');
            }
        } catch (Throwable $e) {
            return $isWanted === null ? null : throw self::refusal("the fake cannot look for table {$name}: {$e->getMessage()}");
        }
        $isKnown = in_array($connection->getDriverName(), ['mysql', 'mariadb', 'sqlite'], true);
        if (!$isKnown || ($isWanted === null && !$connection->getRawPdo() instanceof PDO)) {
            return null;
        }

        return self::quietly($connection, function () use ($connection, $name, $row, $isWanted): ?Table {
            $name = (new RowReader((string) $connection->getTablePrefix()))->table($name);
            $this->catalog ??= ($this->makeCatalog)();
            $table = $this->catalog->of($name, $row);
            if ($table->schema !== null) {
                return $table;
            }

            return $isWanted === true || self::hasTables($connection)
                ? throw self::refusal("there is no table {$name} in {$connection->getDatabaseName()}")
                : null;
        });
    }

    private static function hasTables(Connection $connection): bool
    {
        try {
            return $connection->select(
                $connection->getDriverName() === 'sqlite'
                    ? "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' LIMIT 1"
                    : 'SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() LIMIT 1',
                [],
                false,
            ) !== [];
        } catch (Throwable) {
            return false;
        }
    }

    private static function refusal(string $problem): ConfigException
    {
        return new ConfigException("{$problem}. A real buffer would not get the row there. Correct it, or the test's migrations;"
            . ' WriteBuffer::fake()->withoutSchema() turns this check off');
    }

    /**
     * @template T
     *
     * @param Closure(): T $look
     *
     * @return T
     */
    private static function quietly(Connection $connection, Closure $look): mixed
    {
        $events = $connection->getEventDispatcher();
        $isLogging = $connection->logging();
        $connection->unsetEventDispatcher();
        $connection->disableQueryLog();
        try {
            return $look();
        } finally {
            $events === null || $connection->setEventDispatcher($events);
            !$isLogging || $connection->enableQueryLog();
        }
    }
}
