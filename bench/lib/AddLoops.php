<?php

declare(strict_types=1);

namespace Bench;

use App\Models\Order;
use App\Models\Trade;
use WriteBuffer;
use WriteBuffer\MemorySink;

/**
 * The loops whose add() is measured, each over the same pairs. Nothing is flushed meanwhile: the
 * pairs are fewer than a batch, and the buffer writes to memory.
 */
final class AddLoops
{
    public const NAMES = [
        'loop', 'php-arrays', 'native-arrays', 'php-models', 'native-models', 'made', 'php-made', 'native-made',
    ];

    /** Less than a batch for each table. */
    public const PAIRS_MAX = 4_900;

    private const BATCH_SIZE_MAX = 10_000;

    private const NEVER_MS = 3_600_000;

    /** @var list<array{array<string, int|string>, array<string, int|string>}> */
    private readonly array $arrays;

    /** @var list<array{Order, Trade}> */
    private readonly array $models;

    public function __construct(int $pairs)
    {
        Database::loadModels();
        $this->arrays = (new Rows())->pairs($pairs);
        $this->models = array_map([self::class, 'asModels'], $this->arrays);
    }

    /**
     * @param array{array<string, int|string>, array<string, int|string>} $pair
     *
     * @return array{Order, Trade}
     */
    private static function asModels(array $pair): array
    {
        return [(new Order())->setRawAttributes($pair[0]), (new Trade())->setRawAttributes($pair[1])];
    }

    /** The name of the same loop without add(). */
    public static function emptyLoop(string $name): string
    {
        return str_ends_with($name, 'made') ? 'made' : 'loop';
    }

    /**
     * Prepares a loop. One more pair is added before, so that the loop does not meet a new table.
     *
     * @return array{callable(): void, callable(): void} the loop, and its clean-up
     */
    public function prepare(string $name): array
    {
        $isNative = str_starts_with($name, 'native');
        $isModels = str_ends_with($name, 'models');
        $pairs = $isModels ? $this->models : $this->arrays;
        $target = $isNative ? self::buffer() : new PlainStore();
        $first = (new Rows())->pair(count($pairs) + 1);
        if ($isModels) {
            $first = self::asModels($first);
        }
        $name === 'php-models' ? $target->addModels(...$first) : $target->add(...$first);
        $loop = match ($name) {
            'loop' => static function () use ($pairs): void {
                foreach ($pairs as [$order, $trade]) {
                }
            },
            'made' => static function () use ($pairs): void {
                foreach ($pairs as [$order, $trade]) {
                    $id = $order['id'];
                    $madeOrder = self::order($id);
                    $madeTrade = self::trade($id);
                }
            },
            'php-made', 'native-made' => static function () use ($pairs, $target): void {
                foreach ($pairs as [$order, $trade]) {
                    $id = $order['id'];
                    $madeOrder = self::order($id);
                    $madeTrade = self::trade($id);
                    $target->add($madeOrder, $madeTrade);
                }
            },
            'php-models' => static function () use ($pairs, $target): void {
                foreach ($pairs as [$order, $trade]) {
                    $target->addModels($order, $trade);
                }
            },
            default => static function () use ($pairs, $target): void {
                foreach ($pairs as [$order, $trade]) {
                    $target->add($order, $trade);
                }
            },
        };

        return [$loop, static function () use ($target, $isNative): void {
            if ($isNative) {
                $target->flush();
                MemorySink::reset();
            }
        }];
    }

    /**
     * A row as a program makes it: a new array with new values.
     *
     * @return array<string, int|string>
     */
    private static function order(int $id): array
    {
        return [
            'id' => $id,
            'user_id' => $id & 1_023,
            'symbol' => 'BTC-USDT',
            'side' => 'buy',
            'type' => 'limit',
            'price' => "{$id}.25",
            'quantity' => "0.{$id}",
            'filled_quantity' => "0.{$id}",
            'status' => 'open',
            'created_at' => '2024-01-15 09:00:00.000000',
            'updated_at' => '2024-01-15 09:00:00.000000',
        ];
    }

    /** @return array<string, int|string> */
    private static function trade(int $id): array
    {
        return [
            'id' => $id,
            'symbol' => 'BTC-USDT',
            'maker_order_id' => $id >> 1,
            'taker_order_id' => $id,
            'maker_user_id' => $id & 511,
            'taker_user_id' => $id & 1_023,
            'price' => "{$id}.25",
            'quantity' => "0.{$id}",
            'executed_at' => '2024-01-15 09:00:00.000000',
        ];
    }

    private static function buffer(): WriteBuffer
    {
        return new WriteBuffer(
            dsn: 'memory:',
            batchSize: self::BATCH_SIZE_MAX,
            flushIntervalMs: self::NEVER_MS,
            background: true,
            tables: ['orders' => ['key' => 'id'], 'trades' => ['key' => 'id', 'mode' => 'insert']],
        );
    }
}
