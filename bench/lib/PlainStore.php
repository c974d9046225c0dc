<?php

declare(strict_types=1);

namespace Bench;

use Countable;

/** What add() costs at least in PHP: it puts the rows into arrays, and no more ever happens to them. */
final class PlainStore implements Countable
{
    /** @var list<array<string, int|string>> */
    private array $orders = [];

    /** @var list<array<string, int|string>> */
    private array $trades = [];

    /**
     * @param array<string, int|string> $order
     * @param array<string, int|string> $trade
     */
    public function add(array $order, array $trade): void
    {
        $this->orders[] = $order;
        $this->trades[] = $trade;
    }

    /** A model keeps changing, so that storing it means to store what it holds now. */
    public function addModels(object $order, object $trade): void
    {
        $this->orders[] = $order->getAttributes();
        $this->trades[] = $trade->getAttributes();
    }

    public function count(): int
    {
        return count($this->orders) + count($this->trades);
    }
}
