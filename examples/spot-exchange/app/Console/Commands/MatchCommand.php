<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Buffers\Buffer;
use App\Buffers\BufferFactory;
use App\Exceptions\OrderRejectedException;
use App\Matching\Decimal;
use App\Matching\Order;
use App\Services\Audit;
use App\Services\OrderService;
use App\Services\TableSnapshot;
use App\Simulation\Cancellation;
use App\Simulation\Latencies;
use App\Simulation\OrderFlow;
use Illuminate\Console\Command;
use Illuminate\Console\ConfirmableTrait;
use InvalidArgumentException;
use RuntimeException;

class MatchCommand extends Command
{
    use ConfirmableTrait;

    protected $signature = 'exchange:match
        {--orders=10000 : How many orders to match}
        {--buffer= : eloquent, php or native; the default is EXCHANGE_BUFFER}
        {--seed=1 : The seed of the order flow}
        {--json= : Write the figures to this file}
        {--dump= : Write the tables to this folder, one JSON line a row}
        {--force : Run in production as well}';

    protected $description = 'Match a simulated order flow on an emptied exchange, and measure it';

    private int $cancelled = 0;

    private int $trades = 0;

    private int $rejected = 0;

    public function handle(BufferFactory $buffers, TableSnapshot $snapshot, Audit $audit): int
    {
        $orderCount = (int) $this->option('orders');
        $seed = (int) $this->option('seed');
        $kind = $this->option('buffer') ?: config('exchange.buffer');
        if ($orderCount < 1) {
            $this->error('--orders must be at least 1.');

            return 1;
        }
        try {
            $buffer = $buffers->make($kind);
        } catch (InvalidArgumentException | RuntimeException $e) {
            $this->error($e->getMessage());

            return 1;
        }
        // The tables of the exchange are dropped: this asks first in production.
        if (!$this->confirmToProceed() || $this->callSilent('migrate:refresh', ['--force' => true]) !== 0) {
            return 1;
        }

        // The tables are empty, and so must be the book of an exchange that this process may have had before.
        $this->laravel->instance(Buffer::class, $buffer);
        $this->laravel->forgetInstance(OrderService::class);
        $exchange = $this->laravel->make(OrderService::class);
        $deposits = $this->deposit($exchange);
        $buffer->flush();

        // The flow is made before the clock starts, and is the same for every buffer.
        $flow = new OrderFlow(config('exchange.markets'), config('exchange.simulation.users'), $seed);
        $events = [...$flow->events($orderCount)];

        $this->info("Matching {$orderCount} orders, buffer {$kind}, seed {$seed}");
        $latencies = new Latencies();
        $start = hrtime(true);
        $this->match($exchange, $events, $orderCount, $latencies);
        $buffer->flush();
        $elapsedS = (hrtime(true) - $start) / 1e9;

        $checksums = $snapshot->checksums();
        $findings = $audit->findings($deposits);
        $figures = [
            'buffer' => $kind,
            'seed' => $seed,
            'orders' => $orderCount,
            'rejected' => $this->rejected,
            'cancelled' => $this->cancelled,
            'trades' => $this->trades,
            'elapsed_s' => round($elapsedS, 6),
            'orders_per_s' => round($orderCount / $elapsedS, 1),
            'p50_us' => $latencies->percentileUs(50),
            'p99_us' => $latencies->percentileUs(99),
            'peak_memory_bytes' => memory_get_peak_usage(true),
            'tables' => $checksums,
            'checksum' => hash('sha256', implode(' ', array_column($checksums, 'sha256'))),
            'findings' => $findings,
            'metrics' => $buffer->getMetrics(),
        ];
        $this->show($figures);
        if ($this->option('dump') !== null) {
            $snapshot->dump($this->option('dump'));
        }
        if ($this->option('json') !== null) {
            $json = json_encode($figures, JSON_PRETTY_PRINT | JSON_THROW_ON_ERROR);
            file_put_contents($this->option('json'), $json . "\n");
        }

        return $findings === [] ? 0 : 1;
    }

    /** @return array<string, string> what all users deposited together, by asset */
    private function deposit(OrderService $exchange): array
    {
        $users = (int) config('exchange.simulation.users');
        $totals = [];
        foreach (config('exchange.simulation.deposits') as $asset => $amount) {
            for ($userId = 1; $userId <= $users; $userId++) {
                $exchange->deposit($userId, $asset, $amount, OrderFlow::openingTime());
            }
            $totals[$asset] = bcmul($amount, (string) $users, Decimal::SCALE);
        }

        return $totals;
    }

    /** @param list<Order|Cancellation> $events */
    private function match(OrderService $exchange, array $events, int $orderCount, Latencies $latencies): void
    {
        $this->cancelled = $this->trades = $this->rejected = 0;
        $progress = $this->output->createProgressBar($orderCount);
        $progress->setRedrawFrequency(max(1, intdiv($orderCount, 20)));
        $progress->start();
        foreach ($events as $event) {
            if ($event instanceof Cancellation) {
                $this->cancelled += (int) $exchange->cancelOrder($event->orderId, $event->at);
                continue;
            }
            $start = hrtime(true);
            try {
                $this->trades += count($exchange->matchOrders($event));
            } catch (OrderRejectedException) {
                $this->rejected++;
            }
            $latencies->add(hrtime(true) - $start);
            $progress->advance();
        }
        $progress->finish();
        $this->newLine(2);
    }

    /** @param array<string, mixed> $figures */
    private function show(array $figures): void
    {
        $this->table(['orders/s', 'trades', 'cancelled', 'rejected', 'p50', 'p99', 'seconds'], [[
            number_format($figures['orders_per_s']),
            number_format($figures['trades']),
            number_format($figures['cancelled']),
            number_format($figures['rejected']),
            number_format($figures['p50_us'] / 1000, 3) . ' ms',
            number_format($figures['p99_us'] / 1000, 3) . ' ms',
            number_format($figures['elapsed_s'], 2),
        ]]);
        foreach ($figures['tables'] as $table => $checksum) {
            $this->line(sprintf('%-9s %8d rows  sha256 %s', $table, $checksum['rows'], $checksum['sha256']));
        }
        $this->line("checksum of the tables: {$figures['checksum']}");
        foreach ($figures['findings'] as $finding) {
            $this->error($finding);
        }
    }
}
