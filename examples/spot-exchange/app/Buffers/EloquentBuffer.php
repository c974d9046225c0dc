<?php

declare(strict_types=1);

namespace App\Buffers;

use App\Models\Balance;
use App\Models\Order;
use App\Models\Trade;
use InvalidArgumentException;

/**
 * No buffer at all: what the application did before. Each row is a model, saved by save() or create() at once, and each
 * is a round trip and a commit of its own.
 */
final class EloquentBuffer implements Buffer
{
    /** @var array<int, Order> the orders that may still change, by id, as the application would hold them */
    private array $orders = [];

    /** @var array<string, Balance> by user and asset */
    private array $balances = [];

    private int $savedCount = 0;

    private float $savedTimeMs = 0.0;

    public function add(array $order, array $trade = []): void
    {
        foreach ([...$order, ...$trade] as $row) {
            $start = hrtime(true);
            $attributes = $row->getAttributes();
            match ($row->getTable()) {
                'orders' => $this->saveOrder($attributes),
                'trades' => Trade::create($attributes),
                'balances' => $this->saveBalance($attributes),
                default => throw new InvalidArgumentException("There is no model for the table {$row->getTable()}."),
            };
            $this->savedCount++;
            $this->savedTimeMs += (hrtime(true) - $start) / 1e6;
        }
    }

    public function put(string $table, array $row): void
    {
        $this->add($row);
    }

    public function flush(): int
    {
        return 0;
    }

    public function isFull(): bool
    {
        return false;
    }

    public function getMetrics(): array
    {
        return [
            'flush_count' => $this->savedCount,
            'total_flushed' => $this->savedCount,
            'total_flush_time_ms' => $this->savedTimeMs,
        ];
    }

    /** @param array<string, int|string|null> $attributes */
    private function saveOrder(array $attributes): void
    {
        $id = $attributes['id'];
        $order = $this->orders[$id] ??= new Order();
        $order->fill($attributes)->save();
        if ($order->isFinal()) {
            unset($this->orders[$id]);
        }
    }

    /** @param array<string, int|string|null> $attributes */
    private function saveBalance(array $attributes): void
    {
        $key = ['user_id' => $attributes['user_id'], 'asset' => $attributes['asset']];
        $balance = $this->balances[implode(' ', $key)] ??= Balance::query()->firstOrNew($key);
        $balance->fill($attributes)->save();
    }
}
