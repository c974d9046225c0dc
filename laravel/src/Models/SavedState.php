<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Closure;
use Illuminate\Database\Eloquent\Model;

/**
 * What a save() changes in a model that was saved: it can be taken back if the row was not taken.
 * The attributes stay, as after a save() whose query has failed: times, and a key that was made.
 */
final class SavedState
{
    /** @var (Closure(Model): array<string, mixed>)|null */
    private static ?Closure $read = null;

    /** @var (Closure(Model, array<string, mixed>): void)|null */
    private static ?Closure $write = null;

    /** @param array<string, mixed> $properties */
    private function __construct(private readonly Model $model, private readonly array $properties)
    {
    }

    public static function of(Model $model): self
    {
        self::$read ??= Closure::bind(static fn (Model $model): array => [
            'exists' => $model->exists,
            'wasRecentlyCreated' => $model->wasRecentlyCreated,
            'original' => $model->original,
            'changes' => $model->changes,
            'connection' => $model->connection,
            // Laravel 12 and newer.
            ...(property_exists($model, 'previous') ? ['previous' => $model->previous] : []),
        ], null, Model::class);

        return new self($model, (self::$read)($model));
    }

    public function restore(): void
    {
        self::$write ??= Closure::bind(static function (Model $model, array $properties): void {
            foreach ($properties as $name => $value) {
                $model->{$name} = $value;
            }
        }, null, Model::class);
        (self::$write)($this->model, $this->properties);
    }
}
