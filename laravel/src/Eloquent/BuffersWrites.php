<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Database\Eloquent\Builder;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Tables\Merge;

/**
 * `saveBuffered()` for a model: what save() does, with events that may halt it, timestamps, casts and mutators, except that the row goes to
 * a buffer instead of the database. It is Laravel's own save(), over a query that buffers.
 *
 * The model needs a key before it is saved. What save() would have refused at once (a constraint, say) is refused when the buffer is
 * flushed.
 */
trait BuffersWrites
{
    private bool $nextQueryBuffers = false;

    /**
     * @param array<string, mixed> $options as of save()
     *
     * @return bool false where an event halted it; then nothing was buffered
     *
     * @throws \WriteBuffer\ConfigException a model without a key, or one whose key was changed
     */
    public function saveBuffered(array $options = []): bool
    {
        $this->nextQueryBuffers = true;
        try {
            return (bool) $this->save($options);
        } finally {
            $this->nextQueryBuffers = false;
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
     * The model as it will be once its buffer is flushed: what is in the database, and over it what is buffered, by the table's rules.
     * It may count an increment of a `sum` twice while that is being written: flush() before, where it matters.
     */
    public static function findBuffered(mixed $id): ?static
    {
        $model = new static();
        $manager = app(BufferManager::class);
        // First the buffer: a row that is flushed in between is then found in the database as well, and not in neither.
        $buffered = $manager->buffer($model->getBufferName())->find($model->getTable(), $id);
        $found = static::query()->find($id);
        if ($buffered === null) {
            return $found;
        }
        if ($found === null) {
            return $model->newFromBuilder($buffered);
        }
        $table = $manager->table($model->getTable(), $model->getKeyName(), $model->getBufferName());

        return $found->setRawAttributes(Merge::forReading($table, $found->getAttributes(), $buffered), true);
    }

    /** The buffer of config/write-buffer.php that the model's rows go to; null: the default one. */
    public function getBufferName(): ?string
    {
        return null;
    }

    /** @return Builder<static> */
    public function newModelQuery()
    {
        if (!$this->nextQueryBuffers) {
            return parent::newModelQuery();
        }
        // The first query of save() is the one that writes; what listeners ask for comes after it.
        $this->nextQueryBuffers = false;

        return (new BufferingBuilder($this->newBaseQueryBuilder()))->setModel($this);
    }
}
