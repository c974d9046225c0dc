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
}
