<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Rows\Row;

/**
 * A table: its rules bound to its schema. It owns what a row of it must have, and its columns'
 * names.
 */
final class Table
{
    /** @param list<string> $key its columns, in order; empty: the key is not known */
    public function __construct(
        public readonly string $name,
        public readonly TableRules $rules,
        public readonly ?TableSchema $schema,
        public readonly array $key,
    ) {
    }

    public function isUpsert(): bool
    {
        return $this->rules->mode === TableRules::UPSERT;
    }

    /**
     * The row's values, by the columns' names in the schema: the database compares names without
     * case.
     *
     * @return array<string, mixed>
     *
     * @throws ConfigException no row with these columns can be written
     */
    public function bind(Row $row): array
    {
        $values = $seen = [];
        foreach ($row->values as $column => $value) {
            $column = (string) $column;
            if ($column === '' || str_contains($column, "\0")) {
                throw new ConfigException("table {$this->name}: " . json_encode($column) . ' is no column name');
            }
            if (isset($seen[strtolower($column)])) {
                throw new ConfigException("table {$this->name}: column {$column} is given twice in one row;"
                    . ' the server compares column names without case');
            }
            $seen[strtolower($column)] = true;
            $values[$this->nameOf($column)] = $value;
        }
        foreach ($this->isUpsert() ? $this->key : [] as $column) {
            $isMade = !$row->exists && $this->schema?->column($column)?->isNumbered;
            if (!isset($seen[strtolower($column)]) && !$isMade) {
                throw new ConfigException("table {$this->name}: a row has no key column {$column};"
                    . ' give it a value, or configure another key in `tables`');
            }
        }
        $guard = $this->rules->guard;
        if ($guard !== null && !isset($seen[strtolower($guard)])) {
            throw new ConfigException("table {$this->name}: a row has no guard column {$guard}");
        }
        if (!$this->numbers($values)) {
            $this->refuseSecondUnique($seen);
        }

        return $values;
    }

    /** Whether a row changes one that is there, and is never made. */
    public function isUpdate(Row $row): bool
    {
        return $row->exists && $this->isUpsert() && $this->rules->key !== [];
    }

    /**
     * Whether a row lacks the column of the key that the database numbers. It is a new row, and is
     * inserted.
     *
     * @param array<string, mixed> $values by column
     */
    public function numbers(array $values): bool
    {
        $given = array_change_key_case($values);
        foreach ($this->isUpsert() ? $this->key : [] as $column) {
            if (!array_key_exists(strtolower($column), $given) && $this->schema?->column($column)?->isNumbered) {
                return true;
            }
        }

        return false;
    }

    /**
     * A deletion's values: those of the key, in its order, and that of the guard, if it has one.
     *
     * @return array<string, mixed> by the columns' names in the schema
     *
     * @throws ConfigException nothing is deleted from this table, or not by these columns
     */
    public function bindDeletion(Row $row): array
    {
        if (!$this->isUpsert()) {
            throw new ConfigException("table {$this->name} is insert-only, so its rows are not deleted: set 'mode' =>"
                . " 'upsert' for it in `tables`, or run the DELETE yourself");
        }
        $given = array_change_key_case($row->values);
        $bound = [];
        foreach ($this->key as $at => $column) {
            $place = array_is_list($row->values) ? $at : strtolower($column);
            if (!array_key_exists($place, $given)) {
                throw $this->otherKeyIsNeeded();
            }
            $bound[$column] = $given[$place] ?? throw new ConfigException(
                "table {$this->name}: key column {$column} is null; a row is deleted by its whole key"
            );
            unset($given[$place]);
        }
        $guard = $this->rules->guard;
        if ($guard !== null && array_key_exists(strtolower($guard), $given)) {
            $bound[$this->nameOf($guard)] = $given[strtolower($guard)] ?? throw new ConfigException(
                "table {$this->name}: guard column {$guard} is null; a deletion has a guard's value, or no guard"
            );
            unset($given[strtolower($guard)]);
        }
        if ($given !== [] || $this->key === []) {
            throw $this->otherKeyIsNeeded();
        }

        return $bound;
    }

    private function otherKeyIsNeeded(): ConfigException
    {
        return new ConfigException("table {$this->name}: a deletion needs the table's key (" . implode(', ', $this->key)
            . ')' . ($this->rules->guard === null ? '' : ", if you like with the guard {$this->rules->guard}")
            . ', and no other column');
    }

    /** The column's name as the schema, or else the key, spells it. */
    public function nameOf(string $column): string
    {
        if ($this->schema !== null) {
            return $this->schema->column($column)?->name ?? $column;
        }
        foreach ($this->key as $known) {
            if (strcasecmp($known, $column) === 0) {
                return $known;
            }
        }

        return $column;
    }

    /**
     * A form for each row's key; null if the form of one key is not certain.
     *
     * @param list<array<string, mixed>> $rows
     *
     * @return list<string>|null
     */
    public function keyForms(array $rows): ?array
    {
        $forms = $folded = [];
        $kinds = null;
        foreach ($rows as $row) {
            $known = KeyForm::of(array_map(static fn (string $column): mixed => $row[$column] ?? null, $this->key));
            if ($known === null || ($kinds ??= $known[0]) !== $known[0]) {
                return null;
            }
            // 'A' and 'a' are one key in some collations, and two in others.
            if (($folded[strtolower($known[1])] ??= $known[1]) !== $known[1]) {
                return null;
            }
            $forms[] = $known[1];
        }

        return $forms;
    }

    public function isInKey(string $column): bool
    {
        return in_array(strtolower($column), array_map('strtolower', $this->key), true);
    }

    /**
     * @param array<string, mixed> $values
     *
     * @return list<string> the columns that a new row must have, and that this one lacks
     */
    public function missing(array $values): array
    {
        $missing = [];
        foreach ($this->isUpsert() && !$this->numbers($values) ? $this->schema?->columns ?? [] : [] as $column) {
            if ($column->isRequired && !array_key_exists($column->name, $values)) {
                $missing[] = $column->name;
            }
        }

        return $missing;
    }

    /**
     * The unique indexes by which an upsert could update another row than that with its key.
     *
     * @return array<string, list<string>> columns, by the index's name
     */
    public function secondUnique(): array
    {
        if (!$this->isUpsert() || $this->rules->allowSecondUnique || $this->rules->key === [] || $this->schema === null) {
            return [];
        }
        $key = array_map('strtolower', $this->key);

        return array_filter(
            $this->schema->uniqueIndexes,
            static fn (array $columns): bool => array_diff(array_map('strtolower', $columns), $key) !== [],
        );
    }

    /** @param array<string, true> $given columns in lower case */
    private function refuseSecondUnique(array $given): void
    {
        foreach ($this->secondUnique() as $name => $columns) {
            foreach ($columns as $column) {
                if (!isset($given[strtolower($column)]) && $this->schema?->column($column)?->isFilledUniquely) {
                    continue 2;
                }
            }
            throw new ConfigException(
                "table {$this->name} has a second unique index, {$name} (" . implode(', ', $columns)
                . '): an upsert could update another row than the one with its key (' . implode(', ', $this->key)
                . "). Drop the index, use mode 'insert', or accept it with 'allowSecondUnique' => true in `tables`"
            );
        }
    }
}
