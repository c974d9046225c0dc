<?php

declare(strict_types=1);

namespace App\Matching;

/** Owns the resting limit orders of one market: bids and asks. */
final class OrderBook
{
    private readonly BookSide $bids;

    private readonly BookSide $asks;

    public function __construct()
    {
        $this->bids = new BookSide(bestIsHighest: true);
        $this->asks = new BookSide(bestIsHighest: false);
    }

    /**
     * The resting order that the taker meets first: the oldest at the best price. Null: there is
     * none, or its price is beyond the taker's limit.
     */
    public function bestMakerFor(Order $taker): ?Order
    {
        return ($taker->side === Side::Buy ? $this->asks : $this->bids)->best($taker->priceUnits);
    }

    public function add(Order $order): void
    {
        $this->sideOf($order)->add($order);
    }

    public function remove(Order $order): void
    {
        $this->sideOf($order)->remove($order);
    }

    private function sideOf(Order $order): BookSide
    {
        return $order->side === Side::Buy ? $this->bids : $this->asks;
    }
}
