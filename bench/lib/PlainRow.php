<?php

declare(strict_types=1);

namespace Bench;

/** A row for the exchange's pure-PHP buffer, which knows a model by these methods. */
final class PlainRow
{
    /** @param array<string, int|string> $attributes */
    public function __construct(private readonly string $table, private readonly array $attributes)
    {
    }

    public function getTable(): string
    {
        return $this->table;
    }

    /** @return array<string, int|string> */
    public function getAttributes(): array
    {
        return $this->attributes;
    }
}
