<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use WriteBuffer\Laravel\Rows\Row;

/** Whoever is given groups back after their transaction's commit. */
interface HeldGroupOwner
{
    /** @param list<Row> $rows */
    public function addCommitted(array $rows): void;
}
