<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Contracts\Database\Query\Expression as ExpressionContract;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Query\Builder;
use Illuminate\Database\Query\Expression;
use WriteBuffer\Laravel\Models\ModelRow;

/**
 * Owns the plain queries of a model that buffers: what they write follows the rows that are
 * buffered already.
 *
 * - A write to one row, by its key, goes into the buffer if the row is there. Otherwise it is a
 *   query as always.
 * - Other writes, and the reads of READS, have the buffer written out first. If that cannot be, as
 *   for rows that wait for a commit, they throw.
 * - All other reads are the database's.
 */
final class FollowingQuery extends Builder
{
    /**
     * Methods that read a row to decide what becomes of it, or to hand it to somebody who has seen
     * it saved. They are known by their names in the call stack, since a relation or an
     * application's own builder reads by the same first() as everybody.
     */
    private const READS = [
        'firstOrNew', 'firstOrCreate', 'updateOrCreate', 'createOrFirst', 'resolveRouteBinding',
        'resolveSoftDeletableRouteBinding', 'resolveChildRouteBinding', 'resolveSoftDeletableChildRouteBinding', 'restoreModel',
        'restoreCollection', 'fresh',
    ];

    private const FRAMES_MAX = 16;

    private ?BufferedRows $rows = null;

    private bool $isAlways = false;

    /** @param bool $isAlways whether its writes are buffered though the row is not buffered yet */
    public static function of(Model $model, BufferedRows $rows, bool $isAlways): self
    {
        $connection = $model->getConnection();
        $query = new self($connection, $connection->getQueryGrammar(), $connection->getPostProcessor());
        [$query->rows, $query->isAlways] = [$rows, $isAlways];

        return $query;
    }

    /**
     * @param array<mixed> $values
     *
     * @return bool
     */
    public function insert(array $values)
    {
        return $this->isInsertBuffered($values) || parent::insert($values);
    }

    /**
     * @param array<string, mixed> $values
     * @param string|null          $sequence
     *
     * @return mixed
     */
    public function insertGetId(array $values, $sequence = null)
    {
        return $this->isInsertBuffered($values)
            ? $values[$this->rows?->model->getKeyName()] ?? null
            : parent::insertGetId($values, $sequence);
    }

    /**
     * @param array<string, mixed> $values
     *
     * @return int
     */
    public function update(array $values)
    {
        if ($this->rows === null) {
            return parent::update($values);
        }
        $key = $this->key();
        $found = $key === null ? null : $this->rows->find($key);
        if ($key !== null && $found === null && !$this->isAlways) {
            return parent::update($values);
        }
        if ($found === false) {
            // As for a row that is gone.
            return 0;
        }
        $row = $key === null || self::hasExpression($values) ? null : $this->rows->change($key, self::unqualified($values));
        if ($row !== null) {
            $this->rows->put($row);

            return 1;
        }
        $this->rows->writeOut($key);

        return parent::update($values);
    }

    /**
     * @param mixed $id
     *
     * @return int
     */
    public function delete($id = null)
    {
        if ($this->rows === null) {
            return parent::delete($id);
        }
        $key = $id === null ? $this->key() : null;
        $found = $key === null ? null : $this->rows->find($key);
        if ($key !== null && ($found !== null || $this->isAlways)) {
            return $found === false ? 0 : $this->rows->delete($key);
        }
        if ($key === null) {
            $this->rows->writeOut();
        }

        return parent::delete($id);
    }

    /**
     * @param array<mixed>             $values
     * @param array<mixed>|string      $uniqueBy
     * @param array<mixed>|string|null $update
     *
     * @return int
     */
    public function upsert(array $values, $uniqueBy, $update = null)
    {
        $this->rows?->writeOut();

        return parent::upsert($values, $uniqueBy, $update);
    }

    /**
     * @param array<mixed> $values
     *
     * @return int
     */
    public function insertOrIgnore(array $values)
    {
        $this->rows?->writeOut();

        return parent::insertOrIgnore($values);
    }

    /** @return array<mixed> */
    protected function runSelect()
    {
        if ($this->rows?->areAny() && self::isDecisive()) {
            $this->rows->writeOut();
        }

        return parent::runSelect();
    }

    /** @param array<mixed> $values one row, or a list */
    private function isInsertBuffered(array $values): bool
    {
        if ($this->rows === null || $values === []) {
            return false;
        }
        $key = is_array(reset($values)) ? null : $this->rows->keyIn($values);
        $found = $key === null ? null : $this->rows->find($key);
        if ($found === false) {
            // Behind its deletion.
            $model = $this->rows->model;
            $this->rows->put(new ModelRow($model->getTable(), (string) $model->getKeyName(), false, $values));

            return true;
        }
        if ($found !== null || ($this->rows->areAny() && self::isDecisive())) {
            $this->rows->writeOut($key);
        }

        return false;
    }

    /** @return array<string, mixed>|null the key of the one row that the query is about */
    private function key(): ?array
    {
        if ($this->joins || $this->unions || $this->limit !== null || $this->offset !== null) {
            return null;
        }
        $columns = [];
        foreach ($this->wheres as $where) {
            if ($where['type'] !== 'Basic' || $where['operator'] !== '=' || $where['boolean'] !== 'and' || !is_string($where['column'])) {
                return null;
            }
            $columns[self::plain($where['column'])] = $where['value'];
        }
        $key = $this->rows?->keyIn($columns);

        return $key !== null && count($key) === count($columns) ? $key : null;
    }

    private static function isDecisive(): bool
    {
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, self::FRAMES_MAX) as $frame) {
            if (in_array($frame['function'], self::READS, true)) {
                return true;
            }
        }

        return false;
    }

    /** @param array<mixed> $values */
    private static function hasExpression(array $values): bool
    {
        foreach ($values as $value) {
            if ($value instanceof Expression || $value instanceof ExpressionContract || $value instanceof Builder) {
                return true;
            }
        }

        return false;
    }

    /**
     * @param array<string, mixed> $values
     *
     * @return array<string, mixed>
     */
    private static function unqualified(array $values): array
    {
        $plain = [];
        foreach ($values as $column => $value) {
            $plain[self::plain((string) $column)] = $value;
        }

        return $plain;
    }

    private static function plain(string $column): string
    {
        $point = strrpos($column, '.');

        return $point === false ? $column : substr($column, $point + 1);
    }
}
