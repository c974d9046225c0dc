<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use DateTimeImmutable;

/**
 * A row as it was when a buffer took it: its table, by the name that the server knows, and plain values. Whatever changes later
 * about the object that it was read from, it stays.
 *
 * It has the methods by which the extension knows a model, so it can be handed to any buffer, for any table.
 */
final class Row
{
    /** @param array<string, int|float|string|DateTimeImmutable|null> $values by column */
    public function __construct(
        public readonly string $table,
        public readonly array $values,
        public readonly ?string $keyName = null,
    ) {
    }

    public function getTable(): string
    {
        return $this->table;
    }

    /** The key's column, where a model named one. */
    public function getKeyName(): ?string
    {
        return $this->keyName;
    }

    /** @return array<string, int|float|string|DateTimeImmutable|null> */
    public function getAttributes(): array
    {
        return $this->values;
    }

    /**
     * The row as takeFailures() and find() give it.
     *
     * @return array<string, int|float|string|null>
     */
    public function plainValues(): array
    {
        return array_map(
            static fn (mixed $value): mixed => $value instanceof DateTimeImmutable ? $value->format('Y-m-d H:i:s.u') : $value,
            $this->values,
        );
    }
}
