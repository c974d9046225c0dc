<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\BlockedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\TimeoutException;

/** Beside other writers: real deadlocks, real lock waits. */
final class ConcurrencyTest extends DatabaseTestCase
{
    /**
     * Another client. It says that it has its locks, waits for a line, and then wants a row that
     * the buffer has locked.
     */
    private const OPPONENT = <<<'PHP'
        $pdo = new PDO($argv[1], $argv[2], $argv[3], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        $pdo->exec('SET SESSION innodb_lock_wait_timeout = 600');
        $pdo->beginTransaction();
        // Many changed rows, because the server rolls back the transaction that has changed fewer.
        $pdo->exec('UPDATE wb_weight SET v = v + 1');
        $pdo->exec("UPDATE wb_trades SET v = 'theirs' WHERE id = 2");
        echo "locked\n";
        fgets(STDIN);
        try {
            $pdo->exec("UPDATE wb_orders SET v = 'theirs' WHERE id = 1");
            $pdo->commit();
            echo "committed\n";
        } catch (PDOException $lost) {
            echo 'lost: ', $lost->errorInfo[1], "\n";
        }
        PHP;

    private const WRITER = <<<'PHP'
        $buffer = new WriteBuffer(
            $argv[1],
            flushIntervalMs: 3_600_000,
            orderTable: 'wb_orders',
            tradeTable: 'wb_trades',
            tables: ['wb_trades' => ['mode' => 'upsert']],
        );
        $buffer->add(['id' => 1, 'v' => 'ours'], [['id' => 2, 'v' => 'ours'], ['id' => 3, 'v' => 'ours']]);
        echo "writing\n";
        $rows = $buffer->flush();
        echo $rows, ' rows, ', $buffer->getMetrics()['retries_deadlock'], " deadlock\n";
        PHP;

    protected function setUp(): void
    {
        parent::setUp();
        foreach (['wb_orders', 'wb_trades', 'wb_weight'] as $table) {
            $this->createTable($table, 'id INT PRIMARY KEY, v VARCHAR(20)');
        }
        $this->pdo()->exec("INSERT INTO wb_orders VALUES (1, 'before')");
        $this->pdo()->exec("INSERT INTO wb_trades VALUES (2, 'before')");
        $rows = array_map(static fn (int $id): string => "({$id}, 0)", range(1, 500));
        $this->pdo()->exec('INSERT INTO wb_weight VALUES ' . implode(', ', $rows));
    }

    private function opponent(): PhpProcess
    {
        $dsn = sprintf(
            'mysql:host=%s;port=%s;dbname=%s',
            self::setting('DB_HOST'),
            self::setting('DB_PORT'),
            self::setting('DB_DATABASE'),
        );

        return new PhpProcess(self::OPPONENT, [], [$dsn, self::setting('DB_USERNAME'), self::setting('DB_PASSWORD')]);
    }

    /**
     * The buffer locks order 1 and waits for trade 2. The other client has locked trade 2, and then
     * wants order 1.
     */
    public function testRepeatsTheTransactionThatADeadlockRolledBack(): void
    {
        $opponent = $this->opponent();
        $opponent->waitFor("locked\n");
        // One wait, however slow the machine is.
        $writer = new PhpProcess(self::WRITER, [], [$this->dsnWith('lock_wait_timeout_ms=600000')]);
        $writer->waitFor("writing\n");
        $this->awaitLockWait();
        $opponent->send('go on');
        self::assertSame("locked\ncommitted\n", $opponent->finish());
        self::assertSame("writing\n3 rows, 1 deadlock\n", $writer->finish());
        self::assertSame([['id' => '1', 'v' => 'ours']], $this->rows('wb_orders'), 'the buffer came last');
        self::assertSame([['id' => '2', 'v' => 'ours'], ['id' => '3', 'v' => 'ours']], $this->rows('wb_trades'));
        self::assertSame('500', $this->value('SELECT SUM(v) FROM wb_weight'), 'the other transaction is whole too');
    }

    public function testALockWaitThatIsOverKeepsTheRows(): void
    {
        $this->setGlobal('innodb_lock_wait_timeout', 1);
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec("UPDATE wb_trades SET v = 'held' WHERE id = 2");
        $buffer = $this->buffer(
            dsn: $this->patientDsn(),
            orderTable: 'wb_orders',
            tradeTable: 'wb_trades',
            tables: ['wb_trades' => ['mode' => 'upsert']],
            maxRetries: 1,
        );
        $buffer->add(['id' => 1, 'v' => 'ours'], ['id' => 2, 'v' => 'ours']);
        self::assertThrows(
            BlockedException::class,
            'table wb_trades: Lock wait timeout exceeded; try restarting transaction (2 rows still buffered)',
            static fn () => $buffer->flush(),
            1205,
        );
        self::assertSame(1, $buffer->getMetrics()['retries_lock_wait_timeout']);
        self::assertSame('before', $this->value('SELECT v FROM wb_orders'), 'the server rolled back the statement only');
        $locks = $this->admin()->query('SELECT COUNT(*) FROM information_schema.INNODB_TRX')->fetchColumn();
        self::assertSame('1', $locks, 'the failed transaction holds no lock any more');
        $holder->rollBack();
        self::assertSame(2, $buffer->flush());
        self::assertSame([['id' => '2', 'v' => 'ours']], $this->rows('wb_trades'));
    }

    public function testATimeoutBoundsAFlush(): void
    {
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec("UPDATE wb_orders SET v = 'held' WHERE id = 1");
        $buffer = $this->buffer(dsn: $this->patientDsn(), orderTable: 'wb_orders', tradeTable: 'wb_trades');
        // So it is connected, and knows the tables. It waits only for the lock.
        $buffer->add(['id' => 2, 'v' => 'ours'], ['id' => 8, 'v' => 'ours']);
        $buffer->flush();
        $buffer->add(['id' => 1, 'v' => 'ours'], ['id' => 9, 'v' => 'ours']);
        // On a busy machine the time may be over before the server is asked.
        self::await('a flush that the server does not answer', static function () use ($buffer): bool {
            $began = hrtime(true);
            $thrown = self::assertThrowsMatching(
                TimeoutException::class,
                '/\(2 rows still buffered\)$/D',
                static fn () => $buffer->flush(300),
            );
            self::assertGreaterThanOrEqual(250.0, (hrtime(true) - $began) / 1e6, 'milliseconds');

            return str_contains($thrown->getMessage(), 'in time');
        });
        // The lock is still held, so the flush returned because its time was over.
        self::assertCount(2, $buffer);
        self::assertSame('before', $this->value('SELECT v FROM wb_orders WHERE id = 1'));
        $holder->rollBack();
        self::assertSame(2, $buffer->flush());
        self::assertSame('ours', $this->value('SELECT v FROM wb_orders WHERE id = 1'));
        self::assertSame('1', $this->value('SELECT COUNT(*) FROM wb_trades WHERE id = 9'), 'once, and not twice');
        self::assertSame(1, $buffer->getMetrics()['reconnects']);
    }

    public function testDestructionIsBoundedToo(): void
    {
        $holder = $this->connect();
        $holder->beginTransaction();
        $holder->exec("UPDATE wb_orders SET v = 'held' WHERE id = 1");
        $warnings = [];
        // The lock is held to the end of the test. On a busy machine the time may be over before
        // the server is asked.
        self::await('an end that the server does not answer', function () use (&$warnings): bool {
            $buffer = $this->buffer(orderTable: 'wb_orders', tradeTable: 'wb_trades', shutdownTimeoutMs: 200);
            $buffer->add(['id' => 2, 'v' => 'ours']);
            $buffer->flush();
            $buffer->add(['id' => 1, 'v' => 'ours']);
            $warnings = self::warningsOf(static function () use (&$buffer): void {
                $buffer = null;
            });
            self::assertCount(1, $warnings);

            return str_contains($warnings[0], 'answer');
        });
        $place = self::setting('DB_HOST') . ':' . self::setting('DB_PORT') . '/' . self::setting('DB_DATABASE');
        self::assertSame(
            [
                "WriteBuffer: lost 1 buffered row: table wb_orders: the server did not answer in time ({$place}). They were for "
                    . "{$place}: 1 row of wb_orders (id 1). Call flush() or close() before the end to handle this, or set "
                    . 'deadLetterFile to keep them',
            ],
            $warnings,
        );
    }

    public function testManyWritersOfTheSameRowsLoseNothing(): void
    {
        $this->createTable('wb_balances', 'id INT PRIMARY KEY, available DECIMAL(20,4) NOT NULL DEFAULT 0');
        $code = <<<'PHP'
            $buffer = new WriteBuffer(
                $argv[1],
                batchSize: 5,
                maxRetries: 100,
                tables: ['wb_balances' => ['merge' => ['available' => 'sum']]],
            );
            mt_srand((int) $argv[2]);
            for ($round = 0; $round < 300; $round++) {
                $from = mt_rand(1, 6);
                $buffer->put('wb_balances', [
                    ['id' => $from, 'available' => '-0.0001'],
                    ['id' => $from % 6 + 1, 'available' => '0.0001'],
                    ['id' => 7, 'available' => 1],
                ]);
            }
            $buffer->close();
            echo $buffer->getMetrics()['rows_committed'];
            PHP;
        $writers = array_map(
            fn (int $seed): PhpProcess => new PhpProcess($code, [], [$this->dsn(), (string) $seed]),
            range(1, 3),
        );
        foreach ($writers as $writer) {
            self::assertSame('900', $writer->finish());
        }
        self::assertSame('900.0000', $this->value('SELECT available FROM wb_balances WHERE id = 7'));
        self::assertSame('0.0000', $this->value('SELECT SUM(available) FROM wb_balances WHERE id < 7'));
    }

    /** Statements wait for a lock as long as the server has them: nobody looks. */
    private function patientDsn(): string
    {
        return $this->defaultDsn() . '&lock_wait_timeout_ms=1000';
    }
}
