<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Eloquent\Model;
use TypeError;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Models\ChangedRow;
use WriteBuffer\Laravel\Models\ModelRow;
use WriteBuffer\Laravel\Transactions\HoldsRows;

/**
 * The rows of a model's table that its buffer has not written yet. A buffer that this process has
 * not used has none, unless it is persistent.
 */
final class BufferedRows
{
    public function __construct(public readonly Model $model, private readonly BufferManager $manager)
    {
    }

    public static function of(Model $model): self
    {
        return new self($model, app(BufferManager::class));
    }

    /** The buffer of a model's rows; null: the default buffer. */
    public static function bufferName(Model $model): ?string
    {
        return method_exists($model, 'getBufferName') ? $model->getBufferName() : null;
    }

    /** Whether the buffer has any rows, of whatever table. */
    public function areAny(): bool
    {
        $buffer = $this->used();

        return $buffer !== null && count($buffer) > 0;
    }

    /**
     * @param array<string, mixed> $values by column
     *
     * @return array<string, mixed>|null the key's columns; null: one is missing
     */
    public function keyIn(array $values): ?array
    {
        $columns = $this->manager->rulesOf($this->model->getTable(), self::bufferName($this->model))['key']
            ?? $this->model->getKeyName();
        $key = [];
        foreach ((array) $columns as $column) {
            if (!is_string($column) || !is_scalar($values[$column] ?? null)) {
                return null;
            }
            $key[$column] = $values[$column];
        }

        return $key === [] ? null : $key;
    }

    /**
     * @param array<string, mixed> $key by column
     *
     * @return array<string, mixed>|false|null as find() of a buffer; null also if the table has
     *                                         another key
     */
    public function find(array $key): array|false|null
    {
        try {
            return $key === [] ? null : $this->used()?->find($this->model->getTable(), $key);
        } catch (TypeError) {
            return null;
        }
    }

    /**
     * What a change of one row is to the buffer.
     *
     * @param array<string, mixed> $key
     * @param array<string, mixed> $values
     *
     * @return ModelRow|null null: the database has to make it
     */
    public function change(array $key, array $values): ?ModelRow
    {
        $model = $this->model;
        $known = $values + $key;
        if ($model->exists && array_intersect_key($model->getAttributes(), $key) == $key) {
            $known += $model->getAttributes();
        }
        $guard = $this->manager->rulesOf($model->getTable(), self::bufferName($model))['guard'] ?? null;
        if (($guard !== null && !array_key_exists($guard, $known)) || array_intersect_key($values, $key) != array_intersect_key($key, $values)) {
            return null;
        }

        return new ChangedRow($model->getTable(), (string) $model->getKeyName(), $known, array_diff_key($values, $key));
    }

    public function put(ModelRow $row): void
    {
        $this->buffer()->put($row->getTable(), $row);
    }

    /** @param array<string, mixed> $key */
    public function delete(array $key): int
    {
        $this->buffer()->delete($this->model->getTable(), $key);

        return 1;
    }

    /**
     * Writes out what is buffered, so that a query finds it.
     *
     * @param array<string, mixed>|null $key of the row that it is about; null: of any
     *
     * @throws BlockedException rows wait for the end of a transaction or of group()
     */
    public function writeOut(?array $key = null): void
    {
        $buffer = $this->used();
        if ($buffer === null || ($key === null && count($buffer) === 0)) {
            return;
        }
        $buffer->flush();
        $table = $this->model->getTable();
        $isLeft = $key === null
            ? $buffer instanceof HoldsRows && $buffer->holdsRowsOf($table)
            : $this->find($key) !== null;
        if ($isLeft) {
            throw new BlockedException(
                "rows of {$table} wait for the end of a transaction or of group(), and no query finds them there: use"
                . ' saveBuffered(), deleteBuffered() or findBuffered(), or make the query afterwards'
            );
        }
    }

    /** Writes out what is buffered, so that another process finds it. */
    public function writeOutForOthers(): void
    {
        $buffer = $this->used();
        if ($buffer instanceof HoldsRows && $buffer->isHolding()) {
            // Behind the callback that hands the held rows to the buffer, and before the job's own.
            $this->model->getConnection()->afterCommit(static fn (): int => $buffer->flush());
        } else {
            $buffer?->flush();
        }
    }

    private function buffer(): Buffer
    {
        return $this->manager->buffer(self::bufferName($this->model));
    }

    private function used(): ?Buffer
    {
        $name = self::bufferName($this->model) ?? $this->manager->getDefaultBuffer();

        // By buffer(), since the connection may have become another tenant's.
        return isset($this->manager->made()[$name]) || $this->manager->isPersistent($name)
            ? $this->manager->buffer($name)
            : null;
    }
}
