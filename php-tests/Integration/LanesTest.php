<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** Several lanes write side by side, and leave what one would have left. */
final class LanesTest extends DatabaseTestCase
{
    private const SYMBOLS = ['BTC', 'ETH', 'SOL', 'XRP', 'ADA'];

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('lane_orders', 'id BIGINT PRIMARY KEY, symbol VARCHAR(20) COLLATE utf8mb4_bin NOT NULL, '
            . 'version INT NOT NULL, note VARCHAR(50) NOT NULL DEFAULT \'\', KEY (symbol)');
        $this->createTable('lane_trades', 'id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, '
            . 'session BIGINT NOT NULL DEFAULT 0, KEY (order_id)');
        $this->createTable('lane_balances', 'user_id INT, asset VARCHAR(10) COLLATE utf8mb4_bin, free DECIMAL(30,8) NOT NULL, '
            . 'PRIMARY KEY (user_id, asset)');
    }

    /** @param array<string, mixed> $settings */
    private function lanes(array $settings = []): WriteBuffer
    {
        return $this->buffer(...($settings + [
            'background' => true,
            'batchSize' => 10,
            'flushIntervalMs' => 5,
            'orderTable' => 'lane_orders',
            'tradeTable' => 'lane_trades',
            'tables' => ['lane_balances' => ['merge' => ['free' => 'sum']]],
            'lanes' => 4,
        ]));
    }

    /** @return iterable<string, array{?string}> */
    public static function routes(): iterable
    {
        yield 'in runs' => [null];
        yield 'by key' => ['id'];
        yield 'by symbol' => ['symbol'];
        yield 'by a column that no row has' => ['no_such_column'];
    }

    /**
     * Orders change again and again, in groups of several, so that their lanes meet.
     *
     * @dataProvider routes
     */
    #[DataProvider('routes')]
    public function testTheLastVersionOfEveryRowIsThere(?string $routeBy): void
    {
        mt_srand(7);
        $buffer = $this->lanes(['routeBy' => $routeBy]);
        $orders = $trades = $balances = [];
        for ($version = 1; $version <= 3_000; $version++) {
            $group = [];
            for ($n = mt_rand(1, 3); $n > 0; $n--) {
                $id = mt_rand(1, 60);
                $symbol = self::SYMBOLS[mt_rand(0, 4)];
                $group[] = $orders[$id] = ['id' => $id, 'symbol' => $symbol, 'version' => $version, 'note' => "v{$version}"];
            }
            $trade = $trades[] = ['id' => $version, 'order_id' => $group[0]['id']];
            $buffer->add($group, $trade);
            $user = mt_rand(1, 5);
            $balances[$user] = ($balances[$user] ?? 0) + 1;
            $buffer->put('lane_balances', ['user_id' => $user, 'asset' => 'USD', 'free' => '1.00000000']);
            if ($version % 500 === 0) {
                $id = $group[0]['id'];
                self::assertSame($version, $buffer->find('lane_orders', $id)['version'] ?? $version);
                $buffer->flush();
            }
        }
        // However orders are spread: new ones come faster than one lane writes them.
        self::await('work for each lane', static function () use ($buffer, &$orders): bool {
            $next = 1_000 + count($orders);
            for ($id = $next; $id < $next + 1_000; $id++) {
                $orders[$id] = ['id' => $id, 'symbol' => self::SYMBOLS[$id % 5], 'version' => 1, 'note' => ''];
                $buffer->add($orders[$id]);
            }

            return count(array_filter(array_column($buffer->getMetrics()['lane_metrics'], 'rows_added'))) === 4;
        });
        $buffer->flush();

        ksort($orders);
        ksort($balances);
        $metrics = $buffer->getMetrics();
        self::assertSame([0, 0], [$metrics['rows_refused'], $metrics['transactions_failed']], (string) $metrics['last_error']);
        self::assertSame(self::asText($orders), $this->rows('lane_orders', 'id, symbol, version, note'));
        self::assertSame(self::asText($trades), $this->rows('lane_trades', 'id, order_id'));
        self::assertSame(
            array_map(static fn (int $count): string => "{$count}.00000000", array_values($balances)),
            array_column($this->rows('lane_balances'), 'free'),
        );
        self::assertSame(4, $metrics['lanes']);
        self::assertCount(4, $metrics['lane_metrics']);
        foreach (['rows_added', 'rows_committed', 'transactions', 'retries_deadlock'] as $sum) {
            self::assertSame($metrics[$sum], array_sum(array_column($metrics['lane_metrics'], $sum)), $sum);
        }
        self::assertSame(4, count(array_filter(array_column($metrics['lane_metrics'], 'rows_added'))), 'every lane has worked');
    }

    /**
     * @param array<array<string, mixed>> $rows
     *
     * @return list<array<string, string>>
     */
    private static function asText(array $rows): array
    {
        return array_values(array_map(static fn (array $row): array => array_map('strval', $row), $rows));
    }

    public function testAColumnsValuesKeepToTheirLanes(): void
    {
        $this->admin()->exec('CREATE TRIGGER lane_session BEFORE INSERT ON lane_trades FOR EACH ROW SET NEW.session = CONNECTION_ID()');
        $buffer = $this->lanes(['routeBy' => 'SYMBOL']);
        $buffer->add(['id' => 1, 'symbol' => 'BTC', 'version' => 0], ['id' => 0, 'order_id' => 0]);
        $buffer->flush();
        for ($id = 1; $id <= 200; $id++) {
            $buffer->add(['id' => $id, 'symbol' => self::SYMBOLS[$id % 5], 'version' => 1], ['id' => $id, 'order_id' => $id]);
        }
        $buffer->flush();
        $perSymbol = $this->pdo()->query(
            'SELECT o.symbol, COUNT(DISTINCT t.session) FROM lane_trades t JOIN lane_orders o ON o.id = t.order_id'
            . ' WHERE t.id > 1 GROUP BY o.symbol ORDER BY 1',
        )->fetchAll(\PDO::FETCH_KEY_PAIR);
        self::assertSame(['ADA' => '1', 'BTC' => '1', 'ETH' => '1', 'SOL' => '1', 'XRP' => '1'], $perSymbol);
        self::assertGreaterThan('1', $this->value('SELECT COUNT(DISTINCT session) FROM lane_trades'));
    }

    /** A trade may refer to an order that another lane has not written yet. */
    public function testAForeignKeyBetweenLanesIsWaitedFor(): void
    {
        $this->createTable('lane_fills', 'id BIGINT PRIMARY KEY, order_id BIGINT NOT NULL, '
            . 'FOREIGN KEY (order_id) REFERENCES lane_orders (id)');
        $buffer = $this->lanes(['tradeTable' => 'lane_fills', 'flushIntervalMs' => 3_600_000, 'batchSize' => 1_000]);
        $buffer->add(['id' => 0, 'symbol' => 'X', 'version' => 1], ['id' => 0, 'order_id' => 0]);
        $buffer->flush();
        for ($id = 1; $id <= 300; $id++) {
            $buffer->add(['id' => $id, 'symbol' => 'X', 'version' => 1]);
            $buffer->put('lane_fills', ['id' => $id, 'order_id' => $id]);
        }
        $buffer->flush();
        self::assertSame([], $buffer->takeFailures());
        self::assertSame('301', $this->value('SELECT COUNT(*) FROM lane_fills'));

        $buffer->put('lane_fills', ['id' => 500, 'order_id' => 9_999]);
        try {
            $buffer->flush();
            self::fail('the trade of no order was taken');
        } catch (FlushException $e) {
            self::assertSame(1452, $e->getCode());
        }
        self::assertCount(1, $buffer->takeFailures());
    }

    /**
     * Keys that only the server can compare: the engine must not take 'straße' and 'STRASSE' for
     * two.
     */
    public function testUncertainKeysKeepTheirOrder(): void
    {
        $this->createTable('lane_orders', 'symbol VARCHAR(20) COLLATE utf8mb4_unicode_ci PRIMARY KEY, version INT NOT NULL');
        $buffer = $this->lanes();
        for ($version = 1; $version <= 500; $version++) {
            $buffer->add(['symbol' => ['straße', 'STRASSE', 'Strasse', 'other'][$version % 4], 'version' => $version]);
        }
        $buffer->flush();
        self::assertSame(['500', '499'], array_column($this->rows('lane_orders', '*', '2 DESC'), 'version'));
    }

    public function testEveryLaneHasItsRowInTheLedger(): void
    {
        $this->admin()->exec('DROP TABLE IF EXISTS write_buffer_ledger');
        $buffer = $this->lanes(['routeBy' => 'id']);
        for ($id = 1; $id <= 100; $id++) {
            $buffer->add(['id' => $id, 'symbol' => 'X', 'version' => 1], ['id' => $id, 'order_id' => $id]);
        }
        $buffer->flush();
        for ($id = 101; $id <= 200; $id++) {
            $buffer->add(['id' => $id, 'symbol' => 'X', 'version' => 1], ['id' => $id, 'order_id' => $id]);
        }
        $buffer->flush();
        self::assertSame(['0', '1', '2', '3'], array_column($this->rows('write_buffer_ledger', 'lane, last_transaction', '1'), 'lane'));
        $buffer->close();
        $began = hrtime(true);
        unset($buffer);
        $isInTime = hrtime(true) - $began < self::GOODBYE_NS;
        // A busy machine may reach the bound of the end. Only then may rows stay, to be pruned.
        $left = (int) $this->value('SELECT COUNT(*) FROM write_buffer_ledger');
        self::assertTrue($left === 0 || !$isInTime, "{$left} rows");
    }

    /** Each lane gets over a lost connection by itself, and its rows are written once. */
    public function testKilledConnectionsLoseNothing(): void
    {
        $buffer = $this->lanes();
        $buffer->add(['id' => 1, 'symbol' => 'X', 'version' => 1], ['id' => 1, 'order_id' => 1]);
        $buffer->flush();
        for ($id = 2; $id <= 4_000; $id++) {
            $buffer->add(['id' => $id, 'symbol' => self::SYMBOLS[$id % 5], 'version' => 1], ['id' => $id, 'order_id' => $id]);
            if ($id % 500 === 0) {
                foreach ($this->bufferConnections() as $connection) {
                    try {
                        $this->admin()->exec("KILL {$connection}");
                    } catch (\PDOException $e) {
                        self::assertSame(1094, $e->errorInfo[1], $e->getMessage());
                    }
                }
            }
        }
        self::await('a flush that succeeds', static function () use ($buffer): bool {
            try {
                $buffer->flush();
            } catch (ConnectionException) {
                return false;
            }

            return true;
        });
        self::assertSame('4000', $this->value('SELECT COUNT(*) FROM lane_orders'));
        self::assertSame('4000', $this->value('SELECT COUNT(*) FROM lane_trades'));
        self::assertGreaterThan(1, $buffer->getMetrics()['reconnects']);
        self::assertSame([], $buffer->takeFailures());
    }

    /** As long as one lane keeps up, the others need no connection. */
    public function testWithoutABacklogOneConnectionIsEnough(): void
    {
        $buffer = $this->lanes(['flushIntervalMs' => 3_600_000]);
        for ($id = 1; $id <= 300; $id++) {
            $buffer->add(['id' => $id, 'symbol' => 'X', 'version' => 1], ['id' => $id, 'order_id' => $id]);
            if ($id % 10 === 0) {
                $buffer->flush();
            }
        }
        self::assertCount(1, $this->bufferConnections());
        $rows = array_column($buffer->getMetrics()['lane_metrics'], 'rows_committed');
        self::assertSame([600, 0, 0, 0], $rows);
    }

    public function testADifferentNumberOfLanesIsAnotherPersistentBuffer(): void
    {
        $settings = ['persistent' => 'lanes-' . bin2hex(random_bytes(4))];
        $this->lanes($settings);
        self::assertThrows(
            ConfigException::class,
            "the persistent buffer \"{$settings['persistent']}\" exists in this process with another DSN or other settings: "
                . 'give it the same ones everywhere, or use another name',
            fn () => $this->lanes(['lanes' => 2] + $settings),
        );
    }
}
