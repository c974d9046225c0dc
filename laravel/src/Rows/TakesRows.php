<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

/** A buffer that takes rows by the server's names of their tables, deletions among them. */
interface TakesRows
{
    /** @param list<Row> $rows one group */
    public function addRows(array $rows, ?string $tag = null): void;

    /** Whether it has the rows whose flush failed: a synchronous buffer keeps none. */
    public function keepsRows(): bool;
}
