<?php

declare(strict_types=1);

namespace Database\Seeders;

use App\Services\OrderService;
use App\Simulation\Deposits;
use Illuminate\Database\Seeder;

/** The customers of the simulation, with what they own and no order yet: an exchange to try by hand. */
class DatabaseSeeder extends Seeder
{
    public function run(OrderService $exchange, Deposits $deposits): void
    {
        $deposits->pay($exchange);
    }
}
