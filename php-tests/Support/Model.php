<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** The part of an Eloquent model that the extension needs. */
final class Model
{
    public function __construct(
        private mixed $attributes,
        private mixed $table = null,
        private mixed $keyName = 'id',
    ) {
    }

    public function getAttributes(): mixed
    {
        return self::valueOf($this->attributes);
    }

    public function getTable(): mixed
    {
        return self::valueOf($this->table);
    }

    public function getKeyName(): mixed
    {
        return self::valueOf($this->keyName);
    }

    private static function valueOf(mixed $value): mixed
    {
        return $value instanceof \Closure ? $value() : $value;
    }
}
