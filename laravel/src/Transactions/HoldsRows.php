<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

/** A buffer that holds rows until a transaction ends. */
interface HoldsRows
{
    /** Whether rows are held, since the connection has a transaction open. */
    public function isHolding(): bool;

    /** How many rows wait for the end of a transaction. */
    public function heldRows(): int;

    /** Whether rows of a table are among them. `$table` is its name without the prefix. */
    public function holdsRowsOf(string $table): bool;
}
