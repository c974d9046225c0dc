<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

/** Owns that a buffer that stands before another one says of held rows what that one says. */
trait TellsOfHeldRows
{
    public function isHolding(): bool
    {
        return $this->buffer instanceof HoldsRows && $this->buffer->isHolding();
    }

    public function heldRows(): int
    {
        return $this->buffer instanceof HoldsRows ? $this->buffer->heldRows() : 0;
    }

    public function holdsRowsOf(string $table): bool
    {
        return $this->buffer instanceof HoldsRows && $this->buffer->holdsRowsOf($table);
    }
}
