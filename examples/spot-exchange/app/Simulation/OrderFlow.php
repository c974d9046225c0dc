<?php

declare(strict_types=1);

namespace App\Simulation;

use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;

/**
 * Owns a simulated day at the exchange. It comes from a seed: the same seed makes the same orders,
 * ids and times.
 *
 * It has what a real flow has: busy and quiet symbols; a price that wanders, with most limits near
 * it and many on round prices; a few market makers among many customers; round quantities; cancels
 * of recent orders; bursts of orders on one side of a market.
 */
final class OrderFlow
{
    /** Monday, 2024-01-15 09:00:00 UTC. */
    private const OPENING_TIME_S = 1_705_309_200;

    private const MARKET_MAKERS = 5;
    private const MARKET_MAKER_PERCENT = 35;
    private const MARKET_ORDER_PERCENT = 10;
    private const CANCEL_PERCENT = 12;
    private const BURST_PERCENT = 1;
    private const AGGRESSIVE_PERCENT = 40;
    private const ROUND_PRICE_PERCENT = 60;

    /** Limits and round prices stand in steps of this part of the price: two basis points. */
    private const STEPS_PER_PRICE = 5_000;

    /** A cancel is for one of the last limit orders: of this many. */
    private const RECENT_ORDERS = 200;

    private Random $random;

    private int $timeUs;

    /** @var list<string> each symbol as many times as its weight */
    private array $symbols = [];

    /** @var array<string, int> by symbol, in units of its price scale */
    private array $prices = [];

    /** @var list<int> */
    private array $recentOrderIds = [];

    private int $burstLeft = 0;

    private string $burstSymbol = '';

    private Side $burstSide = Side::Buy;

    /**
     * @param array<string, array{
     *     price_scale: int,
     *     quantity_scale: int,
     *     opening_price: string,
     *     typical_quantity: string,
     *     weight: int
     * }> $markets by symbol
     */
    public function __construct(
        private readonly array $markets,
        private readonly int $userCount,
        int $seed,
    ) {
        $this->random = new Random($seed);
        $this->timeUs = self::OPENING_TIME_S * 1_000_000;
        foreach ($markets as $symbol => $market) {
            array_push($this->symbols, ...array_fill(0, $market['weight'], $symbol));
            $this->prices[$symbol] = Decimal::toUnits($market['opening_price'], $market['price_scale']);
        }
    }

    public static function openingTime(): string
    {
        return self::formatTime(self::OPENING_TIME_S * 1_000_000);
    }

    /** @return iterable<Order|Cancellation> the orders, with ids from 1, and cancels in between */
    public function events(int $orderCount): iterable
    {
        for ($id = 1; $id <= $orderCount; $id++) {
            $order = $this->nextOrder($id);
            yield $order;
            if ($order->type === OrderType::Limit) {
                $this->recentOrderIds[$id % self::RECENT_ORDERS] = $id;
            }
            if ($this->recentOrderIds !== [] && $this->random->isChance(self::CANCEL_PERCENT)) {
                yield $this->nextCancellation();
            }
        }
    }

    private function nextOrder(int $id): Order
    {
        if ($this->burstLeft === 0 && $this->random->isChance(self::BURST_PERCENT)) {
            $this->burstLeft = $this->random->int(10, 40);
            $this->burstSymbol = $this->random->oneOf($this->symbols);
            $this->burstSide = $this->random->oneOf(Side::cases());
        }
        $isBurst = $this->burstLeft > 0;
        if ($isBurst) {
            $this->burstLeft--;
        }

        $this->timeUs += $isBurst ? $this->random->int(1, 300) : $this->random->int(200, 40_000);
        $symbol = $isBurst ? $this->burstSymbol : $this->random->oneOf($this->symbols);
        $side = $isBurst ? $this->burstSide : $this->random->oneOf(Side::cases());
        $isMarketOrder = $this->random->isChance(self::MARKET_ORDER_PERCENT);

        return new Order(
            id: $id,
            userId: $this->nextUserId(),
            symbol: $symbol,
            side: $side,
            type: $isMarketOrder ? OrderType::Market : OrderType::Limit,
            price: $isMarketOrder ? null : $this->nextPrice($symbol, $side, $isBurst),
            quantity: $this->nextQuantity($symbol),
            createdAt: self::formatTime($this->timeUs),
        );
    }

    private function nextCancellation(): Cancellation
    {
        $this->timeUs += $this->random->int(1, 500);

        return new Cancellation(
            $this->random->oneOf(array_values($this->recentOrderIds)),
            self::formatTime($this->timeUs),
        );
    }

    private function nextUserId(): int
    {
        return $this->random->isChance(self::MARKET_MAKER_PERCENT)
            ? $this->random->int(1, self::MARKET_MAKERS)
            : $this->random->int(1, $this->userCount);
    }

    private function nextPrice(string $symbol, Side $side, bool $isBurst): string
    {
        $step = max(1, intdiv($this->prices[$symbol], self::STEPS_PER_PRICE));
        $drift = $isBurst ? ($side === Side::Buy ? 1 : -1) : $this->random->int(-1, 1);
        $this->prices[$symbol] = max($step, $this->prices[$symbol] + $drift * intdiv($step, 4));

        $isAggressive = $this->random->isChance(self::AGGRESSIVE_PERCENT);
        $distance = $isAggressive ? $this->random->streak(50, 3) : -1 - $this->random->streak(75, 25);
        $price = $this->prices[$symbol] + ($side === Side::Buy ? $distance : -$distance) * $step;
        $price = $this->random->isChance(self::ROUND_PRICE_PERCENT)
            ? intdiv($price, $step) * $step
            : $price + $this->random->int(0, $step - 1);

        return Decimal::fromUnits(max(1, $price), $this->markets[$symbol]['price_scale']);
    }

    private function nextQuantity(string $symbol): string
    {
        $scale = $this->markets[$symbol]['quantity_scale'];
        $typical = Decimal::toUnits($this->markets[$symbol]['typical_quantity'], $scale);
        $quantity = $this->random->isChance(50)
            ? intdiv($typical * $this->random->oneOf([1, 2, 5, 10, 10, 10, 20, 50]), 10)
            : $this->random->int(1, $typical * 3);

        return Decimal::fromUnits(max(1, $quantity), $scale);
    }

    private static function formatTime(int $timeUs): string
    {
        return gmdate('Y-m-d H:i:s', intdiv($timeUs, 1_000_000)) . sprintf('.%06d', $timeUs % 1_000_000);
    }
}
