<?php

declare(strict_types=1);

namespace Tests\Support;

use App\Matching\Decimal;

/**
 * Owns what the exchange answered to orders, in any order, and the tables that follow from that.
 */
final class Answers
{
    /** @var array<int, array<string, int|string|null>> by id */
    private array $orders = [];

    /** @var array<int, array<string, int|string>> by id */
    private array $trades = [];

    /**
     * @param array{order: array<string, mixed>, trades: list<array<string, mixed>>} $answer
     *        of POST /orders
     */
    public function add(array $answer): void
    {
        $this->orders[$answer['order']['id']] = $answer['order'];
        foreach ($answer['trades'] as $trade) {
            $this->trades[$trade['id']] = $trade;
        }
    }

    /** @return list<array<string, int|string>> the table's rows */
    public function trades(): array
    {
        ksort($this->trades);

        return array_values($this->trades);
    }

    /**
     * @return list<array<string, int|string|null>> the table's rows: the answers, less what later
     *                                             orders took
     */
    public function orders(): array
    {
        $orders = $this->orders;
        ksort($orders);
        foreach ($this->trades() as $trade) {
            $maker = &$orders[$trade['maker_order_id']];
            $maker['filled_quantity'] = bcadd($maker['filled_quantity'], $trade['quantity'], Decimal::SCALE);
            $maker['status'] = $maker['filled_quantity'] === $maker['quantity'] ? 'filled' : 'partially_filled';
            $maker['updated_at'] = $trade['executed_at'];
            unset($maker);
        }

        return array_values($orders);
    }
}
