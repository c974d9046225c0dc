<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use WriteBuffer\Laravel\Rows\Row;

/** A buffer that holds groups until their transactions are committed. */
interface HeldGroupOwner
{
    /** @param list<Row> $rows a held group, whose transaction was committed */
    public function addCommitted(array $rows, ?string $tag = null): void;
}
