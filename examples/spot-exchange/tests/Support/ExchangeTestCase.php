<?php

declare(strict_types=1);

namespace Tests\Support;

use App\Matching\Accounts;
use App\Matching\Decimal;
use App\Matching\Exchange;
use App\Matching\Market;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use App\Matching\Trade;
use App\Services\OrderService;
use PHPUnit\Framework\TestCase;

/**
 * An exchange with one market, three users with 1000 BTC and 1,000,000 USDT each, and no database.
 */
abstract class ExchangeTestCase extends TestCase
{
    protected const SYMBOL = 'BTC-USDT';

    protected Accounts $accounts;

    protected MemoryBuffer $buffer;

    protected OrderService $exchange;

    private int $clockS = 0;

    protected function setUp(): void
    {
        $market = new Market(self::SYMBOL, 'BTC', 'USDT', priceScale: 2, quantityScale: 5);
        $this->accounts = new Accounts();
        $this->buffer = new MemoryBuffer();
        $rules = new Exchange([self::SYMBOL => $market], $this->accounts);
        $this->exchange = new OrderService($rules, $this->buffer);
        foreach ([1, 2, 3] as $userId) {
            $this->exchange->deposit($userId, 'BTC', '1000', $this->now());
            $this->exchange->deposit($userId, 'USDT', '1000000', $this->now());
        }
    }

    /**
     * Places an order of a user, a side, a quantity and a price. Without a price it is a market
     * order.
     *
     * @return list<array{int, string, string}> its trades: the maker's order, price, quantity
     */
    protected function place(int $id, int $userId, string $side, string $quantity, ?string $price = null): array
    {
        $order = new Order(
            id: $id,
            userId: $userId,
            symbol: self::SYMBOL,
            side: Side::from($side),
            type: $price === null ? OrderType::Market : OrderType::Limit,
            price: $price === null ? null : Decimal::parse($price),
            quantity: Decimal::parse($quantity),
            createdAt: $this->now(),
        );

        return array_map(
            static fn (Trade $trade): array => [
                $trade->makerOrderId,
                self::short($trade->price),
                self::short($trade->quantity),
            ],
            $this->exchange->matchOrders($order),
        );
    }

    protected function cancel(int $id): bool
    {
        return $this->exchange->cancelOrder($id, $this->now());
    }

    /** The saved status and filled quantity of an order. */
    protected function saved(int $id): string
    {
        $row = $this->buffer->tables['orders'][$id];

        return $row['status'] . ' ' . self::short($row['filled_quantity']);
    }

    /** The saved balance of a user: "available+reserved". */
    protected function balance(int $userId, string $asset): string
    {
        $row = $this->buffer->tables['balances']["{$userId} {$asset}"];

        return self::short($row['available']) . '+' . self::short($row['reserved']);
    }

    /** Without trailing zeros, so that a test reads well. */
    protected static function short(string $decimal): string
    {
        return rtrim(rtrim($decimal, '0'), '.');
    }

    private function now(): string
    {
        return sprintf('2024-01-15 09:00:%02d.000000', $this->clockS++ % 60);
    }
}
