<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * A test that does harm while writers write, and shows that it was done. At the end it compares the
 * tables row by row: nothing lost, nothing doubled, nothing stale.
 *
 * The environment variable WRITE_BUFFER_CHAOS says how much: `short`, the default, or `full`.
 */
abstract class ChaosTestCase extends ProcessTestCase
{
    protected const TIMEOUT_S = 180.0;

    /** @var list<Writer> */
    protected array $writers = [];

    /** @var list<FaultProxy> */
    private array $proxies = [];

    protected function setUp(): void
    {
        parent::setUp();
        foreach (Load::definitions() as $table => $definition) {
            $this->createTable($table, $definition);
        }
    }

    protected function tearDown(): void
    {
        foreach ($this->proxies as $proxy) {
            $proxy->stop();
        }
        $this->writers = $this->proxies = [];
        parent::tearDown();
    }

    /**
     * @template T
     *
     * @param T $short
     * @param T $full
     *
     * @return T
     */
    protected static function scaled(mixed $short, mixed $full): mixed
    {
        return match (getenv('WRITE_BUFFER_CHAOS') ?: 'short') {
            'short' => $short,
            'full' => $full,
        };
    }

    /** Starts a fault proxy before the server, and returns its DSN. */
    protected function proxy(?FaultProxy &$proxy): string
    {
        $this->proxies[] = $proxy = new FaultProxy(self::setting('DB_HOST'), self::setting('DB_PORT'));

        return $this->dsnAt($proxy->port());
    }

    protected function dsnAt(int $port): string
    {
        $dsn = str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsn(), $count);
        self::assertSame(1, $count);

        return $dsn;
    }

    /** @param string $settings named arguments of the buffer, in PHP; `$argv[1]` is the DSN */
    protected function startWriter(
        string $dsn,
        int $number = 1,
        ?int $stepsMin = null,
        string $settings = '',
        int $pauseUs = 200,
        int $refusedEvery = 0,
        bool $repeatsRefused = false,
    ): Writer {
        $stepsMin ??= self::scaled(1_000, 2_000);
        if (str_contains($settings, 'lanes:')) {
            // In runs, or each order by itself.
            $settings .= [', routeBy: null', ", routeBy: 'id'"][mt_rand(0, 1)];
        }
        $path = var_export(__DIR__ . '/Load.php', true);
        $repeats = var_export($repeatsRefused, true);
        $code = <<<PHP
            use WriteBuffer\\Tests\\Chaos\\Support\\Load;
            require {$path};
            Load::run(
                Load::buffer(dsn: \$argv[1], {$settings}),
                {$number},
                {$stepsMin},
                {$pauseUs},
                {$refusedEvery},
                {$repeats},
            );
            PHP;

        return $this->writers[] = new Writer($number, $this->start($code, [$dsn]));
    }

    protected static function isServerDead(): bool
    {
        return !is_dir('/proc/' . self::serverPid());
    }

    /** Says whether a server that is dead, or dies, shall be started again. */
    protected static function wantServer(bool $wanted): void
    {
        $request = self::setting('DB_CONTROL_DIR') . '/restart';
        if ($wanted) {
            touch($request);
        } elseif (is_file($request)) {
            unlink($request);
        }
    }

    /** For the end of a test that may have left the server dead. */
    protected function bringServerBack(): void
    {
        self::wantServer(true);
        self::await('a server', static fn (): bool => !self::isServerDead());
        self::wantServer(false);
        $this->forgetConnections();
    }

    /** Waits until a condition holds, while the writers write. */
    protected function awaitUnderLoad(string $what, callable $condition, float $timeoutS = self::TIMEOUT_S): void
    {
        $deadline = hrtime(true) + $timeoutS * 1e9;
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                self::fail("waited for {$timeoutS} s in vain: {$what}\n{$this->describeAll()}");
            }
            foreach ($this->writers as $writer) {
                $writer->child->listen(0.005);
                if ($writer->child->ending() !== null) {
                    self::fail("writer {$writer->number} has ended before: {$what}\n{$this->describeAll()}");
                }
            }
        }
    }

    /** Waits until there are this many more orders in the table than now. */
    protected function awaitMoreOrders(int $count): void
    {
        $target = $this->orderCount() + $count;
        $this->awaitUnderLoad("{$target} orders", fn (): bool => $this->orderCount() >= $target);
    }

    /**
     * Stops the writers, which must end well, and compares all tables.
     *
     * @param int $refusedEvery what the writers were started with
     */
    protected function assertNothingLostOrDoubled(int $refusedEvery = 0): void
    {
        $steps = $this->endWriters();
        foreach ($this->writers as $writer) {
            self::assertSame(
                $this->refused($writer->number, $steps[$writer->number], $refusedEvery),
                $writer->child->reported('failures'),
                $this->describeAll(),
            );
        }
        $this->assertTablesHold(new Expected($steps));
    }

    /**
     * Lets the writers come to their end, and compares all tables: what was given up left no row,
     * all else is there once.
     *
     * @return list<int> the codes of what was given up
     */
    protected function assertAllButGivenUp(): array
    {
        $expected = new Expected($this->endWriters());
        $codes = [];
        foreach ($this->writers as $writer) {
            foreach ($writer->child->reported('given up') as [$table, $rows]) {
                $expected->giveUp($writer->number, $table, $rows);
            }
            array_push($codes, ...array_column($writer->child->reported('failures'), 0));
        }
        $this->assertTablesHold($expected);

        return $codes;
    }

    /** @return array<int, int> the steps of each writer, whose end was a good one */
    private function endWriters(): array
    {
        foreach ($this->writers as $writer) {
            $writer->stop();
        }
        $steps = [];
        foreach ($this->writers as $writer) {
            $steps[$writer->number] = $writer->steps();
            $this->assertEndsWell($writer->child);
        }

        return $steps;
    }

    private function assertTablesHold(Expected $expected): void
    {
        $child = $this->writers[0]->child;
        $this->assertSameRows($expected->trades(), 'SELECT id, order_id FROM ' . Child::TRADES . ' ORDER BY id', $child);
        $this->assertSameRows($expected->orders(), 'SELECT id, v, n FROM ' . Child::ORDERS . ' ORDER BY id', $child);
        foreach ([Load::ACCOUNTS => $expected->accounts(), Load::PRICES => $expected->prices()] as $table => $rows) {
            $this->assertSameRows($rows, "SELECT * FROM {$table} ORDER BY id", $child);
        }
    }

    /**
     * @return list<array{int, int, int}> the groups that the server refuses, in the order in which
     *         they were added
     */
    private function refused(int $writer, int $steps, int $refusedEvery): array
    {
        if ($refusedEvery === 0) {
            return [];
        }
        $failure = static fn (int $step): array => [1406, Load::refusedId($writer, $step), Child::ROWS_PER_GROUP];

        return array_map($failure, range($refusedEvery, $steps, $refusedEvery));
    }

    protected function describeAll(): string
    {
        $parts = [];
        foreach ($this->writers as $writer) {
            $parts[] = "writer {$writer->number}: {$writer->child->describe()}";
        }
        foreach ($this->proxies as $proxy) {
            $parts[] = $proxy->describe();
        }

        return implode("\n", $parts);
    }

    /** The sum of a metric of all writers, at their end. */
    protected function total(string $metric): int
    {
        return (int) array_sum(array_map(static fn (Writer $writer): int => $writer->metric($metric), $this->writers));
    }
}
