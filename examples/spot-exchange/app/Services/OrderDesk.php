<?php

declare(strict_types=1);

namespace App\Services;

use App\Exceptions\OrderRejectedException;
use App\Matching\Accounts;
use App\Matching\Balance;
use App\Matching\Exchange;
use App\Matching\Market;
use App\Matching\Order;
use App\Matching\OrderStatus;
use App\Matching\Side;
use App\Matching\Trade;
use App\Models\Balance as BalanceModel;
use App\Models\Order as OrderModel;
use App\Models\Trade as TradeModel;
use DateTimeImmutable;
use DateTimeZone;
use Illuminate\Contracts\Config\Repository;
use WriteBuffer\Buffer;

/**
 * Takes orders in any number of processes, such as the workers of php-fpm, none of which outlives a request: the book is
 * what the tables hold, and of that it reads the orders that a new one can meet.
 *
 * Invariant: while an order is placed, all rows of the orders before it are committed. {@see ExchangeLock} is taken before the
 * tables are read, and let go when this order's rows are committed, which is after the answer.
 */
final class OrderDesk
{
    public function __construct(
        private readonly Buffer $buffer,
        private readonly ExchangeLock $lock,
        private readonly Repository $config,
    ) {
    }

    /**
     * Matches an order at once, and has it saved with all that it touched.
     *
     * @param callable(int, string): Order $order makes it from its number and its time
     *
     * @return array{Order, list<Trade>}
     *
     * @throws OrderRejectedException the order cannot be taken: nothing was changed
     */
    public function place(callable $order): array
    {
        $this->lock->take();
        // What this process has buffered belongs to the book.
        $this->buffer->flush();

        $placed = $order(
            (int) OrderModel::query()->max('id') + 1,
            (new DateTimeImmutable('now', new DateTimeZone('UTC')))->format('Y-m-d H:i:s.u'),
        );
        $trades = (new OrderService($this->exchangeFor($placed), $this->buffer))->matchOrders($placed);

        return [$placed, $trades];
    }

    /** Returns when what other processes have answered for is committed. */
    public function awaitOthers(): void
    {
        $this->lock->take();
        $this->lock->release();
    }

    /** The exchange, as far as the order can touch it. */
    private function exchangeFor(Order $order): Exchange
    {
        $markets = Market::fromConfig($this->config->get('exchange.markets'));
        $market = $markets[$order->symbol] ?? throw new OrderRejectedException("There is no market {$order->symbol}.");
        $makers = $this->makersFor($order);

        $accounts = new Accounts();
        $balances = BalanceModel::query()
            ->whereIn('user_id', array_unique([$order->userId, ...array_column($makers, 'userId')]))
            ->whereIn('asset', [$market->base, $market->quote]);
        foreach ($balances->get() as $balance) {
            $accounts->open(Balance::restore($balance));
        }

        $exchange = new Exchange($markets, $accounts);
        $exchange->continueTradesAfter((int) TradeModel::query()->max('id'));
        foreach ($makers as $maker) {
            $exchange->rest($maker);
        }

        return $exchange;
    }

    /** @return list<Order> the resting orders that it can meet, the oldest first */
    private function makersFor(Order $order): array
    {
        $isBuy = $order->side === Side::Buy;
        $query = OrderModel::query()
            ->where('symbol', $order->symbol)
            ->where('side', $isBuy ? Side::Sell->value : Side::Buy->value)
            ->whereIn('status', [OrderStatus::Open->value, OrderStatus::PartiallyFilled->value])
            ->orderBy('id');
        if ($order->price !== null) {
            // To leave out what is far from it: which of them it meets the exchange says, exactly.
            $query->where('price', $isBuy ? '<=' : '>=', $order->price);
        }

        return array_values($query->get()->map(Order::restore(...))->all());
    }
}
