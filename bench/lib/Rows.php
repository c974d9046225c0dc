<?php

declare(strict_types=1);

namespace Bench;

/**
 * Orders and their trades. A row depends only on its id and the seed. So every contestant gets the
 * same rows, and the expected tables are known without any of them.
 */
final class Rows
{
    public const ORDER_COLUMNS = [
        'id', 'user_id', 'symbol', 'side', 'type', 'price', 'quantity', 'filled_quantity', 'status', 'created_at',
        'updated_at',
    ];

    public const TRADE_COLUMNS = [
        'id', 'symbol', 'maker_order_id', 'taker_order_id', 'maker_user_id', 'taker_user_id', 'price', 'quantity',
        'executed_at',
    ];

    private const SYMBOLS = [
        'BTC-USDT', 'ETH-USDT', 'SOL-USDT', 'ETH-BTC', 'XRP-USDT', 'ADA-USDT', 'DOT-USDT', 'LTC-USDT',
    ];

    private const STATUSES = ['open', 'partially_filled', 'filled', 'cancelled'];

    /** Monday, 2024-01-15 09:00:00 UTC. */
    private const START_S = 1_705_309_200;

    public function __construct(private readonly int $seed = 1)
    {
    }

    /** @return list<array{array<string, int|string>, array<string, int|string>}> order and trade */
    public function pairs(int $count, int $firstId = 1): array
    {
        $pairs = [];
        for ($id = $firstId; $id < $firstId + $count; $id++) {
            $pairs[] = $this->pair($id);
        }

        return $pairs;
    }

    /** @return array{array<string, int|string>, array<string, int|string>} */
    public function pair(int $id): array
    {
        // Two independent words of 32 bits.
        $a = crc32("{$this->seed}/{$id}");
        $b = crc32("{$id}#{$this->seed}");
        $symbol = self::SYMBOLS[$a & 7];
        $userId = 1 + ($a >> 3) % 5_000;
        $price = (1 + ($b & 0xffff)) . '.' . str_pad((string) (($a >> 8) % 100), 2, '0', STR_PAD_LEFT);
        $quantity = ($b >> 24) . '.' . str_pad((string) (1 + ($b >> 8) % 99_999), 5, '0', STR_PAD_LEFT);
        $at = gmdate('Y-m-d H:i:s', self::START_S + intdiv($id, 500)) . sprintf('.%06d', $id % 500 * 2_000);

        return [
            [
                'id' => $id,
                'user_id' => $userId,
                'symbol' => $symbol,
                'side' => ($a >> 16 & 1) === 1 ? 'buy' : 'sell',
                'type' => 'limit',
                'price' => $price,
                'quantity' => $quantity,
                'filled_quantity' => $quantity,
                'status' => self::STATUSES[$b >> 4 & 3],
                'created_at' => $at,
                'updated_at' => $at,
            ],
            [
                'id' => $id,
                'symbol' => $symbol,
                'maker_order_id' => max(1, $id - ($b & 63)),
                'taker_order_id' => $id,
                'maker_user_id' => 1 + ($b >> 3) % 5_000,
                'taker_user_id' => $userId,
                'price' => $price,
                'quantity' => $quantity,
                'executed_at' => $at,
            ],
        ];
    }
}
