<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PDO;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;

/** A cluster of three nodes, all of which take writes: scripts/with-galera. */
final class GaleraTest extends ChaosTestCase
{
    private const RESTART_TIMEOUT_S = 180.0;

    protected function setUp(): void
    {
        parent::setUp();
        // A node then answers only when it has what the others have committed.
        $this->pdo()->exec('SET SESSION wsrep_sync_wait = 1');
    }

    protected function tearDown(): void
    {
        foreach ([2, 3] as $node) {
            if (!is_dir('/proc/' . self::nodePid($node))) {
                self::startNode($node);
                self::await("node {$node}", static fn (): bool => is_dir('/proc/' . self::nodePid($node)));
            }
        }
        parent::tearDown();
    }

    /**
     * Each node accepts the statements of its own writer. At COMMIT the cluster refuses what
     * conflicts with another node.
     */
    public function testWritersOnDifferentNodesInConflict(): void
    {
        $before = $this->conflicts();
        foreach ([1, 2, 3] as $node) {
            $this->startWriter(self::setting("GALERA_DSN_{$node}"), $node);
        }
        $least = self::scaled(20, 200);
        $this->awaitUnderLoad("{$least} conflicts", fn (): bool => $this->conflicts() - $before >= $least);
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThan(10, $this->total('retries_deadlock'), $this->describeAll());
    }

    public function testANodeThatIsKilledUnderLoad(): void
    {
        $hosts = sprintf('@127.0.0.1:%s,127.0.0.1:%s/', self::setting('GALERA_PORT_2'), self::setting('GALERA_PORT_3'));
        $dsn = (string) preg_replace('~@[^/]*/~', $hosts, self::setting('GALERA_DSN_2'), 1);
        $writer = $this->startWriter($dsn, 1);
        $other = $this->startWriter(self::setting('GALERA_DSN_1'), 2);
        $deaths = self::scaled(1, 6);
        for ($death = 1; $death <= $deaths; $death++) {
            $this->awaitMoreOrders(300);
            $node = 0;
            // The orders may all be the other writer's, while this one connects.
            $this->awaitUnderLoad('a session of the writer', function () use (&$node): bool {
                $node = $this->nodeOfWriter();

                return $node !== 0;
            });
            $pid = self::nodePid($node);
            $reconnects = $writer->metrics()['reconnects'];
            self::assertTrue(posix_kill($pid, SIGKILL), "death {$death} of {$deaths}");
            $this->awaitUnderLoad('the next node', function () use ($writer, $reconnects, $node): bool {
                return $writer->metrics()['reconnects'] > $reconnects && $this->nodeOfWriter() === 5 - $node;
            });
            self::startNode($node);
            $this->awaitUnderLoad(
                "node {$node} again",
                static fn (): bool => self::nodePid($node) !== $pid,
                self::RESTART_TIMEOUT_S,
            );
        }
        $this->awaitMoreOrders(300);
        $this->assertNothingLostOrDoubled();
        self::assertGreaterThanOrEqual($deaths, $writer->metric('reconnects'), $this->describeAll());
        self::assertSame(0, $other->metric('rows_refused'));
    }

    private static function nodePid(int $node): int
    {
        $ready = (string) file_get_contents(self::setting("GALERA_CONTROL_DIR_{$node}") . '/ready');

        return (int) explode(' ', $ready)[1];
    }

    private static function startNode(int $node): void
    {
        touch(self::setting("GALERA_CONTROL_DIR_{$node}") . '/restart');
    }

    private static function node(int $node): PDO
    {
        return new PDO(
            'mysql:unix_socket=' . self::setting("GALERA_SOCKET_{$node}"),
            'root',
            null,
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /** How many transactions all nodes have refused, or rolled back because of another node's. */
    private function conflicts(): int
    {
        $sum = 0;
        foreach ([1, 2, 3] as $node) {
            $sum += (int) self::node($node)->query(
                "SELECT SUM(VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS"
                . " WHERE VARIABLE_NAME IN ('wsrep_local_cert_failures', 'wsrep_local_bf_aborts')",
            )->fetchColumn();
        }

        return $sum;
    }

    /** Which of the nodes 2 and 3 has a buffer's session now, or 0. */
    private function nodeOfWriter(): int
    {
        foreach ([2, 3] as $node) {
            try {
                $sessions = self::node($node)->query(
                    'SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '
                    . $this->admin()->quote(self::setting('DB_USERNAME')),
                )->fetchColumn();
            } catch (\PDOException) {
                // It is dead.
                continue;
            }
            if ($sessions !== '0') {
                return $node;
            }
        }

        return 0;
    }
}
