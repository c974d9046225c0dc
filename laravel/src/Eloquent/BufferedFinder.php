<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use Illuminate\Contracts\Support\Arrayable;
use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Collection;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\ModelNotFoundException;
use WriteBuffer\BlockedException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Tables\Merge;

/**
 * Owns findBuffered(): models as they will be after a flush, by their keys. That is the buffered
 * row over the database's row, by the table's rules. The query's scopes and conditions decide over
 * what becomes of the two.
 *
 * While a row is being written, an increment of a `sum` may be counted twice: call flush() first if
 * that matters.
 */
final class BufferedFinder
{
    /** @param Builder<Model> $query */
    public function __construct(private readonly Builder $query, private readonly BufferManager $manager)
    {
    }

    /** Adds findBuffered() and findBufferedOrFail() to every query of models. */
    public static function register(): void
    {
        Builder::macro('findBuffered', function (mixed $id): Model|Collection|null {
            /** @var Builder<Model> $this */
            return (new BufferedFinder($this, app(BufferManager::class)))->find($id);
        });
        Builder::macro('findBufferedOrFail', function (mixed $id): Model|Collection {
            /** @var Builder<Model> $this */
            return (new BufferedFinder($this, app(BufferManager::class)))->findOrFail($id);
        });
    }

    /**
     * @param mixed $id a key, or a list of keys
     *
     * @return Model|Collection<int, Model>|null a Collection of those that are there, for a list
     */
    public function find(mixed $id): Model|Collection|null
    {
        $id = $id instanceof Arrayable ? $id->toArray() : $id;
        if (is_array($id)) {
            return $this->query->getModel()->newCollection($this->models(array_values(array_unique($id))));
        }

        return $this->models([$id])[0] ?? null;
    }

    /**
     * @return Model|Collection<int, Model>
     *
     * @throws ModelNotFoundException one is not there
     */
    public function findOrFail(mixed $id): Model|Collection
    {
        $id = $id instanceof Arrayable ? $id->toArray() : $id;
        $found = $this->find($id);
        if ($found instanceof Model || ($found instanceof Collection && count($found) === count(array_unique($id)))) {
            return $found;
        }
        $missing = is_array($id) ? array_diff($id, $found?->modelKeys() ?? []) : [$id];

        throw (new ModelNotFoundException())->setModel($this->query->getModel()::class, $missing);
    }

    /**
     * @param list<mixed> $ids
     *
     * @return list<Model>
     */
    private function models(array $ids): array
    {
        $model = $this->query->getModel();
        $buffer = $this->manager->buffer(BufferedRows::bufferName($model));
        // The buffer first: a row that is flushed in between is found twice, and never missed.
        $buffered = [];
        foreach ($ids as $at => $id) {
            $buffered[$at] = $id === null ? null : $buffer->find($model->getTable(), $id);
        }
        $rows = array_filter($buffered, 'is_array');
        $found = $this->stored($ids);
        if ($rows !== []) {
            $merged = $this->merged($model, array_intersect_key($ids, $rows), $rows);
            if ($merged === null) {
                $buffer->flush();
                if (array_filter($ids, static fn (mixed $id): bool => is_array($buffer->find($model->getTable(), $id))) !== []) {
                    throw new BlockedException(
                        "only the database can say which rows of {$model->getTable()} the query's conditions take, and"
                        . ' some of them wait for the end of a transaction or of group()'
                    );
                }

                return array_values($this->stored($ids));
            }
            $found = array_diff_key($found, $rows) + $merged;
        }
        $models = array_values(array_diff_key(self::sorted($found), array_filter($buffered, static fn (mixed $row): bool => $row === false)));

        return $models === [] ? [] : $this->query->eagerLoadRelations($models);
    }

    /**
     * @param list<mixed> $ids
     *
     * @return array<int, Model> what the query finds in the database, by the place of its key
     */
    private function stored(array $ids): array
    {
        $models = [];
        $byKey = array_flip(array_map('strval', $ids));
        foreach ((clone $this->query)->whereKey($ids)->get() as $model) {
            $at = $byKey[(string) $model->getKey()] ?? null;
            // A collation may find a key that is spelled in another way.
            $at === null ? $models[] = $model : $models[$at] = $model;
        }

        return $models;
    }

    /**
     * @param array<int, mixed>                $ids
     * @param array<int, array<string, mixed>> $rows the buffered ones, by the same places
     *
     * @return array<int, Model>|null null: only the database can say which ones the query takes
     */
    private function merged(Model $model, array $ids, array $rows): ?array
    {
        $query = (clone $this->query)->toBase();
        if ($query->joins || $query->unions || $query->groups || $query->havings) {
            return null;
        }
        $table = $this->manager->table($model->getTable(), $model->getKeyName(), BufferedRows::bufferName($model));
        $stored = [];
        foreach ($model->newQueryWithoutScopes()->whereKey(array_values($ids))->toBase()->get() as $row) {
            $stored[(string) $row->{$model->getKeyName()}] = (array) $row;
        }
        $models = [];
        foreach ($rows as $at => $row) {
            $before = $stored[(string) $ids[$at]] ?? null;
            $attributes = $before === null ? $row : Merge::forReading($table, $before, $row);
            $isTaken = Conditions::hold($query->wheres, $attributes);
            if ($isTaken === null) {
                return null;
            }
            if ($isTaken) {
                $models[$at] = $this->query->newModelInstance()->newFromBuilder($attributes);
            }
        }

        return $models;
    }

    /**
     * @param array<int, Model> $models
     *
     * @return array<int, Model>
     */
    private static function sorted(array $models): array
    {
        ksort($models);

        return $models;
    }
}
