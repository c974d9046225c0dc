<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use Closure;
use Illuminate\Database\Connection;
use Throwable;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\Identity;
use WriteBuffer\Laravel\Rows\Row;

/**
 * Owns the tables that a buffer has met, by the server's names. A table's schema is read once;
 * until that succeeds, each row asks again.
 */
final class TableCatalog
{
    /** @var array<string, Table> */
    private array $known = [];

    /** @var array<string, TableRules> in the order of their first use */
    private array $rules = [];

    /**
     * @param Closure(): Connection                $connection
     * @param array<string, array<string, mixed>> $config
     */
    public function __construct(
        private readonly Closure $connection,
        private readonly array $config,
        private readonly string $orderTable,
        private readonly string $tradeTable,
    ) {
        foreach (array_keys($config) as $table) {
            $this->rules((string) $table);
        }
    }

    /**
     * The table of a row. If the database cannot be asked, or has no such table, the key is the
     * configured one or the model's, and the next row asks again.
     */
    public function of(string $name, ?Row $row = null): Table
    {
        if (isset($this->known[$name])) {
            return $this->known[$name];
        }
        $rules = $this->rules($name);
        try {
            $schema = TableSchema::read(($this->connection)(), $name);
        } catch (Throwable) {
            // A short outage is no reason to refuse a row: the flush says what is wrong.
            $schema = null;
        }
        $hint = $row?->keyName !== null ? [$row->keyName] : [];
        if ($schema === null) {
            return new Table($name, $rules, null, $rules->key ?? $hint);
        }
        $key = $rules->key ?? $schema->primaryKey;
        if ($key === [] && $rules->key === null && $rules->mode === TableRules::UPSERT) {
            throw new ConfigException(
                "table {$name} has no primary key: configure its key in `tables`, or write to it by mode 'insert'"
            );
        }
        foreach ([...$key, ...array_keys($rules->merge), ...array_filter([$rules->guard])] as $column) {
            if ($schema->column((string) $column) === null) {
                throw new ConfigException(
                    "table {$name} has no column {$column}, which its rules name: correct `tables`"
                );
            }
        }

        return $this->known[$name] = new Table(
            $name,
            $rules,
            $schema,
            array_map(static fn (string $column): string => $schema->column($column)->name, $key),
        );
    }

    /**
     * What says which row of a table a model means. `$keyName` is the key that the model names, for
     * as long as the database has not described the table. null: rows are only inserted, or nothing
     * says what the key is.
     */
    public function identity(string $name, ?string $keyName): ?Identity
    {
        try {
            $table = $this->of($name, new Row($name, [], $keyName));
        } catch (ConfigException) {
            // Whoever takes the row says what is wrong.
            return null;
        }

        return $table->isUpsert() && $table->key !== [] ? new Identity($table->key, $table->rules->guard) : null;
    }

    public function rules(string $name): TableRules
    {
        return $this->rules[$name] ??= TableRules::of(
            $name,
            $this->config[$name] ?? [],
            $name === $this->tradeTable && $name !== $this->orderTable ? TableRules::INSERT : TableRules::UPSERT,
        );
    }

    /**
     * The order in which tables are written: orders, trades, the other configured tables, then the
     * rest in the order of their first use.
     *
     * @param list<string> $names
     *
     * @return list<string>
     */
    public function inOrder(array $names): array
    {
        $known = [$this->orderTable, $this->tradeTable, ...array_map('strval', array_keys($this->rules))];

        return array_values(array_unique([...array_intersect($known, $names), ...$names]));
    }
}
