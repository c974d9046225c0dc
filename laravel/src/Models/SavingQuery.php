<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Closure;
use Illuminate\Database\Connection;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Query\Builder;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Rows\KeyForm;

/**
 * Owns the query of a save() that is buffered: its insert and its update hand over a row instead of
 * asking the database. All else is a query as always, and so is a query that is made of it.
 */
final class SavingQuery extends Builder
{
    private ?Model $model = null;

    /** @var (Closure(ModelRow): void)|null */
    private ?Closure $put = null;

    /** @var list<string>|null the key's columns, if the buffer's configuration names them */
    private ?array $key = null;

    /**
     * @param Closure(ModelRow): void $put        gets the row
     * @param Connection              $connection of the row: save() gives its name to a new model
     * @param list<string>|null       $key        the key's columns, if they are not the model's
     */
    public static function of(Model $model, Closure $put, Connection $connection, ?array $key = null): self
    {
        $query = new self($connection, $connection->getQueryGrammar(), $connection->getPostProcessor());
        [$query->model, $query->put, $query->key] = [$model, $put, $key];

        return $query;
    }

    /**
     * @param array<string, mixed> $values
     *
     * @return bool
     */
    public function insert(array $values)
    {
        if ($this->model === null || $this->put === null) {
            return parent::insert($values);
        }
        foreach ($this->key ?? [$this->model->getKeyName()] as $column) {
            if (is_string($column)) {
                self::checkKey($this->model, $values[$column] ?? null, $column);
            }
        }
        ($this->put)(new ModelRow($this->model->getTable(), $this->keyName(), false, $values));

        return true;
    }

    /**
     * For a model with an auto-increment key: works if the model has its key all the same.
     *
     * @param array<string, mixed> $values
     * @param string|null          $sequence
     *
     * @return mixed
     */
    public function insertGetId(array $values, $sequence = null)
    {
        if ($this->model === null) {
            return parent::insertGetId($values, $sequence);
        }
        $this->insert($values);

        return $values[$this->model->getKeyName()] ?? null;
    }

    /**
     * @param array<string, mixed> $values the columns that changed
     *
     * @return int
     */
    public function update(array $values)
    {
        if ($this->model === null || $this->put === null) {
            return parent::update($values);
        }
        $dirty = [];
        foreach ($values as $column => $value) {
            // Eloquent puts the table before a column that it adds itself.
            $dirty[self::unqualified((string) $column)] = $value;
        }
        $identity = $this->identity();
        foreach ($identity as $column => $value) {
            if (array_key_exists($column, $dirty) && !KeyForm::isSame($dirty[$column], $value)) {
                self::refuseChangedKey($this->model, $column);
            }
        }
        ($this->put)(new ChangedRow(
            $this->model->getTable(),
            $this->keyName(),
            $identity + $this->model->getAttributes(),
            array_diff_key($dirty, $identity),
        ));

        return 1;
    }

    /** @throws ConfigException */
    public static function refuseChangedKey(Model $model, string $column): never
    {
        throw new ConfigException(
            $model::class . ": its key {$column} was changed, and a buffered row finds its row by the key; use save()"
        );
    }

    private static function checkKey(Model $model, mixed $value, string $column): void
    {
        if ($value === null) {
            throw new ConfigException(
                $model::class . ": it has no key {$column} yet: the database would make one by"
                . ' auto-increment. A buffered row is written later, so give the model a key first (a UUID, a ULID'
                . ' or a number from a sequence; $incrementing = false), or use save(). If nobody needs the key,'
                . ' add getAttributes() instead of the model'
            );
        }
    }

    /** The one column of the model's key. */
    private function keyName(): ?string
    {
        $name = $this->model?->getKeyName();

        return is_string($name) && $name !== '' ? $name : null;
    }

    /** @return array<string, mixed> the columns by which save() finds its row */
    private function identity(): array
    {
        $identity = [];
        foreach ($this->wheres as $where) {
            if ($where['type'] === 'Null') {
                throw new ConfigException(
                    $this->model::class . ': it has no ' . self::unqualified((string) $where['column'])
                    . ', by which a buffered row finds its row: load the model with its key'
                );
            }
            if ($where['type'] !== 'Basic' || $where['operator'] !== '=' || !is_string($where['column'])) {
                throw new ConfigException(
                    $this->model::class . ': its setKeysForSaveQuery() compares by more than =, and a buffered row finds'
                    . ' its row by the values of its key; use save()'
                );
            }
            $identity[self::unqualified($where['column'])] = $where['value'];
        }

        return $identity;
    }

    /**
     * The same of a query that is not asked yet.
     *
     * @param list<array<string, mixed>> $wheres
     *
     * @return array<string, mixed>|null null: no values say which row it is
     */
    public static function identityIn(array $wheres): ?array
    {
        $identity = [];
        foreach ($wheres as $where) {
            if ($where['type'] !== 'Basic' || $where['operator'] !== '=' || !is_string($where['column'])) {
                return null;
            }
            $identity[self::unqualified($where['column'])] = $where['value'];
        }

        return $identity === [] ? null : $identity;
    }

    private static function unqualified(string $column): string
    {
        $point = strrpos($column, '.');

        return $point === false ? $column : substr($column, $point + 1);
    }
}
