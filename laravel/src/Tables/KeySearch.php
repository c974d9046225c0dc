<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use TypeError;
use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Rows\Row;

/** Owns find(): looks for the rows of one key, and merges them in their order. */
final class KeySearch
{
    /**
     * @param string                    $table the server's name
     * @param iterable<Row>             $rows  of all tables, in the order in which they were added
     * @param array<string, mixed>|false|null $found what an earlier search has found
     *
     * @return array<string, int|float|string|null>|false|null null: no row has this key; false: it
     *                                                         will be deleted
     *
     * @throws TypeError a key that is neither an int nor a string, nor an array of these; one that
     *                   lacks a column, or has one too many
     */
    public static function find(
        TableCatalog $tables,
        string $table,
        mixed $key,
        iterable $rows,
        array|false|null $found = null,
    ): array|false|null {
        $key = KeyForm::plain($key);
        $known = $wanted = null;
        foreach ($rows as $row) {
            if ($row->table !== $table) {
                continue;
            }
            $known ??= $tables->of($table, $row);
            if ($known->rules->key === []) {
                // Only the server tells its rows apart.
                break;
            }
            $wanted ??= self::wanted($known, $key);
            $values = $row->isDeletion ? $known->bindDeletion($row) : $known->bind($row);
            $values = (new Row($table, $values))->plainValues();
            if (!self::hasKey($values, $wanted)) {
                continue;
            }
            if ($row->isDeletion) {
                $found = is_array($found) && Merge::isOutdated($known, $found, $values) ? $found : false;
            } else {
                $found = is_array($found) ? Merge::forReading($known, $found, $values) : $values;
            }
        }

        return $found;
    }

    /**
     * @param array<int|string, mixed> $key
     *
     * @return array<string, mixed> the key's values by column
     */
    private static function wanted(Table $table, array $key): array
    {
        $byName = array_change_key_case($key);
        $wanted = [];
        foreach ($table->key as $at => $column) {
            $wanted[$column] = $byName[strtolower($column)] ?? $key[$at] ?? null;
        }
        if ($table->key === [] || count($key) !== count($table->key) || in_array(null, $wanted, true)) {
            throw new TypeError("table {$table->name}: its key has the columns (" . implode(', ', $table->key)
                . '); give their values by name, or in this order');
        }

        return $wanted;
    }

    /**
     * @param array<string, mixed> $values
     * @param array<string, mixed> $wanted
     */
    private static function hasKey(array $values, array $wanted): bool
    {
        foreach ($wanted as $column => $value) {
            if (!KeyForm::isSame($values[$column] ?? null, $value)) {
                return false;
            }
        }

        return true;
    }
}
