<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Exceptions\OrderRejectedException;
use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use Tests\Support\ExchangeTestCase;

/** The rules of the exchange, through the service that buffers. */
final class OrderServiceTest extends ExchangeTestCase
{
    public function testAnOrderWithoutCounterpartRests(): void
    {
        self::assertSame([], $this->place(1, 1, 'sell', '2', '100'));
        self::assertSame([], $this->place(2, 2, 'buy', '2', '99.99'));

        self::assertSame('open 0', $this->saved(1));
        self::assertSame('open 0', $this->saved(2));
        self::assertSame('998+2', $this->balance(1, 'BTC'));
        self::assertSame('999800.02+199.98', $this->balance(2, 'USDT'));
    }

    public function testTheBestPriceIsMetFirstAndThenTheOldestOrder(): void
    {
        $this->place(1, 1, 'sell', '1', '101');
        $this->place(2, 1, 'sell', '1', '100');
        $this->place(3, 1, 'sell', '1', '100');
        $this->place(4, 1, 'sell', '1', '99');
        $this->place(5, 1, 'sell', '1', '102');

        self::assertSame(
            [[4, '99', '1'], [2, '100', '1'], [3, '100', '1'], [1, '101', '0.5']],
            $this->place(6, 2, 'buy', '3.5', '101.50'),
        );
    }

    public function testABuyersBestPriceIsTheHighest(): void
    {
        $this->place(1, 1, 'buy', '1', '99');
        $this->place(2, 1, 'buy', '1', '100');
        $this->place(3, 1, 'buy', '1', '98');

        self::assertSame([[2, '100', '1'], [1, '99', '0.5']], $this->place(4, 2, 'sell', '1.5', '98.50'));
    }

    public function testPricesAreComparedAsNumbers(): void
    {
        $this->place(1, 1, 'sell', '1', '100');
        $this->place(2, 1, 'sell', '1', '20');
        $this->place(3, 1, 'sell', '1', '9.5');

        self::assertSame([[3, '9.5', '1'], [2, '20', '1'], [1, '100', '1']], $this->place(4, 2, 'buy', '3', '1000'));
    }

    public function testAPartlyFilledOrderKeepsItsPlace(): void
    {
        $this->place(1, 1, 'sell', '3', '100');
        $this->place(2, 3, 'sell', '3', '100');

        self::assertSame([[1, '100', '1']], $this->place(3, 2, 'buy', '1', '100'));
        self::assertSame('partially_filled 1', $this->saved(1));
        self::assertSame('filled 1', $this->saved(3));

        self::assertSame([[1, '100', '2'], [2, '100', '1']], $this->place(4, 2, 'buy', '3', '100'));
        self::assertSame('filled 3', $this->saved(1));
        self::assertSame('partially_filled 1', $this->saved(2));
    }

    public function testTheRestOfAPartlyFilledTakerRests(): void
    {
        $this->place(1, 1, 'sell', '1', '100');

        self::assertSame([[1, '100', '1']], $this->place(2, 2, 'buy', '3', '101'));
        self::assertSame('partially_filled 1', $this->saved(2));
        self::assertSame([[2, '101', '2']], $this->place(3, 3, 'sell', '2', '101'));
        self::assertSame('filled 3', $this->saved(2));
    }

    public function testAFillIsAtTheMakersPriceAndTheBuyerGetsTheDifferenceBack(): void
    {
        $this->place(1, 1, 'sell', '2', '100');
        $this->place(2, 2, 'buy', '2', '150');

        self::assertSame('1000200+0', $this->balance(1, 'USDT'));
        self::assertSame('998+0', $this->balance(1, 'BTC'));
        self::assertSame('999800+0', $this->balance(2, 'USDT'));
        self::assertSame('1002+0', $this->balance(2, 'BTC'));
    }

    public function testAMarketOrderTakesWhatThereIsAndIsCancelledForTheRest(): void
    {
        $this->place(1, 1, 'sell', '1', '100');
        $this->place(2, 1, 'sell', '1', '120');

        self::assertSame([[1, '100', '1'], [2, '120', '1']], $this->place(3, 2, 'buy', '5'));
        self::assertSame('cancelled 2', $this->saved(3));
        self::assertSame('999780+0', $this->balance(2, 'USDT'));

        self::assertSame([], $this->place(4, 2, 'sell', '5'));
        self::assertSame('cancelled 0', $this->saved(4));
        self::assertSame('1002+0', $this->balance(2, 'BTC'));
    }

    public function testAMarketBuyEndsWhereItsFundsEnd(): void
    {
        $this->place(1, 1, 'sell', '1', '999999.99');
        $this->place(2, 1, 'sell', '1', '3');

        // 3 USDT pay the first. The other 999,997 pay 0.99999 of the second, but not one lot of
        // 0.00001 more.
        self::assertSame([[2, '3', '1'], [1, '999999.99', '0.99999']], $this->place(3, 2, 'buy', '2'));
        self::assertSame('cancelled 1.99999', $this->saved(3));
        self::assertSame('7.0099999+0', $this->balance(2, 'USDT'));
    }

    public function testAnOrderThatMeetsItsOwnUserIsCancelledForTheRest(): void
    {
        $this->place(1, 1, 'sell', '1', '100');
        $this->place(2, 2, 'sell', '1', '101');
        $this->place(3, 3, 'sell', '1', '102');

        self::assertSame([[1, '100', '1']], $this->place(4, 2, 'buy', '3', '102'));
        self::assertSame('cancelled 1', $this->saved(4));
        self::assertSame('open 0', $this->saved(2));
        self::assertSame('999900+0', $this->balance(2, 'USDT'));
        self::assertSame('1000+1', $this->balance(2, 'BTC'));

        // The resting order kept its place.
        self::assertSame([[2, '101', '1'], [3, '102', '1']], $this->place(5, 1, 'buy', '2', '102'));
    }

    public function testACancelledOrderLeavesTheBookAndItsFundsAreFree(): void
    {
        $this->place(1, 1, 'buy', '2', '100');
        $this->place(2, 3, 'buy', '2', '100');
        $this->place(3, 2, 'sell', '0.5', '100');

        self::assertTrue($this->cancel(1));
        self::assertSame('cancelled 0.5', $this->saved(1));
        self::assertSame('999950+0', $this->balance(1, 'USDT'));
        self::assertSame([[2, '100', '1']], $this->place(4, 2, 'sell', '1', '100'));

        self::assertFalse($this->cancel(1), 'cancelled before');
        self::assertFalse($this->cancel(3), 'filled before');
        self::assertFalse($this->cancel(99), 'never placed');
    }

    public function testAmountsAreExact(): void
    {
        // 0.1 + 0.2 is not 0.3 in floats, and 12345678.91 x 0.00007 has more digits than they hold
        // exactly.
        $this->accounts->credit(2, 'USDT', Decimal::parse('123456789012345678'));
        $this->place(1, 1, 'sell', '0.1', '12345678.91');
        $this->place(2, 1, 'sell', '0.20007', '12345678.91');
        $this->place(3, 2, 'buy', '0.30007', '12345678.91');

        self::assertSame('filled 0.30007', $this->saved(3));
        self::assertSame('123456789009641110.1294763+0', $this->balance(2, 'USDT'));
        self::assertSame('4704567.8705237+0', $this->balance(1, 'USDT'));
    }

    public function testATradeKnowsBothSides(): void
    {
        $this->place(7, 1, 'sell', '1', '100');
        $this->place(8, 2, 'buy', '0.25', '100');

        self::assertSame([1 => [
            'id' => 1,
            'symbol' => self::SYMBOL,
            'maker_order_id' => 7,
            'taker_order_id' => 8,
            'maker_user_id' => 1,
            'taker_user_id' => 2,
            'price' => '100.000000000000000000',
            'quantity' => '0.250000000000000000',
            'executed_at' => '2024-01-15 09:00:07.000000',
        ]], $this->buffer->tables['trades']);
    }

    public function testAnOrderItsFillsAndItsMoneyAreOneGroup(): void
    {
        $this->place(1, 1, 'sell', '1', '100');
        $this->place(2, 3, 'sell', '1', '100');
        $this->buffer->groups = [];

        $this->place(3, 2, 'buy', '2', '100');

        self::assertCount(1, $this->buffer->groups);
        self::assertSame(
            ['orders' => 3, 'balances' => 6, 'trades' => 2],
            array_count_values($this->buffer->groups[0]),
        );

        $this->place(4, 2, 'buy', '1', '90');
        $this->cancel(4);
        self::assertSame(
            [['orders', 'balances'], ['orders', 'balances']],
            array_slice($this->buffer->groups, 1),
            'only what changed',
        );
    }

    public function testARefusedOrderChangesNothing(): void
    {
        $this->place(1, 1, 'sell', '1', '100');
        $before = $this->buffer->tables;
        $cases = [
            'no funds to buy' => [self::SYMBOL, OrderType::Limit, '1000000', '1.01'],
            'no market' => ['BTC-EUR', OrderType::Limit, '1', '100'],
            'a price finer than the market' => [self::SYMBOL, OrderType::Limit, '1', '100.001'],
            'a quantity finer than the market' => [self::SYMBOL, OrderType::Limit, '0.000001', '100'],
            'no quantity' => [self::SYMBOL, OrderType::Limit, '0', '100'],
            'a price of 0' => [self::SYMBOL, OrderType::Limit, '1', '0'],
            'a limit order without a price' => [self::SYMBOL, OrderType::Limit, '1', null],
            'a market order with a price' => [self::SYMBOL, OrderType::Market, '1', '100'],
        ];
        foreach ($cases as $case => [$symbol, $type, $quantity, $price]) {
            $price = $price === null ? null : Decimal::parse($price);
            $quantity = Decimal::parse($quantity);
            $order = new Order(2, 2, $symbol, Side::Buy, $type, $price, $quantity, '2024-01-15 09:00:00');
            $message = null;
            try {
                $this->exchange->matchOrders($order);
            } catch (OrderRejectedException $e) {
                $message = $e->getMessage();
            }
            self::assertNotNull($message, $case);
            self::assertSame($before, $this->buffer->tables, $case);
        }
    }

    public function testTheIdOfARestingOrderIsRefused(): void
    {
        $this->place(1, 1, 'sell', '1', '100');

        $this->expectException(OrderRejectedException::class);
        $this->place(1, 2, 'sell', '1', '100');
    }
}
