<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\FaultProxy;
use WriteBuffer\Tests\Chaos\Support\Load;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;

/** Writers of the same rows, in opposite orders. */
final class ContentionTest extends ChaosTestCase
{
    private const SHARED_ORDERS = 'wb_chaos_shared_orders';
    private const SHARED_ACCOUNTS = 'wb_chaos_shared_accounts';
    private const WRITER_COUNT = 4;

    /**
     * Only the server knows whether letters like these are equal. Such rows are written in the
     * order in which they came, so the writers lock them in opposite orders.
     */
    private const CODE = <<<'PHP'
        $number = (int) $argv[2];
        $rounds = (int) $argv[3];
        $buffer = Child::buffer(
            dsn: $argv[1],
            batchSize: 40,
            flushIntervalMs: 1,
            overflowTimeoutMs: 120_000,
            shutdownTimeoutMs: 120_000,
            orderTable: 'wb_chaos_shared_orders',
            tables: [
                'wb_chaos_shared_orders' => ['merge' => ['n' => 'sum']],
                'wb_chaos_shared_accounts' => ['merge' => ['available' => 'sum']],
                'wb_chaos_prices' => ['guard' => 'version'],
            ],
        );
        // All begin at once: a writer alone is done before the next one has started.
        Child::say('ready');
        Child::hear();
        for ($round = 1; $round <= $rounds; $round++) {
            $orders = $accounts = [];
            for ($place = 0; $place < 10; $place++) {
                $id = ($round * 10 + $place) % 50;
                $orders[] = ['id' => "ö{$id}", 'n' => 1];
                $accounts[] = ['id' => "ä{$id}", 'available' => $place % 2 === 0 ? '0.0001' : '-0.0001'];
            }
            $price = ['id' => $round % 50, 'version' => $round * 10 + $number, 'v' => "of {$number} at {$round}"];
            if ($number % 2 === 0) {
                $buffer->add($orders);
                $buffer->put('wb_chaos_shared_accounts', $accounts);
                $buffer->put('wb_chaos_prices', $price);
            } else {
                $buffer->put('wb_chaos_prices', $price);
                $buffer->put('wb_chaos_shared_accounts', array_reverse($accounts));
                $buffer->add(array_reverse($orders));
            }
            while (count($buffer) > 500) {
                usleep(1_000);
            }
        }
        Child::await('all written', static fn (): bool => count($buffer) === 0, 180.0);
        Child::report('failures', array_slice($buffer->takeFailures(), 0, 3));
        Child::report('metrics', $buffer->getMetrics());
        $buffer->close();
        PHP;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::SHARED_ORDERS, 'id VARCHAR(20) PRIMARY KEY, n INT NOT NULL DEFAULT 0', 'CHARSET utf8mb4');
        $this->createTable(
            self::SHARED_ACCOUNTS,
            'id VARCHAR(20) PRIMARY KEY, available DECIMAL(20,4) NOT NULL DEFAULT 0',
            'CHARSET utf8mb4',
        );
    }

    public function testFourWritersOfTheSameRowsInOppositeOrders(): void
    {
        $this->contend($this->dsn());
    }

    /**
     * The same while COMMITs lose their answers. A repeated transaction meets the others' locks.
     */
    public function testFourWritersWhoseCommitsLoseTheirAnswers(): void
    {
        $dsn = $this->proxy($proxy);
        $proxy->arm('fault', 'cut-after-answer every=25 on statement COMMIT');
        $this->contend($dsn, $proxy);
    }

    private function contend(string $dsn, ?FaultProxy $proxy = null): void
    {
        $rounds = self::scaled(1_000, 4_000);
        $metrics = [];
        $runs = 0;
        // How often two of them meet is up to the machine: they write again until it was often.
        $deadline = self::deadline();
        do {
            $runs++;
            $children = $this->writeAtOnce($dsn, $rounds, $proxy);
            foreach ($children as $child) {
                $metrics[] = $child->reported('metrics');
            }
            $deadlocks = array_sum(array_column($metrics, 'retries_deadlock'));
        } while ($deadlocks <= 10 && hrtime(true) < $deadline);
        self::assertGreaterThan(10, $deadlocks, "hardly a deadlock in {$runs} runs");
        $times = $runs * self::WRITER_COUNT * intdiv($rounds, 5);
        $this->assertSameRows(array_fill(0, 50, ['n' => $times]), 'SELECT n FROM ' . self::SHARED_ORDERS, $children[0]);
        $this->assertSameRows($this->expectedAccounts($times), $this->accountsByNumber(), $children[0]);
        $this->assertSameRows($this->expectedPrices($rounds), 'SELECT * FROM ' . Load::PRICES . ' ORDER BY id', $children[0]);
        if ($proxy !== null) {
            self::assertGreaterThan(10, $proxy->struck('fault', 'ok'), $proxy->describe());
            self::assertGreaterThan(0, array_sum(array_column($metrics, 'commits_confirmed')));
        }
    }

    /** @return non-empty-list<ChildProcess> the writers, which have ended */
    private function writeAtOnce(string $dsn, int $rounds, ?FaultProxy $proxy): array
    {
        $children = [];
        for ($number = 1; $number <= self::WRITER_COUNT; $number++) {
            $children[] = $this->start(self::CODE, [$dsn, (string) $number, (string) $rounds]);
        }
        foreach ($children as $child) {
            $child->waitFor('ready');
        }
        foreach ($children as $child) {
            $child->send();
        }
        foreach ($children as $child) {
            $this->awaitEnd($child, $proxy);
            self::assertSame([], $child->reported('failures'), $child->describe());
        }

        return $children;
    }

    /** The proxy stops when nobody reads what it says. */
    private function awaitEnd(ChildProcess $child, ?FaultProxy $proxy): void
    {
        $deadline = hrtime(true) + 300_000_000_000;
        while ($child->ending() === null) {
            self::assertLessThan($deadline, hrtime(true), $child->describe());
            $proxy?->struck('fault');
            $child->listen(0.02);
        }
        $this->assertEndsWell($child);
    }

    private function accountsByNumber(): string
    {
        return 'SELECT SUBSTRING(id, 2) AS id, available FROM ' . self::SHARED_ACCOUNTS . ' ORDER BY SUBSTRING(id, 2) + 0';
    }

    /** @return list<array{id: int, available: string}> */
    private function expectedAccounts(int $times): array
    {
        $row = static fn (int $id): array => [
            'id' => $id,
            'available' => Load::decimal(($id % 2 === 0 ? 1 : -1) * $times),
        ];

        return array_map($row, range(0, 49));
    }

    /**
     * @return list<array{id: int, version: int, v: string}> the last round that has the price, by
     *         the highest writer
     */
    private function expectedPrices(int $rounds): array
    {
        $row = static function (int $id) use ($rounds): array {
            $round = $rounds - ($rounds - $id) % 50;

            return [
                'id' => $id,
                'version' => $round * 10 + self::WRITER_COUNT,
                'v' => 'of ' . self::WRITER_COUNT . " at {$round}",
            ];
        };

        return array_map($row, range(0, 49));
    }
}
