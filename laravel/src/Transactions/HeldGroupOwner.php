<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use Throwable;
use WriteBuffer\Laravel\Rows\Row;

/** A buffer that holds groups until their transactions are committed. */
interface HeldGroupOwner
{
    /** @param list<Row> $rows a held group, whose transaction was committed */
    public function addCommitted(array $rows, ?string $tag = null): void;

    /** Whether it still has the rows of a call that threw this, and tells of them by itself. */
    public function keepsWhatFailed(Throwable $e): bool;
}
