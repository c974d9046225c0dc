<?php

declare(strict_types=1);

namespace Database\Seeders;

use App\Services\OrderService;
use App\Simulation\Deposits;
use Illuminate\Database\Seeder;

/** Pays the deposits of the simulation's customers, for trying the exchange by hand. */
class DatabaseSeeder extends Seeder
{
    public function run(OrderService $exchange, Deposits $deposits): void
    {
        $deposits->pay($exchange);
    }
}
