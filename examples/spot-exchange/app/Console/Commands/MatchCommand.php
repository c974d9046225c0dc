<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Exceptions\OrderRejectedException;
use App\Matching\Order;
use App\Services\Audit;
use App\Services\EloquentOrderService;
use App\Services\OrderService;
use App\Services\TableSnapshot;
use App\Simulation\Cancellation;
use App\Simulation\Deposits;
use App\Simulation\Latencies;
use App\Simulation\OrderFlow;
use Illuminate\Console\Command;
use Illuminate\Console\ConfirmableTrait;
use WriteBuffer\Buffer;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/** Owns `exchange:match`: matches a simulated order flow with one buffer, and measures it. */
class MatchCommand extends Command
{
    use ConfirmableTrait;

    /** What --buffer takes, and its driver in config/write-buffer.php; null: no buffer. */
    public const BUFFERS = ['eloquent' => null, 'php' => 'php-class', 'native' => 'native'];

    protected $signature = 'exchange:match
        {--orders=10000 : How many orders to match}
        {--buffer=native : eloquent, php or native}
        {--seed=1 : The seed of the order flow}
        {--json= : Write the figures to this file}
        {--dump= : Write the tables to this folder, one JSON line a row}
        {--force : Run in production as well}';

    protected $description = 'Match a simulated order flow on an emptied exchange, and measure it';

    private int $cancelled = 0;

    private int $trades = 0;

    private int $rejected = 0;

    public function handle(BufferManager $buffers, TableSnapshot $snapshot, Audit $audit): int
    {
        $orderCount = (int) $this->option('orders');
        $seed = (int) $this->option('seed');
        $kind = (string) $this->option('buffer');
        if ($orderCount < 1) {
            $this->error('--orders must be at least 1.');

            return 1;
        }
        if (!array_key_exists($kind, self::BUFFERS)) {
            $kinds = implode(', ', array_keys(self::BUFFERS));
            $this->error("There is no buffer \"{$kind}\"; there are: {$kinds}.");

            return 1;
        }
        try {
            $buffer = $this->buffer($buffers, $kind);
        } catch (BufferException $e) {
            $this->error($e->getMessage());
            $this->line('Or use --buffer=php. exchange:demo starts PHP by itself: set WRITE_BUFFER_EXTENSION to the path of'
                . ' the extension.');

            return 1;
        }
        // This drops the exchange's tables, so it asks first in production.
        if (!$this->confirmToProceed() || $this->callSilent('migrate:refresh', ['--force' => true]) !== 0) {
            return 1;
        }

        $exchange = $this->laravel->make($buffer === null ? EloquentOrderService::class : OrderService::class);
        $deposits = $this->laravel->make(Deposits::class)->pay($exchange);
        $buffer?->flush();

        // The flow is the same for every buffer, and is made before the clock starts.
        $flow = new OrderFlow(config('exchange.markets'), config('exchange.simulation.users'), $seed);
        $events = [...$flow->events($orderCount)];

        $this->info("Matching {$orderCount} orders, buffer {$kind}, seed {$seed}");
        $latencies = new Latencies();
        $start = hrtime(true);
        $this->match($exchange, $events, $orderCount, $latencies);
        $buffer?->flush();
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
            'metrics' => $buffer?->getMetrics(),
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

    /** The buffer that OrderService gets from now on; null: EloquentOrderService needs none. */
    private function buffer(BufferManager $buffers, string $kind): ?Buffer
    {
        $driver = self::BUFFERS[$kind];
        if ($driver === null) {
            return null;
        }
        config(["write-buffer.buffers.{$buffers->getDefaultBuffer()}.driver" => $driver]);
        $buffers->purge();

        return $this->laravel->make(Buffer::class);
    }

    /** @param list<Order|Cancellation> $events */
    private function match(
        OrderService|EloquentOrderService $exchange,
        array $events,
        int $orderCount,
        Latencies $latencies,
    ): void {
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
