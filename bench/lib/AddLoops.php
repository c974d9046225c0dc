<?php

declare(strict_types=1);

namespace Bench;

use App\Models\Order;
use App\Models\Trade;
use WriteBuffer;
use WriteBuffer\MemorySink;

/**
 * The loops whose add() is measured, each over the same pairs. Nothing is flushed meanwhile: the pairs are fewer than a batch,
 * and the buffer's server is its own memory.
 */
final class AddLoops
{
    public const NAMES = ['loop', 'php-arrays', 'native-arrays', 'php-models', 'native-models'];

    /** So that no table has a full batch. */
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

    /**
     * Makes what one loop needs, with a pair added that is none of the loop's.
     *
     * @return array{callable(): void, callable(): void} the loop, and what comes after it
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
