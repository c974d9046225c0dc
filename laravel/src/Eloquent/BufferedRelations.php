<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use BadMethodCallException;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\Relations\HasOneOrMany;
use Illuminate\Database\Eloquent\Relations\Relation;
use WriteBuffer\Laravel\Buffers\BufferManager;

/** Owns createBuffered() of relations: create(), later. */
final class BufferedRelations
{
    public static function register(): void
    {
        Relation::macro('createBuffered', function (array $attributes = []): Model {
            /** @var Relation<Model> $this */
            return BufferedRelations::create($this, $attributes);
        });
    }

    /**
     * @param Relation<Model>      $relation
     * @param array<string, mixed> $attributes
     */
    public static function create(Relation $relation, array $attributes): Model
    {
        if (!$relation instanceof HasOneOrMany) {
            throw new BadMethodCallException(
                'createBuffered() makes the rows of hasOne(), hasMany(), morphOne() and morphMany(), not of '
                . $relation::class
            );
        }
        $model = $relation->make($attributes);
        app(BufferManager::class)->saving($model, BufferedRows::bufferName($model))->saveModel($model);

        return $model;
    }
}
