<?php

declare(strict_types=1);

namespace App\Matching;

use SplHeap;
use SplMaxHeap;
use SplMinHeap;

/**
 * One side of an order book. It owns the price levels, each a queue of orders. Prices are integers,
 * in units of the market's smallest price step.
 *
 * To find the best level costs O(1), a new level O(log levels), to add or remove an order O(1).
 *
 * Invariant: no level is empty, and each level's price is in the heap exactly once. The heap may
 * also have prices whose level is gone; best() drops them when they come to the top.
 */
final class BookSide
{
    /** @var array<int, array<int, Order>> by price, then by order id in the order of arrival */
    private array $levels = [];

    private SplHeap $prices;

    /** @var array<int, true> the prices in the heap */
    private array $inHeap = [];

    public function __construct(private readonly bool $bestIsHighest)
    {
        $this->prices = $bestIsHighest ? new SplMaxHeap() : new SplMinHeap();
    }

    /**
     * The oldest order at the best price.
     *
     * @param int|null $limit the worst price that is accepted; null: any
     */
    public function best(?int $limit): ?Order
    {
        while (!$this->prices->isEmpty()) {
            $price = $this->prices->top();
            if (!isset($this->levels[$price])) {
                unset($this->inHeap[$this->prices->extract()]);
                continue;
            }
            if ($limit !== null && ($this->bestIsHighest ? $price < $limit : $price > $limit)) {
                return null;
            }

            // current() is O(1) here: PHP moves the array's pointer on when its element is removed.
            // array_key_first() would walk over all removed elements each time.
            return current($this->levels[$price]);
        }

        return null;
    }

    public function add(Order $order): void
    {
        $price = (int) $order->priceUnits;
        $this->levels[$price][$order->id] = $order;
        if (!isset($this->inHeap[$price])) {
            $this->inHeap[$price] = true;
            $this->prices->insert($price);
        }
    }

    public function remove(Order $order): void
    {
        $price = (int) $order->priceUnits;
        unset($this->levels[$price][$order->id]);
        if ($this->levels[$price] === []) {
            unset($this->levels[$price]);
        }
    }
}
