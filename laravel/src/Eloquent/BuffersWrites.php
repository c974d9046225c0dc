<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Query\Builder as QueryBuilder;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Models\SavingQuery;
use WriteBuffer\Laravel\Tables\Merge;

/**
 * Owns `saveBuffered()` of a model: Laravel's own save(), with its events, timestamps, casts and
 * mutators, over a query that puts the row into a buffer.
 *
 * The model needs a key before it is saved. What the database refuses (by a constraint, for
 * instance) is refused later, when the buffer is flushed.
 */
trait BuffersWrites
{
    private ?SavingQuery $nextQuery = null;

    /**
     * @param array<string, mixed> $options as of save()
     *
     * @return bool false: an event halted it, and nothing was buffered
     *
     * @throws \WriteBuffer\ConfigException a model without a key, or one whose key was changed
     */
    public function saveBuffered(array $options = []): bool
    {
        return app(BufferManager::class)->saving($this, $this->getBufferName())->saveModel($this, $options);
    }

    /**
     * Calls save() with a query of a buffer's instead of its own. A buffer calls it.
     *
     * @param array<string, mixed> $options as of save()
     *
     * @internal
     */
    public function saveByQuery(SavingQuery $query, array $options): bool
    {
        $this->nextQuery = $query;
        try {
            return (bool) $this->save($options);
        } finally {
            $this->nextQuery = null;
        }
    }

    /** @param array<string, mixed> $attributes */
    public static function createBuffered(array $attributes = []): static
    {
        $model = new static($attributes);
        $model->saveBuffered();

        return $model;
    }

    /**
     * The model as it will be after a flush: the buffered row over the database's row, by the
     * table's rules; null if its row will be deleted. While a row is being written, an increment of
     * a `sum` may be counted twice: call flush() first if that matters.
     */
    public static function findBuffered(mixed $id): ?static
    {
        $model = new static();
        $manager = app(BufferManager::class);
        // The buffer first: a row that is flushed in between is found twice, and never missed.
        $buffered = $manager->buffer($model->getBufferName())->find($model->getTable(), $id);
        $found = static::query()->find($id);
        if (!is_array($buffered)) {
            return $buffered === null ? $found : null;
        }
        if ($found === null) {
            return $model->newFromBuilder($buffered);
        }
        $table = $manager->table($model->getTable(), $model->getKeyName(), $model->getBufferName());

        return $found->setRawAttributes(Merge::forReading($table, $found->getAttributes(), $buffered), true);
    }

    /** The buffer of config/write-buffer.php for the model's rows; null: the default buffer. */
    public function getBufferName(): ?string
    {
        return null;
    }

    /** @return QueryBuilder */
    protected function newBaseQueryBuilder()
    {
        // save() makes one query to write. Queries that its listeners make afterwards are not
        // buffered.
        [$query, $this->nextQuery] = [$this->nextQuery, null];

        return $query ?? parent::newBaseQueryBuilder();
    }
}
