<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

use PDO;
use PDOException;

/**
 * Writes groups by plain PDO: each in a transaction, each row by a statement of its own, in order.
 * What it leaves is what a buffer must leave.
 *
 * The statements are written from docs/settings.md and the servers' manuals, and share nothing with
 * the extension.
 */
final class Judge
{
    /** Not the row's fault. */
    private const LOST = [1205, 1213, 2006, 2013];

    /**
     * @param array<string, array<string, mixed>> $rules by table
     */
    public function __construct(
        private readonly PDO $pdo,
        private readonly Tables $tables,
        private readonly array $rules,
        private readonly bool $isMySql,
        private readonly bool $isStrict,
        private readonly bool $numbersZero,
    ) {
    }

    /**
     * Returns why the group was refused, or null.
     *
     * @param list<array{0: string, 1: array<mixed>, 2?: string}> $group
     */
    public function write(array $group): ?string
    {
        $this->pdo->beginTransaction();
        try {
            foreach ($group as $entry) {
                if (($entry[2] ?? null) === Program::DELETE) {
                    $this->delete($entry[0], $entry[1]);
                } else {
                    $this->writeRow($entry[0], $entry[1], isset($entry[2]));
                }
            }
            $this->pdo->commit();
        } catch (Refusal $refusal) {
            $this->pdo->rollBack();

            return $refusal->getMessage();
        } catch (PDOException $refusal) {
            if (in_array($refusal->errorInfo[1] ?? 2006, self::LOST, true)) {
                throw $refusal;
            }
            $this->pdo->rollBack();

            return $refusal->getMessage();
        }

        return null;
    }

    /** @param array<string, mixed> $row */
    private function writeRow(string $table, array $row, bool $isUpdate): void
    {
        $rules = $this->rules[$table] ?? [];
        $this->check($table, $row, $rules);
        // Where no row can name another, it is written.
        if ($isUpdate && ($rules['mode'] ?? 'upsert') === 'upsert' && ($rules['key'] ?? null) !== 'server') {
            if ($this->isNumbered($table, $row, $rules)) {
                throw new Refusal('an update without its key');
            }
            $this->update($table, $row, $rules);

            return;
        }
        $columns = implode(', ', array_keys($row));
        $places = implode(', ', array_fill(0, count($row), '?'));
        if (($rules['mode'] ?? 'upsert') === 'insert' || $this->isNumbered($table, $row, $rules)) {
            $this->execute("INSERT INTO {$table} ({$columns}) VALUES ({$places})", $row);

            return;
        }
        $canUpdate = $this->isStrict && ($rules['key'] ?? null) !== 'server';
        foreach ($canUpdate ? $this->tables->columns($table) : [] as $column) {
            if (!array_key_exists($column, $row) && $this->tables->isRequired($table, $column)) {
                $this->update($table, $row, $rules);

                return;
            }
        }
        $new = static fn (string $column): string => "VALUES({$column})";
        $alias = '';
        if ($this->isMySql) {
            $new = static fn (string $column): string => "new.{$column}";
            $alias = ' AS new';
        }
        $assignments = $this->assignments($table, $row, $rules, $new);
        if ($assignments === []) {
            // Without a key of the row's own, any column that is never NULL will do.
            $same = $this->tables->key($table, $rules)[0] ?? $this->tables->neverNull($table, array_keys($row));
            $assignments = ["{$same} = {$table}.{$same}"];
        }
        $this->execute(
            "INSERT INTO {$table} ({$columns}) VALUES ({$places}){$alias} ON DUPLICATE KEY UPDATE "
                . implode(', ', $assignments),
            $row,
        );
    }

    /**
     * Deletes a row by its key, if it is there, and not newer than a guard that is given.
     *
     * @param array<mixed> $key by column, or in the key's order
     */
    private function delete(string $table, array $key): void
    {
        $rules = $this->rules[$table] ?? [];
        $columns = $this->tables->key($table, $rules);
        if (($rules['mode'] ?? 'upsert') === 'insert' || $columns === []) {
            throw new Refusal("rows are not deleted: {$table}");
        }
        $key = $this->tables->named($table, $rules, $key);
        if (in_array(null, $key, true) || array_diff($columns, array_keys($key)) !== []) {
            throw new Refusal('no key, or no guard');
        }
        $guard = $rules['guard'] ?? '';
        if (array_diff(array_keys($key), $columns, [$guard]) !== []) {
            throw new Refusal('a column that is neither of the key nor the guard');
        }
        $conditions = $values = [];
        foreach ($columns as $column) {
            $conditions[] = "{$column} = ?";
            $values[] = $this->tables->lookedUp($table, $column, $key[$column]);
        }
        if (isset($key[$guard])) {
            $this->stage($table, [$guard => $key[$guard]]);
            $conditions[] = "({$guard} IS NULL OR (SELECT new.{$guard} FROM twin_row AS new) >= {$guard})";
        }
        $this->execute("DELETE FROM {$table} WHERE " . implode(' AND ', $conditions), $values);
    }

    /**
     * Refuses what docs/settings.md says is refused.
     *
     * @param array<string, mixed> $row
     * @param array<string, mixed> $rules
     */
    private function check(string $table, array $row, array $rules): void
    {
        if (isset($rules['guard']) && !isset($row[$rules['guard']])) {
            throw new Refusal("no guard {$rules['guard']}");
        }
        foreach ($rules['merge'] ?? [] as $column => $rule) {
            if ($rule === 'sum' && array_key_exists($column, $row) && !is_numeric($row[$column])) {
                throw new Refusal("a summed value is not a number: {$column}");
            }
        }
        if (($rules['mode'] ?? 'upsert') === 'upsert' && ($rules['key'] ?? null) !== 'server') {
            $key = $this->tables->key($table, $rules);
            if ($key === []) {
                throw new Refusal("no key: {$table}");
            }
            foreach ($key as $column) {
                if (!array_key_exists($column, $row) && $this->tables->isNumbered($table, $column)) {
                    continue;
                }
                if (!isset($row[$column])) {
                    throw new Refusal("no key {$column}");
                }
                if ($this->numbersZero && $this->tables->isNumbered($table, $column) && $row[$column] == 0) {
                    throw new Refusal("the server would replace the key {$column}");
                }
            }
        }
    }

    /**
     * Whether a row lacks the column of its key that the server numbers: it is a new one.
     *
     * @param array<string, mixed> $row
     * @param array<string, mixed> $rules
     */
    private function isNumbered(string $table, array $row, array $rules): bool
    {
        foreach ($this->tables->key($table, $rules) as $column) {
            if (!array_key_exists($column, $row) && $this->tables->isNumbered($table, $column)) {
                return true;
            }
        }

        return false;
    }

    /**
     * A row without a required column, and an update, changes the row that is there, and is refused
     * if there is none. What the row does not change is not looked at.
     *
     * @param array<string, mixed> $row
     * @param array<string, mixed> $rules
     */
    private function update(string $table, array $row, array $rules): void
    {
        $key = $this->tables->key($table, $rules);
        $guard = $rules['guard'] ?? null;
        $found = array_intersect_key($row, array_flip($key));
        $this->stage($table, $guard === null ? $found : $found + [$guard => $row[$guard]]);
        $given = implode(' AND ', array_map(static fn (string $column): string => "{$column} = ?", array_keys($found)));
        if ($this->execute("SELECT 1 FROM twin_row WHERE {$given}", $found)->fetchAll() === []) {
            throw new Refusal("can only update, and its key is no value of its column: {$table}");
        }
        $same = implode(' AND ', array_map(static fn (string $column): string => "{$table}.{$column} = new.{$column}", $key));
        $joined = "{$table} JOIN twin_row AS new ON {$same}";
        $newer = $guard === null ? 'TRUE' : "{$table}.{$guard} IS NULL OR new.{$guard} >= {$table}.{$guard}";
        $isNewer = $this->pdo->query("SELECT {$newer} FROM {$joined}")->fetchColumn();
        if ($isNewer === false) {
            throw new Refusal("can only update, and there is no row: {$table}");
        }
        $changing = array_filter($row, static fn (string $column): bool => !self::isKept($rules, $column), ARRAY_FILTER_USE_KEY);
        $changing = (int) $isNewer === 1 ? $changing : $found;
        $this->refuseNulls($table, $changing, $rules);
        $this->stage($table, $changing);
        $new = static fn (string $column): string => "new.{$column}";
        $assignments = $this->assignments($table, $changing, ['guard' => null] + $rules, $new);
        if ($assignments === []) {
            $assignments = ["{$key[0]} = {$table}.{$key[0]}"];
        }
        $this->pdo->exec("UPDATE {$joined} SET {$table}." . implode(", {$table}.", $assignments));
    }

    /**
     * Refuses NULL for a column that takes none, unless a trigger may mend it. MariaDB's UPDATE of
     * a table alone does so too, and that of joined tables stores 0 if there is any BEFORE trigger.
     *
     * @param array<string, mixed> $row
     * @param array<string, mixed> $rules
     */
    private function refuseNulls(string $table, array $row, array $rules): void
    {
        foreach (array_keys($row, null, true) as $column) {
            if (isset($rules['merge'][$column]) || $this->tables->isNullable($table, $column)) {
                continue;
            }
            $mending = $this->pdo->query("SHOW TRIGGERS WHERE `Table` = '{$table}' AND Timing = 'BEFORE'
                AND Event = 'UPDATE' AND Statement LIKE '%NEW.{$column} =%'");
            if ($mending->fetchAll() === []) {
                throw new Refusal("Column '{$column}' cannot be null");
            }
        }
    }

    /**
     * Puts values into columns of the table's own types, as an upsert does.
     *
     * @param array<string, mixed> $row
     */
    private function stage(string $table, array $row): void
    {
        $columns = implode(', ', array_keys($row));
        $this->pdo->exec('DROP TEMPORARY TABLE IF EXISTS twin_row');
        // The columns of an outer join may be NULL: the UPDATE refuses that, or a trigger mends it.
        $this->pdo->exec(
            "CREATE TEMPORARY TABLE twin_row ENGINE = InnoDB AS
                SELECT {$columns} FROM (SELECT 1) AS nothing LEFT JOIN {$table} ON FALSE WHERE FALSE",
        );
        $places = implode(', ', array_fill(0, count($row), '?'));
        $this->execute("INSERT INTO twin_row ({$columns}) VALUES ({$places})", $row);
    }

    /** @param array<string, mixed> $rules */
    private static function isKept(array $rules, string $column): bool
    {
        return ($rules['merge'][$column] ?? null) === 'keep';
    }

    /**
     * @param array<string, mixed>     $row
     * @param array<string, mixed>     $rules
     * @param callable(string): string $new
     *
     * @return list<string>
     */
    private function assignments(string $table, array $row, array $rules, callable $new): array
    {
        $guard = $rules['guard'] ?? null;
        $columns = array_diff(array_keys($row), $this->tables->key($table, $rules));
        // What is kept is not assigned: MariaDB takes `c = c` for a change if c is NULL and has a
        // default.
        $columns = array_filter($columns, static fn (string $column): bool => !self::isKept($rules, $column));
        // Until the guard itself is assigned, each assignment sees the one that was there.
        $columns = $guard === null ? $columns : [...array_diff($columns, [$guard]), $guard];
        $assignments = [];
        foreach ($columns as $column) {
            [$old, $value] = ["{$table}.{$column}", $new($column)];
            $merged = match ($rules['merge'][$column] ?? 'replace') {
                'replace' => $value,
                'sum' => "IFNULL({$old}, 0) + {$value}",
                'min' => "IF({$old} IS NULL, {$value}, IF({$value} IS NULL, {$old}, LEAST({$old}, {$value})))",
                'max' => "IF({$old} IS NULL, {$value}, IF({$value} IS NULL, {$old}, GREATEST({$old}, {$value})))",
            };
            $assignments[] = $guard === null
                ? "{$column} = {$merged}"
                : "{$column} = IF({$table}.{$guard} IS NULL OR {$new($guard)} >= {$table}.{$guard}, {$merged}, {$old})";
        }

        return $assignments;
    }

    /** @param array<mixed> $row */
    private function execute(string $sql, array $row): \PDOStatement
    {
        $statement = $this->pdo->prepare($sql);
        foreach (array_values($row) as $position => $value) {
            $type = match (true) {
                $value === null => PDO::PARAM_NULL,
                is_int($value) => PDO::PARAM_INT,
                default => PDO::PARAM_STR,
            };
            $statement->bindValue($position + 1, is_float($value) ? (string) $value : $value, $type);
        }
        $statement->execute();

        return $statement;
    }
}
