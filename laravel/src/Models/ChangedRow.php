<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

/**
 * The row of a model whose row was there. Of its columns only those are written that have changed.
 * Every buffer adds those of the key and the guard.
 */
final class ChangedRow extends ModelRow
{
    /**
     * @param array<string, mixed> $attributes all columns
     * @param array<string, mixed> $dirty      those that have changed
     */
    public function __construct(
        string $table,
        ?string $keyName,
        array $attributes,
        private readonly array $dirty,
    ) {
        parent::__construct($table, $keyName, true, $attributes);
    }

    /** @return array<string, mixed> */
    public function getDirty(): array
    {
        return $this->dirty;
    }
}
