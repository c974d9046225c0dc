<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use Illuminate\Database\Connection;

/** Owns what the database says of a table: its columns, its primary key, its unique indexes. */
final class TableSchema
{
    /**
     * @param array<string, Column>       $columns by name in lower case
     * @param list<string>                $primaryKey
     * @param array<string, list<string>> $uniqueIndexes by name, the primary key too
     */
    private function __construct(
        public readonly array $columns,
        public readonly array $primaryKey,
        public readonly array $uniqueIndexes,
    ) {
    }

    /** @return self|null null: there is no such table */
    public static function read(Connection $connection, string $table): ?self
    {
        $schema = $connection->getDriverName() === 'sqlite'
            ? self::readSqlite($connection, $table)
            : self::readMySql($connection, $table);

        return $schema->columns === [] ? null : $schema;
    }

    public function column(string $name): ?Column
    {
        return $this->columns[strtolower($name)] ?? null;
    }

    private static function readMySql(Connection $connection, string $table): self
    {
        [$database, $name] = str_contains($table, '.') ? explode('.', $table, 2) : [null, $table];
        $where = 'TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?';
        $columns = [];
        foreach (
            $connection->select(
                'SELECT COLUMN_NAME AS name, DATA_TYPE AS type, IS_NULLABLE AS nullable, COLUMN_DEFAULT AS def, '
                . 'EXTRA AS extra, NUMERIC_SCALE AS scale, DATETIME_PRECISION AS digits '
                . "FROM information_schema.COLUMNS WHERE {$where} ORDER BY ORDINAL_POSITION",
                [$database, $name],
                false,
            ) as $column
        ) {
            $isCounted = str_contains(strtolower((string) $column->extra), 'auto_increment');
            $isGenerated = str_contains(strtolower((string) $column->extra), 'generated')
                && !str_contains(strtolower((string) $column->extra), 'default_generated');
            $isNullable = $column->nullable === 'YES';
            // If no default is declared, MariaDB says that it is the text NULL.
            $hasDefault = $column->def !== null && !($isNullable && strtoupper((string) $column->def) === 'NULL');
            $columns[strtolower($column->name)] = new Column(
                $column->name,
                strtolower($column->type),
                !$isNullable && $column->def === null && !$isCounted && !$isGenerated,
                $isCounted || ($isNullable && !$hasDefault),
                $column->scale === null ? null : (int) $column->scale,
                $column->digits === null ? null : (int) $column->digits,
                $isCounted,
            );
        }
        $indexes = [];
        foreach (
            $connection->select(
                'SELECT INDEX_NAME AS name, COLUMN_NAME AS col FROM information_schema.STATISTICS '
                . "WHERE {$where} AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX",
                [$database, $name],
                false,
            ) as $part
        ) {
            // A part that is an expression has no column: it is ''.
            $indexes[$part->name][] = (string) $part->col;
        }

        return new self($columns, $indexes['PRIMARY'] ?? [], $indexes);
    }

    /** SQLite's ON CONFLICT names its index, so no other index is hit, and none is read. */
    private static function readSqlite(Connection $connection, string $table): self
    {
        $columns = $primary = [];
        $parts = $connection->select('SELECT * FROM pragma_table_info(?)', [$table], false);
        $keyColumns = count(array_filter($parts, static fn (object $part): bool => (int) $part->pk > 0));
        foreach ($parts as $part) {
            $type = strtolower((string) preg_replace('/\(.*/', '', (string) $part->type));
            // Such a column is the row's number, which SQLite makes.
            $isRowId = (int) $part->pk > 0 && $keyColumns === 1 && $type === 'integer';
            $columns[strtolower($part->name)] = new Column(
                $part->name,
                $type,
                (int) $part->notnull === 1 && $part->dflt_value === null && !$isRowId,
                $isRowId || ((int) $part->notnull === 0 && $part->dflt_value === null),
                // SQLite does not round a decimal to its declared digits.
                in_array($type, ['decimal', 'numeric'], true) ? PHP_INT_MAX : null,
                0,
                $isRowId,
            );
            if ((int) $part->pk > 0) {
                $primary[(int) $part->pk] = $part->name;
            }
        }
        ksort($primary);

        return new self($columns, array_values($primary), []);
    }
}
