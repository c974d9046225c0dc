<?php

declare(strict_types=1);

namespace Bench;

use Countable;

/** The least that add() can cost in PHP: it only puts the rows into arrays. */
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

    /** A model may change later, so this stores its attributes. */
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
