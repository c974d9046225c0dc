<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use WriteBuffer\Laravel\Rows\Row;

/** Whoever is given groups back after their transaction's commit. */
interface TakesReleased
{
    /** @param list<Row> $rows */
    public function release(array $rows): void;
}
