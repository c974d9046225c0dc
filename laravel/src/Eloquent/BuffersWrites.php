<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Eloquent\Collection;
use Illuminate\Database\Eloquent\ModelNotFoundException;
use Illuminate\Database\Query\Builder as QueryBuilder;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Models\SavingQuery;

/**
 * Owns `saveBuffered()` of a model: Laravel's own save(), with its events, timestamps, casts and
 * mutators, over a query that puts the row into a buffer.
 *
 * The model needs a key before it is saved. What the database refuses (by a constraint, for
 * instance) is refused later, when the buffer is flushed.
 *
 * And owns that the model's other methods do not miss a row that is only buffered: see
 * {@see FollowingQuery}. A model that is put into a job, or whose job is dispatched, is in the
 * database then.
 */
trait BuffersWrites
{
    private ?SavingQuery $nextQuery = null;

    private bool $buffersAll = false;

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
     * delete(), later: with its events, and as a soft delete if that is the model's. It comes in
     * order with everything else of its key.
     *
     * @return bool|null as of delete()
     */
    public function deleteBuffered(): ?bool
    {
        $this->buffersAll = true;
        try {
            return $this->delete();
        } finally {
            $this->buffersAll = false;
        }
    }

    /**
     * The model as it will be after a flush: see {@see BufferedFinder}. Scopes decide as in find().
     *
     * @param mixed $id a key, or a list of keys
     *
     * @return static|Collection<int, static>|null null: there is none, or it will be deleted
     */
    public static function findBuffered(mixed $id): static|Collection|null
    {
        return (new BufferedFinder(static::query(), app(BufferManager::class)))->find($id);
    }

    /**
     * @return static|Collection<int, static>
     *
     * @throws ModelNotFoundException
     */
    public static function findBufferedOrFail(mixed $id): static|Collection
    {
        return (new BufferedFinder(static::query(), app(BufferManager::class)))->findOrFail($id);
    }

    /**
     * Reads the model anew, with what is buffered.
     *
     * @return $this
     */
    public function refresh()
    {
        $key = $this->exists ? $this->getKey() : null;
        $rows = BufferedRows::of($this);
        if ($key === null || $rows->find($rows->keyIn([$this->getKeyName() => $key]) ?? []) === null) {
            return parent::refresh();
        }
        $fresh = (new BufferedFinder($this->newQueryWithoutScopes(), app(BufferManager::class)))->findOrFail($key);
        $this->setRawAttributes($fresh->getAttributes(), true);
        $this->load(array_keys($this->getRelations()));

        return $this;
    }

    /**
     * What a job keeps of the model. The job may run elsewhere, so the row is written first, or as
     * soon as its transaction is committed.
     *
     * @return mixed
     */
    public function getQueueableId()
    {
        $rows = BufferedRows::of($this);
        $key = $rows->keyIn($this->getAttributes());
        if ($this->exists && $key !== null && $rows->find($key) !== null) {
            $rows->writeOutForOthers();
        }

        return parent::getQueueableId();
    }

    /** The buffer of config/write-buffer.php for the model's rows; null: the default buffer. */
    public function getBufferName(): ?string
    {
        return null;
    }

    /** @return QueryBuilder a plain query, but for rows that are buffered */
    protected function newBaseQueryBuilder()
    {
        // save() makes one query to write. Queries that its listeners make afterwards are not
        // buffered.
        [$query, $this->nextQuery] = [$this->nextQuery, null];

        return $query ?? FollowingQuery::of($this, BufferedRows::of($this), $this->buffersAll);
    }
}
