<?php

declare(strict_types=1);

namespace App\Services;

use App\Exceptions\OrderRejectedException;
use App\Matching\Changes;
use App\Matching\Exchange;
use App\Matching\Order;
use App\Matching\Trade;

/** Places orders at the exchange, and saves what each of them changed. */
final class EloquentOrderService
{
    public function __construct(
        private readonly Exchange $exchange,
    ) {
    }

    /**
     * Matches a new order and saves it with all that it touched.
     *
     * @return list<Trade> in the order of execution
     *
     * @throws OrderRejectedException the order cannot be taken: nothing was changed
     */
    public function matchOrders(Order $taker): array
    {
        $changes = $this->exchange->match($taker);
        $this->save($changes);

        return $changes->trades;
    }

    /**
     * Takes an order out of the book.
     *
     * @return bool false: it does not rest there, since it was filled, cancelled or never known
     */
    public function cancelOrder(int $orderId, string $at): bool
    {
        $changes = $this->exchange->cancel($orderId, $at);
        if ($changes === null) {
            return false;
        }
        $this->save($changes);

        return true;
    }

    /** Adds to what a user has, and saves it. */
    public function deposit(int $userId, string $asset, string $amount, string $at): void
    {
        $this->save($this->exchange->deposit($userId, $asset, $amount, $at));
    }

    private function save(Changes $changes): void
    {
        foreach ($changes->models as $model) {
            $model->save();
        }
    }
}
