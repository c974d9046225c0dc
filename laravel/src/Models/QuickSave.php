<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Closure;
use Illuminate\Database\Eloquent\Model;

/**
 * Owns the short way of a save(), for a model to whose events nobody listens and whose class leaves
 * save() as it is. It has two halves: what save() does before it writes, which gives the row, and
 * what it does afterwards, once the row was taken. If it was not, the model is as after a save()
 * whose query has failed.
 */
final class QuickSave
{
    /** @var (Closure(Model, ModelPlan, ?list<string>): ?QuickSave)|null */
    private static ?Closure $prepare = null;

    /** @var (Closure(Model, ?array<string, mixed>, ?string): void)|null */
    private static ?Closure $finish = null;

    /**
     * @param ModelRow|null             $row     null: nothing has changed
     * @param array<string, mixed>|null $changes what getChanges() has afterwards; null: as before
     */
    private function __construct(
        public readonly Model $model,
        public readonly ?ModelRow $row,
        private readonly ?array $changes,
    ) {
    }

    /**
     * @param list<string>|null $key the key's columns, if the buffer's configuration names them
     *
     * @return self|null null: it takes a whole save()
     */
    public static function of(Model $model, ModelPlan $plan, ?array $key): ?self
    {
        if (!$plan->isPlain || $plan->isHeard($model->exists)) {
            return null;
        }
        self::$prepare ??= Closure::bind(self::prepare(), null, Model::class);

        return (self::$prepare)($model, $plan, $key);
    }

    /** Whether the model gets the name of a connection, and has none of its own. */
    public function takesDefaultConnection(): bool
    {
        return !$this->model->exists && $this->model->getConnectionName() === null;
    }

    /**
     * Does what save() does after it has written.
     *
     * @param string|null $connection of a new model's row; null: there is none
     */
    public function finish(?string $connection): void
    {
        self::$finish ??= Closure::bind(static function (Model $model, ?array $changes, ?string $connection): void {
            if (!$model->exists) {
                $model->exists = true;
                $model->wasRecentlyCreated = true;
                $model->connection ??= $connection;
            } elseif ($changes !== null) {
                $model->changes = $changes;
                if (property_exists($model, 'previous')) {
                    $model->previous = array_intersect_key($model->original, $changes);
                }
            }
            $model->original = $model->attributes;
        }, null, Model::class);
        (self::$finish)($this->model, $this->changes, $connection);
    }

    /** What runs with the rights of a model: timestamps are set as save() sets them. */
    private static function prepare(): Closure
    {
        $of = static fn (Model $model, ?ModelRow $row, ?array $changes = null): self => new self($model, $row, $changes);

        // For speed: two texts of one length are two times if they differ.
        $isSameTime = static fn (mixed $new, mixed $old, Model $model, string $column): bool => $new === $old || (
            !(is_string($new) && is_string($old) && strlen($new) === strlen($old)) && $model->originalIsEquivalent($column)
        );

        return static function (Model $model, ModelPlan $plan, ?array $key) use ($of, $isSameTime): ?QuickSave {
            if ($model->dispatchesEvents !== [] || $model->touches !== []) {
                return null;
            }
            $isUpdate = $model->exists;
            if (!$isUpdate && property_exists($model, 'usesUniqueIds') && $model->usesUniqueIds) {
                // Laravel 9 and newer.
                $model->setUniqueIds();
            }
            if ($isUpdate) {
                // getDirty(), without a call for each column that is as it was.
                $model->mergeAttributesFromCachedCasts();
                $dirty = [];
                foreach ($model->attributes as $column => $value) {
                    $isAsBefore = isset($model->original[$column]) && $model->original[$column] === $value;
                    if (!$isAsBefore && !$model->originalIsEquivalent($column)) {
                        $dirty[$column] = $value;
                    }
                }
            } else {
                $dirty = $model->getAttributes();
            }
            if ($dirty === []) {
                return $isUpdate ? $of($model, null) : null;
            }
            $keyName = $model->getKeyName();
            if (!$isUpdate && $plan->hasOwnKeys && $model->getIncrementing()) {
                // Its insert asks for a number.
                return null;
            }
            foreach ($key ?? [$keyName] as $column) {
                $isKnown = is_string($column) && isset($model->attributes[$column])
                    && (!$isUpdate || (isset($model->original[$column]) && !array_key_exists($column, $dirty)));
                if (!$isKnown) {
                    return null;
                }
            }
            $identity = [];
            if ($isUpdate && $plan->asksForKeys) {
                $query = $model->newQueryWithoutScopes();
                $model->setKeysForSaveQuery($query);
                $identity = SavingQuery::identityIn($query->getQuery()->wheres);
                if ($identity === null || array_intersect_key($dirty, $identity) !== []) {
                    return null;
                }
            }
            if ($model->usesTimestamps()) {
                if (!$plan->hasPlainTimestamps) {
                    return null;
                }
                $now = $plan->now($model);
                $updatedAt = $model->getUpdatedAtColumn();
                if ($updatedAt !== null) {
                    if (!array_key_exists($updatedAt, $dirty) || (!$isUpdate && $model->originalIsEquivalent($updatedAt))) {
                        $model->attributes[$updatedAt] = $now;
                    }
                    // save() writes it also if it is the same second as before.
                    $dirty[$updatedAt] = $model->attributes[$updatedAt];
                }
                $createdAt = $model->getCreatedAtColumn();
                $isSet = $createdAt === null
                    || (array_key_exists($createdAt, $dirty) && !$model->originalIsEquivalent($createdAt));
                if (!$isUpdate && !$isSet) {
                    $model->attributes[$createdAt] = $now;
                }
            }
            $table = $model->getTable();
            $keyName = is_string($keyName) && $keyName !== '' ? $keyName : null;
            if (!$isUpdate) {
                return $of($model, new ModelRow($table, $keyName, false, $model->attributes));
            }
            $changes = array_intersect_key($model->attributes, $dirty);
            if (isset($updatedAt) && $isSameTime($model->attributes[$updatedAt], $model->original[$updatedAt] ?? null, $model, $updatedAt)) {
                unset($changes[$updatedAt]);
            }

            return $of($model, new ChangedRow($table, $keyName, $identity + $model->attributes, $dirty), $changes);
        };
    }
}
