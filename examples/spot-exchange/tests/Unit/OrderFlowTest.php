<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Matching\Order;
use App\Simulation\Cancellation;
use App\Simulation\OrderFlow;
use PHPUnit\Framework\TestCase;

/** The simulated flow: the same for the same seed. */
final class OrderFlowTest extends TestCase
{
    public function testTheSameSeedGivesTheSameFlow(): void
    {
        self::assertEquals(self::events(7), self::events(7));
        self::assertNotEquals(self::events(7), self::events(8));
    }

    public function testTheFlowHasWhatARealOneHas(): void
    {
        $orders = array_filter(self::events(1), static fn (object $event): bool => $event instanceof Order);
        $cancels = array_filter(self::events(1), static fn (object $event): bool => $event instanceof Cancellation);
        $kinds = [];
        foreach ($orders as $order) {
            $kinds["{$order->symbol} {$order->side->value} {$order->type->value}"] = true;
        }

        self::assertSame(range(1, 2_000), array_column($orders, 'id'));
        self::assertCount(4 * 2 * 2, $kinds, 'every symbol, side and type');
        self::assertGreaterThan(100, count($cancels));
        $times = array_map(
            static fn (Order|Cancellation $event): string => $event instanceof Order ? $event->createdAt : $event->at,
            self::events(1),
        );
        $sorted = $times;
        sort($sorted);
        self::assertSame($sorted, $times, 'time goes on');
    }

    /** @return list<Order|Cancellation> */
    private static function events(int $seed): array
    {
        $markets = (require __DIR__ . '/../../config/exchange.php')['markets'];

        return [...(new OrderFlow($markets, 50, $seed))->events(2_000)];
    }
}
