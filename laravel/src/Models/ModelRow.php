<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

/**
 * What save() would write of a model, as it was at that moment. It has the methods and the property
 * by which every buffer knows a model.
 */
class ModelRow
{
    /**
     * @param bool                 $exists     whether the model's row was there: then it is an
     *                                         update
     * @param array<string, mixed> $attributes the columns to write
     */
    public function __construct(
        private readonly string $table,
        private readonly ?string $keyName,
        public readonly bool $exists,
        private readonly array $attributes,
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
}
