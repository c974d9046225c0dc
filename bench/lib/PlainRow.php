<?php

declare(strict_types=1);

namespace Bench;

use App\Matching\Row;

/** A row for the exchange's pure-PHP buffer. */
final class PlainRow implements Row
{
    /** @param array<string, int|string> $attributes */
    public function __construct(private readonly string $table, private readonly array $attributes)
    {
    }

    public function getTable(): string
    {
        return $this->table;
    }

    public function getKeyName(): string
    {
        return 'id';
    }

    public function getAttributes(): array
    {
        return $this->attributes;
    }
}
