<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use DateTimeImmutable;

/**
 * A row as it was when a buffer took it: the server's name of its table, and plain values. If the
 * object changes from which it was read, the row does not.
 *
 * It has the methods by which the extension knows a model, so every buffer takes it, for any table.
 *
 * A deletion is a row too: its values are a key, by column or by place, and maybe a guard.
 *
 * Of an update the row was there: it is changed, and never made.
 */
final class Row
{
    /** @param array<int|string, int|float|string|DateTimeImmutable|null> $values by column */
    public function __construct(
        public readonly string $table,
        public readonly array $values,
        public readonly ?string $keyName = null,
        public readonly bool $isDeletion = false,
        /** It is an update. The extension knows it by this property. */
        public readonly bool $exists = false,
    ) {
    }

    public function getTable(): string
    {
        return $this->table;
    }

    /** The key's column, if a model named it. */
    public function getKeyName(): ?string
    {
        return $this->keyName;
    }

    /** @return array<string, int|float|string|DateTimeImmutable|null> */
    public function getAttributes(): array
    {
        return $this->values;
    }

    /** What it takes of a buffer's `maxPendingBytes`. */
    public function bytes(): int
    {
        $bytes = 0;
        foreach ($this->values as $value) {
            $bytes += is_string($value) ? strlen($value) : 8;
        }

        return $bytes;
    }

    /**
     * The values as takeFailures() and find() return them.
     *
     * @return array<string, int|float|string|null>
     */
    public function plainValues(): array
    {
        return array_map(
            static fn (mixed $value): mixed => $value instanceof DateTimeImmutable
                ? $value->format('Y-m-d H:i:s.u')
                : $value,
            $this->values,
        );
    }
}
