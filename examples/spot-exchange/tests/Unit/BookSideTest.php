<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Matching\BookSide;
use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use App\Simulation\Random;
use PHPUnit\Framework\TestCase;

/** One side of the book, against a search of all orders. */
final class BookSideTest extends TestCase
{
    /**
     * After any additions and removals, best() returns the order that a search of all orders finds.
     */
    public function testTheBestIsWhatAFullSearchFinds(): void
    {
        foreach ([true, false] as $bestIsHighest) {
            $side = new BookSide($bestIsHighest);
            $random = new Random($bestIsHighest ? 1 : 2);
            /** @var array<int, Order> $orders */
            $orders = [];
            for ($id = 1; $id <= 5_000; $id++) {
                if ($orders === [] || $random->isChance(52)) {
                    $orders[$id] = self::order($id, $random->int(95, 105));
                    $side->add($orders[$id]);
                } else {
                    $gone = $random->isChance(50)
                        ? self::search($orders, $bestIsHighest, null)
                        : $orders[$random->oneOf(array_keys($orders))];
                    $side->remove($gone);
                    unset($orders[$gone->id]);
                }
                $limit = $random->isChance(50) ? null : $random->int(95, 105);
                self::assertSame(
                    self::search($orders, $bestIsHighest, $limit),
                    $side->best($limit),
                    "step {$id}, limit " . ($limit ?? 'none'),
                );
            }
        }
    }

    private static function order(int $id, int $priceUnits): Order
    {
        $one = Decimal::parse('1');
        $order = new Order($id, 1, 'BTC-USDT', Side::Buy, OrderType::Limit, $one, $one, '2024-01-15 09:00:00');
        $order->priceUnits = $priceUnits;

        return $order;
    }

    /** @param array<int, Order> $orders */
    private static function search(array $orders, bool $bestIsHighest, ?int $limit): ?Order
    {
        $best = null;
        foreach ($orders as $order) {
            $advantage = ($order->priceUnits - ($best->priceUnits ?? 0)) * ($bestIsHighest ? 1 : -1);
            if ($best === null || $advantage > 0) {
                $best = $order;
            }
        }
        if ($best !== null && $limit !== null) {
            $isWithin = $bestIsHighest ? $best->priceUnits >= $limit : $best->priceUnits <= $limit;

            return $isWithin ? $best : null;
        }

        return $best;
    }
}
