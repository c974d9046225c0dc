<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Closure;
use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;
use WriteBuffer\ConfigException;

/**
 * Owns a model's whole save() over a query that hands over its row: events, hooks and all that the
 * class does in its own way. The row is taken in the midst of it, where save() would write.
 */
final class WholeSave
{
    /** @var (Closure(Model, Builder<Model>, array<string, mixed>): bool)|null */
    private static ?Closure $save = null;

    /**
     * @param SavingQuery          $query   takes the row; what it throws ends the save()
     * @param array<string, mixed> $options as of save()
     *
     * @return bool false: an event halted it
     *
     * @throws ConfigException the class has a save() that cannot be called so
     */
    public static function run(Model $model, ModelPlan $plan, SavingQuery $query, array $options): bool
    {
        if (method_exists($model, 'saveByQuery')) {
            return $model->saveByQuery($query, $options);
        }
        if ($plan->hasOwnSave) {
            throw new ConfigException(
                $model::class . ": it has a save() of its own, which a buffer calls only if the model uses the trait"
                . ' WriteBuffer\\Laravel\\Eloquent\\BuffersWrites; use the trait, or add getAttributes() instead of the model'
            );
        }
        self::$save ??= Closure::bind(self::save(), null, Model::class);

        return (self::$save)($model, $model->newEloquentBuilder($query)->setModel($model), $options);
    }

    /** Laravel's save(), but for its query. */
    private static function save(): Closure
    {
        return static function (Model $model, Builder $query, array $options): bool {
            $model->mergeAttributesFromCachedCasts();
            if ($model->fireModelEvent('saving') === false) {
                return false;
            }
            if ($model->exists) {
                $isSaved = !$model->isDirty() || $model->performUpdate($query);
            } else {
                $isSaved = $model->performInsert($query);
                if (!$model->getConnectionName() && $query->getConnection() !== null) {
                    $model->setConnection($query->getConnection()->getName());
                }
            }
            if ($isSaved) {
                $model->finishSave($options);
            }

            return (bool) $isSaved;
        };
    }
}
