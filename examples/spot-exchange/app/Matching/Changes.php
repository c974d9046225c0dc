<?php

declare(strict_types=1);

namespace App\Matching;

/** What one step of the exchange changed: all of it must be saved, or none. */
final class Changes
{
    /** @var list<Order|Balance> what changed: the placed order, other orders, then balances */
    public readonly array $rows;

    /**
     * @param list<Order>   $orders
     * @param list<Balance> $balances
     * @param list<Trade>   $trades   new ones, in the order of execution
     */
    public function __construct(array $orders, array $balances, public readonly array $trades = [])
    {
        $this->rows = [...$orders, ...$balances];
    }
}
