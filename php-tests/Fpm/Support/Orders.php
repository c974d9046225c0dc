<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

/**
 * Rows whose every column follows from an order's number, for the requests that add them and the tests that look for
 * them. Loaded by path in a worker: it needs nothing else.
 */
final class Orders
{
    public const TRADES_PER_ORDER = 2;
    public const ROWS_PER_ORDER = 1 + self::TRADES_PER_ORDER;

    /** @return array{id: int, v: string, worker: int, n: int} */
    public static function order(int $id, int $worker): array
    {
        return ['id' => $id, 'v' => "order {$id}", 'worker' => $worker, 'n' => 1];
    }

    /** @return list<array{id: int, order_id: int}> */
    public static function trades(int $orderId): array
    {
        $trades = [];
        for ($number = 0; $number < self::TRADES_PER_ORDER; $number++) {
            $trades[] = ['id' => $orderId * 10 + $number, 'order_id' => $orderId];
        }

        return $trades;
    }
}
