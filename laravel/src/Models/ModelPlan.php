<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;
use ReflectionClass;
use ReflectionMethod;

/**
 * What there is to know of a class of models before one is saved: whether save() is Laravel's own,
 * and who may listen. It is asked once for each class.
 */
final class ModelPlan
{
    /** A class that has one of these in its own way is saved by its own methods. */
    private const OF_SAVE = [
        'save', 'performInsert', 'performUpdate', 'finishSave', 'fireModelEvent', 'getAttributesForInsert', 'insertAndSetId',
        'updateTimestamps', 'syncOriginal', 'syncChanges', 'getDirty', 'isDirty',
        'getDirtyForUpdate', 'setUpdatedAt', 'setCreatedAt', 'fromDateTime', 'originalIsEquivalent', 'newModelQuery',
        'setAttribute', 'getAttributes', 'mergeAttributesFromCachedCasts', 'touchOwners', 'setConnection', 'getConnectionName', 'usesUniqueIds',
        'setUniqueIds',
    ];

    /** Whether nothing of save() is the class's own. */
    public readonly bool $isPlain;

    /** Whether the class has a save() of its own. */
    public readonly bool $hasOwnSave;

    /** Whether the class says by itself which row is the model's, as one with several keys does. */
    public readonly bool $hasOwnKeys;

    /** Whether an update asks the class which row is the model's. */
    public readonly bool $asksForKeys;

    /** Whether a timestamp is an attribute like another one. */
    public readonly bool $hasPlainTimestamps;

    /** @var array{list<string>, list<string>} the names of events: of an insert, of an update */
    private readonly array $events;

    /** @var array<string, string> the date format, by the connection's name */
    private array $dateFormats = [];

    public function __construct(Model $model)
    {
        $class = new ReflectionClass($model);
        $isOwn = static fn (string $method): bool => $class->hasMethod($method)
            && (new ReflectionMethod($model, $method))->getDeclaringClass()->getName() !== Model::class;
        $this->hasOwnSave = $isOwn('save');
        $this->hasOwnKeys = $isOwn('setKeysForSaveQuery');
        $this->asksForKeys = $this->hasOwnKeys || $isOwn('getKeyForSaveQuery');
        $this->isPlain = array_filter(self::OF_SAVE, $isOwn) === []
            && $model->newQueryWithoutScopes()::class === Builder::class;
        $hasPlain = true;
        foreach (array_filter([$model->getCreatedAtColumn(), $model->getUpdatedAtColumn()]) as $column) {
            $hasPlain = $hasPlain && !$model->hasCast($column) && !$model->hasSetMutator($column)
                && !(method_exists($model, 'hasAttributeSetMutator') && $model->hasAttributeSetMutator($column));
        }
        $this->hasPlainTimestamps = $hasPlain;
        $names = static fn (string ...$events): array => array_map(
            static fn (string $event): string => "eloquent.{$event}: " . $model::class,
            array_values($events),
        );
        $this->events = [
            $names('saving', 'creating', 'created', 'saved'),
            $names('saving', 'updating', 'updated', 'saved'),
        ];
    }

    /** Whether an event of a model's save() reaches anybody. */
    public function isHeard(bool $exists): bool
    {
        $dispatcher = Model::getEventDispatcher();
        if ($dispatcher === null) {
            return false;
        }
        foreach ($this->events[(int) $exists] as $event) {
            if ($dispatcher->hasListeners($event)) {
                return true;
            }
        }

        return false;
    }

    /** The current time, as the model's timestamps have it. */
    public function now(Model $model): string
    {
        return $model->freshTimestamp()->format(
            $this->dateFormats[(string) $model->getConnectionName()] ??= $model->getDateFormat()
        );
    }
}
