<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use WriteBuffer\Laravel\Rows\Row;

/** A group that waits for the end of its transaction, and the buffer that held it. */
final class HeldGroup
{
    /** @param list<Row> $rows */
    public function __construct(
        public readonly HeldGroupOwner $buffer,
        public readonly array $rows,
    ) {
    }

    public function release(): void
    {
        $this->buffer->addCommitted($this->rows);
    }
}
