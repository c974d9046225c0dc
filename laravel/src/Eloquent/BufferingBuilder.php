<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/** The query that Model::save() writes by, with the buffer in the database's place. */
final class BufferingBuilder extends Builder
{
    /** @param array<string, mixed> $values */
    public function insert(array $values): bool
    {
        $this->put($values);

        return true;
    }

    /**
     * Of a model with an auto-increment key: fine, where the key is given all the same.
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
            throw new ConfigException($model::class . ": its key {$key} was changed, and a buffered row finds its row by the key;"
                . ' use save()');
        }
        $row = [$key => $model->getAttributes()[$key] ?? null] + $values;
        $guard = app(BufferManager::class)->rulesOf($model->getTable(), $this->bufferName())['guard'] ?? null;
        if ($guard !== null && array_key_exists($guard, $model->getAttributes())) {
            // A row without its guard is none; and an unchanged one says so.
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
            throw new ConfigException($model::class . ": it has no key {$model->getKeyName()} yet, which the database would give it by"
                . ' auto-increment, at once. A buffered row is written later: give it a key of your own before (a UUID or ULID, or a'
                . ' number from a sequence; $incrementing = false), or use save()');
        }
        app(BufferManager::class)->buffer($this->bufferName())->put($model->getTable(), $row);
    }

    private function bufferName(): ?string
    {
        return $this->model->getBufferName();
    }
}
