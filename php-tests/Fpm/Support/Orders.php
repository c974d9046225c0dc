<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

/**
 * Rows whose columns all follow from an order's number. Requests add them, and tests look for them.
 * A worker loads this file by path, so it needs no other.
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
