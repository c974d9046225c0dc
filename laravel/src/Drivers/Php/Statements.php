<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use DateTimeImmutable;
use Illuminate\Database\Connection;
use WriteBuffer\Laravel\Tables\Table;

/**
 * Owns the SQL: writes the rows of one table by multi-row statements, in their order. The database
 * takes a statement's rows one after the other, so rows of one key need not become one here. Rows
 * of a table with `'coalesce' => false` have a statement each, and so have deletions.
 *
 * Invariants: a column's rule means the same in this SQL as in Merge. A guard leaves the same rows
 * alone, before an upsert as before a deletion.
 *
 * Bounds: a statement has at most PLACEHOLDERS_MAX values, and about BYTES_MAX bytes unless one row
 * is larger.
 */
final class Statements
{
    /** SQLite's limit is 32,766, MySQL's 65,535. */
    private const PLACEHOLDERS_MAX = 30_000;

    /** Well under every usual max_allowed_packet. */
    private const BYTES_MAX = 500_000;

    private readonly bool $isSqlite;

    public function __construct(private readonly Connection $connection)
    {
        $this->isSqlite = $connection->getDriverName() === 'sqlite';
    }

    /**
     * @param list<array<string, mixed>> $rows
     * @param list<bool>                 $updates which of them change a row that is there, and are
     *                                            never made
     *
     * @return int how many of the rows have a guard and changed nothing, if the database says so
     *
     * @throws RowRefusedException
     */
    public function write(Table $table, array $rows, array $updates): int
    {
        $stale = 0;
        $run = [];
        $columns = [];
        $bytes = 0;
        foreach ($rows as $at => $row) {
            if ($updates[$at] || $table->missing($row) !== []) {
                $stale += $this->writeRun($table, $columns, $run);
                [$run, $columns, $bytes] = [[], [], 0];
                $stale += $this->update($table, $row, $updates[$at]);
                continue;
            }
            $size = array_sum(array_map(static fn (mixed $value): int => is_string($value) ? strlen($value) : 8, $row));
            if (
                !$table->rules->coalesce || $columns !== array_keys($row) || $bytes + $size > self::BYTES_MAX
                || (count($run) + 1) * count($row) > self::PLACEHOLDERS_MAX
            ) {
                $stale += $this->writeRun($table, $columns, $run);
                [$run, $columns, $bytes] = [[], array_keys($row), 0];
            }
            $run[] = $row;
            $bytes += $size;
        }

        return $stale + $this->writeRun($table, $columns, $run);
    }

    /** @param array<string, mixed> $deletion the values of the key, and maybe that of the guard */
    public function delete(Table $table, array $deletion): void
    {
        $wheres = $values = [];
        foreach ($deletion as $column => $value) {
            $known = $table->schema?->column($column);
            $value = $this->value($table, $column, $value);
            $isInKey = $table->isInKey($column);
            // A text that is compared with a number is taken for one: '1x' is 1.
            $values[] = $known?->isText() ? (string) $value : $value;
            $type = match (true) {
                $this->isSqlite || is_int($value) => null,
                $isInKey => $known?->sqlTypeToLookUp(),
                default => $known?->sqlType(),
            };
            [$name, $new] = [self::quote($column), $type === null ? '?' : "CAST(? AS {$type})"];
            $wheres[] = $isInKey ? "{$name} = {$new}" : "({$name} IS NULL OR {$new} >= {$name})";
        }
        $this->connection->affectingStatement(
            "DELETE FROM {$this->tableName($table->name)} WHERE " . implode(' AND ', $wheres),
            $values,
        );
    }

    /**
     * @param list<string>               $columns
     * @param list<array<string, mixed>> $rows
     */
    private function writeRun(Table $table, array $columns, array $rows): int
    {
        if ($rows === []) {
            return 0;
        }
        $tuple = '(' . implode(', ', array_fill(0, count($columns), '?')) . ')';
        $sql = $this->insertInto($table, $columns) . ' VALUES ' . implode(', ', array_fill(0, count($rows), $tuple));
        $values = [];
        foreach ($rows as $row) {
            foreach ($row as $column => $value) {
                $values[] = $this->value($table, (string) $column, $value);
            }
        }
        $affected = $this->connection->affectingStatement(
            $table->isUpsert() && !$table->numbers($rows[0]) ? $sql . $this->onDuplicate($table, $columns) : $sql,
            $values,
        );

        return self::unchanged($table, $columns, count($rows), $affected);
    }

    /**
     * Rows that changed nothing, at least: each one that is inserted counts once, and each one that
     * is changed twice. SQLite counts the others once, and so does MySQL under
     * PDO::MYSQL_ATTR_FOUND_ROWS: then there seem to be none.
     *
     * @param list<string> $columns
     */
    private static function unchanged(Table $table, array $columns, int $rows, int $affected): int
    {
        $guard = $table->rules->guard;
        $hasGuard = $guard !== null && in_array($table->nameOf($guard), $columns, true);

        return $hasGuard ? max(0, $rows - $affected) : 0;
    }

    /**
     * A row lacks a column that every new row must have, or is an update, so it can only change a
     * row that is there. It takes the missing columns from that row, and is then written like any
     * other row.
     *
     * @param array<string, mixed> $row
     */
    private function update(Table $table, array $row, bool $isUpdate): int
    {
        $missing = $table->missing($row);
        $where = implode(' AND ', array_map(fn (string $column): string => self::quote($column) . ' = ?', $table->key));
        $key = array_map(fn (string $column): mixed => $this->value($table, $column, $row[$column]), $table->key);
        $name = $this->tableName($table->name);
        $lock = $this->isSqlite ? '' : ' FOR UPDATE';
        if ($this->connection->select("SELECT 1 FROM {$name} WHERE {$where}{$lock}", $key, false) === []) {
            $noRow = 'there is no row with its key (' . implode(', ', $table->key) . ')';
            throw new RowRefusedException($isUpdate
                ? "table {$table->name}: an update of a row that is gone: {$noRow}"
                : "table {$table->name}: a row without column {$missing[0]} can only update, and {$noRow};"
                    . ' add the whole row first');
        }
        $given = array_keys($row);
        $values = [];
        foreach ($row as $column => $value) {
            $values[] = $this->value($table, (string) $column, $value);
        }
        $old = ['1 AS wb_row', ...array_map(
            static fn (int $at, string $column): string => self::quote($column) . " AS wb_{$at}",
            array_keys($missing),
            $missing,
        )];
        $new = [
            ...array_fill(0, count($given), '?'),
            ...array_map(static fn (int $at): string => "wb_old.wb_{$at}", array_keys($missing)),
        ];
        $affected = $this->connection->affectingStatement(
            $this->insertInto($table, [...$given, ...$missing])
            . ' SELECT ' . implode(', ', $new) . ' FROM (SELECT ' . implode(', ', $old) . " FROM {$name} WHERE {$where}) AS wb_old WHERE 1 = 1"
            . $this->onDuplicate($table, $given),
            [...$values, ...$key],
        );

        return self::unchanged($table, $given, 1, $affected);
    }

    /** @param list<string> $columns */
    private function insertInto(Table $table, array $columns): string
    {
        $names = implode(', ', array_map([$this, 'quote'], $columns));

        return "INSERT INTO {$this->tableName($table->name)} ({$names})";
    }

    /** @param list<string> $columns */
    private function onDuplicate(Table $table, array $columns): string
    {
        $guard = $table->rules->guard === null ? null : $table->nameOf($table->rules->guard);
        $assignments = [];
        // MySQL assigns from left to right. The guard goes last, so that each comparison sees its
        // old value.
        foreach ([...array_diff($columns, [$guard]), ...array_intersect($columns, [$guard])] as $column) {
            if ($table->isInKey($column)) {
                continue;
            }
            $merged = $this->merged($table, $column);
            if ($merged === null) {
                continue;
            }
            if ($guard !== null) {
                [$old, $new] = [$this->old($table, $guard), $this->new($guard)];
                $merged = "CASE WHEN {$old} IS NULL OR {$new} >= {$old} THEN {$merged}"
                    . " ELSE {$this->old($table, $column)} END";
            }
            $assignments[] = self::quote($column) . " = {$merged}";
        }
        if ($this->isSqlite) {
            $target = ' ON CONFLICT (' . implode(', ', array_map([$this, 'quote'], $table->key)) . ')';

            return $target . ($assignments === [] ? ' DO NOTHING' : ' DO UPDATE SET ' . implode(', ', $assignments));
        }
        if ($assignments === []) {
            $assignments = [self::quote($table->key[0]) . ' = ' . $this->old($table, $table->key[0])];
        }

        return ' ON DUPLICATE KEY UPDATE ' . implode(', ', $assignments);
    }

    /** What a column becomes if the row is there already; null: it stays. */
    private function merged(Table $table, string $column): ?string
    {
        [$old, $new] = [$this->old($table, $column), $this->new($column)];

        return match ($table->rules->rule($column)) {
            'replace' => $new,
            'keep' => null,
            'sum' => "IFNULL({$old}, 0) + {$new}",
            'min' => "CASE WHEN {$old} IS NULL OR {$new} < {$old} THEN {$new} ELSE {$old} END",
            'max' => "CASE WHEN {$old} IS NULL OR {$new} > {$old} THEN {$new} ELSE {$old} END",
        };
    }

    private function old(Table $table, string $column): string
    {
        return $this->tableName($table->name) . '.' . self::quote($column);
    }

    private function new(string $column): string
    {
        return $this->isSqlite ? 'excluded.' . self::quote($column) : 'VALUES(' . self::quote($column) . ')';
    }

    private function tableName(string $table): string
    {
        return implode('.', array_map([$this, 'quote'], explode('.', $table, 2)));
    }

    /**
     * SQLite takes MySQL's quotes. The connection's own grammar would add the prefix a second time.
     */
    private static function quote(string $name): string
    {
        return '`' . str_replace('`', '``', $name) . '`';
    }

    private function value(Table $table, string $column, mixed $value): mixed
    {
        return match (true) {
            $value instanceof DateTimeImmutable
                => $table->schema?->column($column)?->moment($value) ?? $value->format('Y-m-d H:i:s.u'),
            // PDO would round a float to `precision` digits.
            is_float($value) => json_encode($value, JSON_THROW_ON_ERROR),
            default => $value,
        };
    }
}
