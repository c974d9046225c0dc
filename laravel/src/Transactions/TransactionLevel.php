<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

/** A transaction, or a savepoint within one, and the groups that were added in it. */
final class TransactionLevel
{
    /** @var list<HeldGroup> */
    public array $groups = [];

    public function __construct(public readonly int $number)
    {
    }
}
