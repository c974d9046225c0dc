<?php

declare(strict_types=1);

namespace App\Matching;

use App\Exceptions\OrderRejectedException;
use InvalidArgumentException;

/**
 * Owns the rules of the exchange: takes orders, matches each by price and then by time, moves the
 * balances, and returns what changed. The services save it.
 *
 * - A fill is at the maker's price. A buyer whose limit was higher gets the difference back.
 * - A limit order reserves what it may spend. What is left of it after matching rests in the book.
 * - A market order never rests: what finds no counterpart, or exceeds the buyer's funds, is
 *   cancelled.
 * - Self-trade prevention cancels the newest: if an order meets a resting order of its own user,
 *   what is
 *   left of it is cancelled, and the resting order keeps its place.
 */
final class Exchange
{
    /** @var array<string, OrderBook> by symbol */
    private array $books = [];

    /** @var array<int, Order> the orders in the books, by id */
    private array $resting = [];

    private int $lastTradeId = 0;

    /** @param array<string, Market> $markets by symbol */
    public function __construct(
        private readonly array $markets,
        private readonly Accounts $accounts,
    ) {
        foreach (array_keys($markets) as $symbol) {
            $this->books[$symbol] = new OrderBook();
        }
    }

    /**
     * Puts a saved order back into the book where it rested. It is not matched again, and its funds
     * are reserved already. Call this in the order of the orders' arrival.
     */
    public function rest(Order $order): void
    {
        $order->priceUnits = Decimal::toUnits((string) $order->price, $this->markets[$order->symbol]->priceScale);
        $this->books[$order->symbol]->add($order);
        $this->resting[$order->id] = $order;
    }

    /** Numbers new trades from the one after this, which was saved. */
    public function continueTradesAfter(int $tradeId): void
    {
        $this->lastTradeId = $tradeId;
    }

    /**
     * Matches a new order.
     *
     * @throws OrderRejectedException the order cannot be taken: nothing was changed
     */
    public function match(Order $taker): Changes
    {
        $market = $this->validate($taker);
        $this->reserveFunds($taker, $market);

        $book = $this->books[$taker->symbol];
        $at = $taker->createdAt;
        $trades = [];
        $orders = [$taker->id => $taker];
        $isStopped = false;

        while ($taker->remaining !== Decimal::ZERO && ($maker = $book->bestMakerFor($taker)) !== null) {
            if ($maker->userId === $taker->userId) {
                $isStopped = true;
                break;
            }
            $quantity = $this->fillableQuantity($taker, $maker, $market);
            if ($quantity === Decimal::ZERO) {
                break;
            }
            $trades[] = $this->fill($taker, $maker, $quantity, $market);
            $orders[$maker->id] = $maker;
            if ($maker->remaining === Decimal::ZERO) {
                $book->remove($maker);
                unset($this->resting[$maker->id]);
            }
        }

        if ($taker->remaining !== Decimal::ZERO) {
            if ($isStopped || $taker->type === OrderType::Market) {
                $this->releaseFunds($taker, $market);
                $taker->cancel($at);
            } else {
                $book->add($taker);
                $this->resting[$taker->id] = $taker;
            }
        }

        return new Changes(array_values($orders), $this->accounts->takeChanged($at), $trades);
    }

    /**
     * Takes an order out of the book.
     *
     * @return Changes|null null: it does not rest there (filled, cancelled or never known)
     */
    public function cancel(int $orderId, string $at): ?Changes
    {
        $order = $this->resting[$orderId] ?? null;
        if ($order === null) {
            return null;
        }

        $this->books[$order->symbol]->remove($order);
        unset($this->resting[$orderId]);
        $this->releaseFunds($order, $this->markets[$order->symbol]);
        $order->cancel($at);

        return new Changes([$order], $this->accounts->takeChanged($at));
    }

    /** Adds to what a user has. */
    public function deposit(int $userId, string $asset, string $amount, string $at): Changes
    {
        $this->accounts->credit($userId, $asset, Decimal::parse($amount));

        return new Changes([], $this->accounts->takeChanged($at));
    }

    private function validate(Order $order): Market
    {
        $market = $this->markets[$order->symbol]
            ?? throw new OrderRejectedException("There is no market {$order->symbol}.");

        if (isset($this->resting[$order->id])) {
            throw new OrderRejectedException("Order {$order->id} is in the book already.");
        }
        if (($order->price === null) !== ($order->type === OrderType::Market)) {
            throw new OrderRejectedException("Order {$order->id}: a limit order has a price, a market order has none.");
        }
        try {
            $isCanonical = $order->quantity === Decimal::parse($order->quantity, $market->quantityScale)
                && $order->quantity !== Decimal::ZERO;
            if ($order->price !== null) {
                $order->priceUnits = Decimal::toUnits($order->price, $market->priceScale);
                $isCanonical = $isCanonical && $order->priceUnits > 0
                    && $order->price === Decimal::fromUnits($order->priceUnits, $market->priceScale);
            }
        } catch (InvalidArgumentException $e) {
            throw new OrderRejectedException("Order {$order->id}: {$e->getMessage()}", 0, $e);
        }
        if (!$isCanonical) {
            throw new OrderRejectedException(
                "Order {$order->id}: price and quantity must be above 0 and have " . Decimal::SCALE . ' decimals.'
            );
        }

        return $market;
    }

    /** A market buy reserves nothing, since only each fill tells its cost. */
    private function reserveFunds(Order $order, Market $market): void
    {
        if ($order->side === Side::Sell) {
            $this->accounts->reserve($order->userId, $market->base, $order->quantity);
        } elseif ($order->price !== null) {
            $cost = bcmul($order->price, $order->quantity, Decimal::SCALE);
            $this->accounts->reserve($order->userId, $market->quote, $cost);
        }
    }

    private function releaseFunds(Order $order, Market $market): void
    {
        if ($order->side === Side::Sell) {
            $this->accounts->release($order->userId, $market->base, $order->remaining);
        } elseif ($order->price !== null) {
            $cost = bcmul($order->price, $order->remaining, Decimal::SCALE);
            $this->accounts->release($order->userId, $market->quote, $cost);
        }
    }

    /**
     * The smaller of what both orders still want. A market buy is limited by what its user can pay
     * too, cut to the market's lots.
     */
    private function fillableQuantity(Order $taker, Order $maker, Market $market): string
    {
        $quantity = bccomp($taker->remaining, $maker->remaining, Decimal::SCALE) <= 0
            ? $taker->remaining
            : $maker->remaining;

        if ($taker->side === Side::Buy && $taker->price === null) {
            $available = $this->accounts->available($taker->userId, $market->quote);
            if (bccomp(bcmul((string) $maker->price, $quantity, Decimal::SCALE), $available, Decimal::SCALE) > 0) {
                $lots = bcdiv($available, (string) $maker->price, $market->quantityScale);

                return bcadd($lots, '0', Decimal::SCALE);
            }
        }

        return $quantity;
    }

    private function fill(Order $taker, Order $maker, string $quantity, Market $market): Trade
    {
        $at = $taker->createdAt;
        $price = (string) $maker->price;
        $cost = bcmul($price, $quantity, Decimal::SCALE);
        [$buyer, $seller] = $taker->side === Side::Buy ? [$taker, $maker] : [$maker, $taker];

        if ($buyer->price === null) {
            $this->accounts->spendAvailable($buyer->userId, $market->quote, $cost);
        } else {
            $reserved = bcmul($buyer->price, $quantity, Decimal::SCALE);
            $this->accounts->spendReserved($buyer->userId, $market->quote, $reserved);
            if ($reserved !== $cost) {
                $change = bcsub($reserved, $cost, Decimal::SCALE);
                $this->accounts->credit($buyer->userId, $market->quote, $change);
            }
        }
        $this->accounts->credit($seller->userId, $market->quote, $cost);
        $this->accounts->spendReserved($seller->userId, $market->base, $quantity);
        $this->accounts->credit($buyer->userId, $market->base, $quantity);

        $taker->fill($quantity, $at);
        $maker->fill($quantity, $at);

        return new Trade(
            id: ++$this->lastTradeId,
            symbol: $taker->symbol,
            makerOrderId: $maker->id,
            takerOrderId: $taker->id,
            makerUserId: $maker->userId,
            takerUserId: $taker->userId,
            price: $price,
            quantity: $quantity,
            executedAt: $at,
        );
    }
}
