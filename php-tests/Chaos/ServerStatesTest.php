<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\Load;
use WriteBuffer\Tests\Chaos\Support\Writer;

/**
 * A server that refuses for a while: locked rows, killed connections, read-only, no connection
 * left.
 */
final class ServerStatesTest extends ChaosTestCase
{
    public function testRowsThatAForeignTransactionHolds(): void
    {
        $this->setGlobal('innodb_lock_wait_timeout', 1);
        $writer = $this->startWriter($this->dsn());
        $rounds = self::scaled(1, 3);
        for ($round = 1; $round <= $rounds; $round++) {
            $this->awaitMoreOrders(100);
            $before = $writer->metrics()['retries_lock_wait_timeout'];
            $holder = $this->connect();
            $holder->beginTransaction();
            $holder->exec('UPDATE ' . Load::ACCOUNTS . ' SET available = available + 0');
            // More than maxRetries, so a transaction that has failed for now is tried again later.
            $this->awaitMetric($writer, 'retries_lock_wait_timeout', $before + 2);
            $holder->rollBack();
        }
        $this->awaitMoreOrders(100);
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThanOrEqual(2 * $rounds, $writer->metric('retries_lock_wait_timeout'));
    }

    public function testConnectionsThatAreKilled(): void
    {
        $writer = $this->startWriter($this->dsn(), pauseUs: 50);
        $rounds = self::scaled(20, 100);
        $killed = 0;
        for ($round = 1; $round <= $rounds; $round++) {
            $this->awaitMoreOrders(1);
            foreach ($this->bufferConnections() as $id) {
                try {
                    $killed += (int) ($this->admin()->exec("KILL CONNECTION {$id}") !== false);
                } catch (\PDOException) {
                    // It has gone by itself.
                }
            }
        }
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThanOrEqual(intdiv($rounds, 2), $killed, 'hardly a connection was killed');
        // A session may be killed twice before it ends.
        self::assertGreaterThanOrEqual(intdiv($killed, 2), $writer->metric('reconnects'));
    }

    public function testAServerThatIsReadOnlyForAWhile(): void
    {
        $writer = $this->startWriter($this->dsn());
        $rounds = self::scaled(2, 5);
        for ($round = 1; $round <= $rounds; $round++) {
            $this->awaitMoreOrders(100);
            $this->setGlobal('read_only', 1);
            $this->awaitError($writer, '/read.only/i');
            $this->setGlobal('read_only', 0);
        }
        $this->awaitMoreOrders(100);
        $this->assertNothingLostOrDoubled();
    }

    public function testAServerWithoutAConnectionLeft(): void
    {
        $writer = $this->startWriter($this->dsn());
        $rounds = self::scaled(1, 3);
        for ($round = 1; $round <= $rounds; $round++) {
            $this->awaitMoreOrders(100);
            // Ten is the least that MariaDB takes. Open connections stay open, and no new one is
            // accepted.
            $others = array_map(fn (): \PDO => $this->connect(), range(1, 12));
            $others = array_map(static fn (\PDO $other): array => [$other, $other->query('SELECT CONNECTION_ID()')], $others);
            $kept = array_map(static fn (array $other): string => $other[1]->fetchColumn(), $others);
            $this->setGlobal('max_connections', 10);
            foreach (array_diff($this->bufferConnections(), $kept) as $id) {
                $this->admin()->exec("KILL CONNECTION {$id}");
            }
            $this->awaitError($writer, '/too many connections/i');
            $this->setGlobal('max_connections', 100);
            $others = [];
        }
        $this->awaitMoreOrders(100);
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThanOrEqual($rounds, $writer->metric('reconnects'));
    }

    private function awaitMetric(Writer $writer, string $name, int $least): void
    {
        $this->awaitUnderLoad(
            "{$name} of {$least}",
            static fn (): bool => $writer->metrics()[$name] >= $least,
        );
    }

    /** Waits until the writer's buffer is in backoff after an error like this. */
    private function awaitError(Writer $writer, string $pattern): void
    {
        $this->awaitUnderLoad($pattern, static function () use ($writer, $pattern): bool {
            $metrics = $writer->metrics();

            return $metrics['thread_state'] === 'backoff' && preg_match($pattern, (string) $metrics['last_error']) === 1;
        });
    }
}
