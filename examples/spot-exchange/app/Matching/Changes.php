<?php

declare(strict_types=1);

namespace App\Matching;

use Illuminate\Database\Eloquent\Model;

/** What one step of the exchange changed: all of it must be saved, or none. */
final class Changes
{
    /** @var list<Model> the rows of all that changed: orders, balances, trades */
    public readonly array $models;

    /**
     * @param list<Order>   $orders   the placed order, then other orders
     * @param list<Balance> $balances
     * @param list<Trade>   $trades   new ones, in the order of execution
     */
    public function __construct(array $orders, array $balances, public readonly array $trades = [])
    {
        $this->models = array_map(
            static fn (Order|Balance|Trade $changed): Model => $changed->model(),
            [...$orders, ...$balances, ...$trades],
        );
    }
}
