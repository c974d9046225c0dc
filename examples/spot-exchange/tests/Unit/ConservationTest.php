<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Exceptions\OrderRejectedException;
use App\Matching\Accounts;
use App\Matching\Decimal;
use App\Matching\Exchange;
use App\Matching\Market;
use App\Services\OrderService;
use App\Simulation\Cancellation;
use App\Simulation\OrderFlow;
use PHPUnit\Framework\TestCase;
use Tests\Support\MemoryBuffer;

/** What must hold after any order flow, checked on simulated ones. */
final class ConservationTest extends TestCase
{
    private const USERS = 8;

    /** So little that orders are rejected and market orders run out of funds. */
    private const DEPOSITS = ['USDT' => '20000', 'BTC' => '0.3', 'ETH' => '4', 'SOL' => '60'];

    public function testNothingIsMadeOrLost(): void
    {
        foreach ([1, 2, 3] as $seed) {
            $accounts = new Accounts();
            $buffer = new MemoryBuffer();
            $refused = self::trade($seed, $accounts, $buffer);

            self::assertGreaterThan(0, $refused, "seed {$seed}: the deposits are meant to be scarce");
            self::assertAssetsAreConserved($seed, $accounts, $buffer->tables['balances']);
            self::assertFillsAddUp($seed, $buffer->tables);
            self::assertReservesMatchTheBook($seed, $buffer->tables);
        }
    }

    private static function trade(int $seed, Accounts $accounts, MemoryBuffer $buffer): int
    {
        $markets = self::markets();
        $exchange = new OrderService(new Exchange(Market::fromConfig($markets), $accounts), $buffer);
        foreach (self::DEPOSITS as $asset => $amount) {
            for ($userId = 1; $userId <= self::USERS; $userId++) {
                $exchange->deposit($userId, $asset, $amount, OrderFlow::openingTime());
            }
        }

        $refused = 0;
        foreach ((new OrderFlow($markets, self::USERS, $seed))->events(3_000) as $event) {
            if ($event instanceof Cancellation) {
                $exchange->cancelOrder($event->orderId, $event->at);
                continue;
            }
            try {
                $exchange->matchOrders($event);
            } catch (OrderRejectedException) {
                $refused++;
            }
        }

        return $refused;
    }

    /** @param array<string, array<string, mixed>> $balances */
    private static function assertAssetsAreConserved(int $seed, Accounts $accounts, array $balances): void
    {
        foreach (self::DEPOSITS as $asset => $amount) {
            $deposited = bcmul($amount, (string) self::USERS, Decimal::SCALE);
            self::assertSame($deposited, $accounts->total($asset), "seed {$seed}, {$asset} in memory");
            $saved = Decimal::ZERO;
            foreach ($balances as $row) {
                self::assertStringStartsNotWith('-', $row['available']);
                self::assertStringStartsNotWith('-', $row['reserved']);
                if ($row['asset'] === $asset) {
                    $saved = bcadd($saved, bcadd($row['available'], $row['reserved'], Decimal::SCALE), Decimal::SCALE);
                }
            }
            self::assertSame($deposited, $saved, "seed {$seed}, {$asset} as saved");
        }
    }

    /** @param array<string, array<string, array<string, mixed>>> $tables */
    private static function assertFillsAddUp(int $seed, array $tables): void
    {
        $markets = self::markets();
        $filled = array_fill_keys(array_keys($tables['orders']), Decimal::ZERO);
        foreach ($tables['trades'] as $trade) {
            self::assertNotSame($trade['maker_user_id'], $trade['taker_user_id'], "seed {$seed}, trade {$trade['id']}");
            self::assertSame(
                Decimal::parse($trade['quantity'], $markets[$trade['symbol']]['quantity_scale']),
                $trade['quantity'],
                "seed {$seed}, trade {$trade['id']} is of whole lots",
            );
            foreach (['maker_order_id', 'taker_order_id'] as $side) {
                $filled[$trade[$side]] = bcadd($filled[$trade[$side]], $trade['quantity'], Decimal::SCALE);
            }
        }
        $statuses = [];
        foreach ($tables['orders'] as $id => $order) {
            self::assertSame($filled[$id], $order['filled_quantity'], "seed {$seed}, order {$id}");
            self::assertSame(
                $order['status'] === 'filled',
                $order['filled_quantity'] === $order['quantity'],
                "seed {$seed}, order {$id}",
            );
            $statuses[$order['status']] = true;
        }
        self::assertCount(4, $statuses, "seed {$seed}: the flow is meant to reach every status");
    }

    /** @param array<string, array<string, array<string, mixed>>> $tables */
    private static function assertReservesMatchTheBook(int $seed, array $tables): void
    {
        $expected = [];
        foreach ($tables['orders'] as $order) {
            if (!in_array($order['status'], ['open', 'partially_filled'], true)) {
                continue;
            }
            [$base, $quote] = explode('-', $order['symbol']);
            $amount = bcsub($order['quantity'], $order['filled_quantity'], Decimal::SCALE);
            if ($order['side'] === 'buy') {
                $amount = bcmul($amount, $order['price'], Decimal::SCALE);
            }
            $key = $order['user_id'] . ' ' . ($order['side'] === 'buy' ? $quote : $base);
            $expected[$key] = bcadd($expected[$key] ?? '0', $amount, Decimal::SCALE);
        }
        foreach ($tables['balances'] as $key => $row) {
            self::assertSame($expected[$key] ?? Decimal::ZERO, $row['reserved'], "seed {$seed}, {$key}");
        }
    }

    /** @return array<string, array<string, mixed>> */
    private static function markets(): array
    {
        return (require __DIR__ . '/../../config/exchange.php')['markets'];
    }
}
