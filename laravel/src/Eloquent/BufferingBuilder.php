<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/**
 * Owns the query of a buffered Model::save(): its insert and its update put a row into the buffer.
 */
final class BufferingBuilder extends Builder
{
    /** @param array<string, mixed> $values */
    public function insert(array $values): bool
    {
        $this->put($values);

        return true;
    }

    /**
     * For a model with an auto-increment key: works if the model has its key all the same.
     *
     * @param array<string, mixed> $values
     */
    public function insertGetId(array $values, ?string $sequence = null): mixed
    {
        $this->put($values);

        return $values[$this->model->getKeyName()];
    }

    /** @param array<string, mixed> $values the columns that changed */
    public function update(array $values): int
    {
        $model = $this->model;
        $key = $model->getKeyName();
        if (array_key_exists($key, $values)) {
            throw new ConfigException(
                $model::class . ": its key {$key} was changed, and a buffered row finds its row by the key; use save()"
            );
        }
        $row = [$key => $model->getAttributes()[$key] ?? null] + $values;
        $rules = app(BufferManager::class)->rulesOf($model->getTable(), $this->bufferName());
        $guard = $rules['guard'] ?? null;
        if ($guard !== null && array_key_exists($guard, $model->getAttributes())) {
            // A buffer refuses a row without its guard, so the guard goes along, even if it has not
            // changed.
            $row += [$guard => $model->getAttributes()[$guard]];
        }
        $this->put($row);

        return 1;
    }

    /** @param array<string, mixed> $row */
    private function put(array $row): void
    {
        /** @var Model $model */
        $model = $this->model;
        if (($row[$model->getKeyName()] ?? null) === null) {
            throw new ConfigException(
                $model::class . ": it has no key {$model->getKeyName()} yet: the database would make one by"
                . ' auto-increment. A buffered row is written later, so give the model a key first (a UUID, a ULID'
                . ' or a number from a sequence; $incrementing = false), or use save()'
            );
        }
        app(BufferManager::class)->buffer($this->bufferName())->put($model->getTable(), $row);
    }

    private function bufferName(): ?string
    {
        return $this->model->getBufferName();
    }
}
