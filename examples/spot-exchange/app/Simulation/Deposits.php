<?php

declare(strict_types=1);

namespace App\Simulation;

use App\Matching\Decimal;
use App\Services\EloquentOrderService;
use App\Services\OrderService;
use Illuminate\Contracts\Config\Repository;

/** Owns what the simulated customers begin with: see `simulation` in config/exchange.php. */
final class Deposits
{
    public function __construct(private readonly Repository $config)
    {
    }

    /** @return array<string, string> the sum of all deposits, by asset */
    public function pay(OrderService|EloquentOrderService $exchange): array
    {
        $users = (int) $this->config->get('exchange.simulation.users');
        $totals = [];
        foreach ($this->config->get('exchange.simulation.deposits') as $asset => $amount) {
            for ($userId = 1; $userId <= $users; $userId++) {
                $exchange->deposit($userId, $asset, $amount, OrderFlow::openingTime());
            }
            $totals[$asset] = bcmul($amount, (string) $users, Decimal::SCALE);
        }

        return $totals;
    }
}
