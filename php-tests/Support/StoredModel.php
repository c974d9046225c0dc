<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** The part of an Eloquent model that knows what has changed since it was loaded. */
class StoredModel
{
    /** What reads it calls, in order. @var list<string> */
    public array $calls = [];

    /**
     * @param array<string|int, mixed> $attributes
     * @param array<string|int, mixed> $dirty
     */
    public function __construct(
        private mixed $attributes,
        private mixed $dirty,
        public mixed $exists = true,
        private mixed $table = 'models',
        private mixed $keyName = 'id',
    ) {
    }

    public function getAttributes(): mixed
    {
        return $this->answer('getAttributes', $this->attributes);
    }

    public function getDirty(): mixed
    {
        return $this->answer('getDirty', $this->dirty);
    }

    public function getTable(): mixed
    {
        return $this->answer('getTable', $this->table);
    }

    public function getKeyName(): mixed
    {
        return $this->answer('getKeyName', $this->keyName);
    }

    private function answer(string $call, mixed $value): mixed
    {
        $this->calls[] = $call;

        return $value instanceof \Closure ? $value() : $value;
    }
}
