<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

/**
 * What save() would write of a model, as it was at that moment. It has the methods and the property
 * by which every buffer knows a model, and adds the columns of the key and the guard to those that
 * have changed.
 */
final class ModelRow
{
    /**
     * @param bool                 $exists     whether the model's row was there: then only what
     *                                         has changed is written
     * @param array<string, mixed> $attributes all columns
     * @param array<string, mixed> $dirty      those that have changed
     */
    public function __construct(
        private readonly string $table,
        private readonly ?string $keyName,
        public readonly bool $exists,
        private readonly array $attributes,
        private readonly array $dirty = [],
    ) {
    }

    public function getTable(): string
    {
        return $this->table;
    }

    public function getKeyName(): ?string
    {
        return $this->keyName;
    }

    /** @return array<string, mixed> */
    public function getAttributes(): array
    {
        return $this->attributes;
    }

    /** @return array<string, mixed> */
    public function getDirty(): array
    {
        return $this->dirty;
    }
}
