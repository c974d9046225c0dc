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
 * Owns how orders are placed in many processes at once, such as the workers of php-fpm. No process
 * keeps the book: it is in the tables, and each order reads those that it can meet.
 *
 * Invariant: while an order is placed, all rows of the orders before it are committed. So
 * {@see ExchangeLock} is taken before the tables are read, and freed when this order's rows are
 * committed, which is after the answer.
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
     * Matches an order at once, and buffers it with all that it changed.
     *
     * @param callable(int, string): Order $order makes the order from its id and its time
     *
     * @return array{Order, list<Trade>}
     *
     * @throws OrderRejectedException the order cannot be taken: nothing was changed
     */
    public function place(callable $order): array
    {
        $this->lock->take();
        // The rows that this process has buffered belong to the book.
        $this->buffer->flush();

        $placed = $order(
            (int) OrderModel::query()->max('id') + 1,
            (new DateTimeImmutable('now', new DateTimeZone('UTC')))->format('Y-m-d H:i:s.u'),
        );
        $trades = (new OrderService($this->exchangeFor($placed), $this->buffer))->matchOrders($placed);

        return [$placed, $trades];
    }

    /** Returns when all orders that other processes have answered are committed. */
    public function awaitOthers(): void
    {
        $this->lock->take();
        $this->lock->release();
    }

    /** The part of the exchange that the order can change. */
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
            // This leaves out orders whose price is too far. The exchange decides which of the rest
            // match.
            $query->where('price', $isBuy ? '<=' : '>=', $order->price);
        }

        return array_values($query->get()->map(Order::restore(...))->all());
    }
}
