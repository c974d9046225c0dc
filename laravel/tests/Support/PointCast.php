<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Contracts\Database\Eloquent\CastsAttributes;

/** The cast of a {@see Point}. */
final class PointCast implements CastsAttributes
{
    public function get($model, string $key, $value, array $attributes): ?Point
    {
        return $value === null ? null : new Point(...array_map('intval', explode(',', $value)));
    }

    public function set($model, string $key, $value, array $attributes): ?string
    {
        return $value === null ? null : "{$value->x},{$value->y}";
    }
}
