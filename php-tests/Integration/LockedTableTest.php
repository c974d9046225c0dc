<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use SyncWriteBuffer;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** Somebody holds locks for long: on a row, on a table. That holds up that table, no other one. */
final class LockedTableTest extends DatabaseTestCase
{
    private const HELD = 'wb_held';
    private const FREE = 'wb_free';

    /** Fewer than are sent ahead at once. */
    private const STATEMENTS = 12;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::HELD, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable(self::FREE, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->pdo()->exec('INSERT INTO ' . self::HELD . ' VALUES (0, 0)');
    }

    /** @return iterable<string, array{string, string}> how it is locked, and how it is released */
    private static function locks(): iterable
    {
        yield 'a row' => ['UPDATE ' . self::HELD . ' SET v = v + 100 WHERE id = 0', 'ROLLBACK'];
        yield 'a table' => ['LOCK TABLES ' . self::HELD . ' WRITE', 'UNLOCK TABLES'];
    }

    /** @return iterable<string, array{string, string, array<string, mixed>}> */
    public static function held(): iterable
    {
        foreach (self::locks() as $name => [$lock, $release]) {
            yield "{$name}, background" => [$lock, $release, ['background' => true]];
            yield "{$name}, lanes" => [$lock, $release, ['background' => true, 'lanes' => 4]];
        }
    }

    private function holder(string $lock): PDO
    {
        $holder = $this->connect();
        $holder->exec('SET autocommit = 0');
        $holder->exec($lock);

        return $holder;
    }

    /**
     * @dataProvider held
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('held')]
    public function testALockedTableHoldsUpNothingElse(string $lock, string $release, array $settings): void
    {
        $sum = ['merge' => ['v' => 'sum']];
        $tables = ['tables' => [self::HELD => $sum, self::FREE => $sum]];
        $buffer = $this->buffer(...$settings + $tables + ['flushIntervalMs' => 1, 'parkTimeoutMs' => 1]);
        $buffer->put(self::HELD, ['id' => 0, 'v' => 1]);
        $buffer->put(self::FREE, ['id' => 0, 'v' => 1]);
        $buffer->flush();
        $holder = $this->holder($lock);
        $written = fn (): string => (string) $this->value('SELECT COALESCE(SUM(v), 0) FROM ' . self::FREE);
        for ($round = 1; $round <= 3; $round++) {
            $buffer->put(self::HELD, [['id' => 0, 'v' => 1], ['id' => $round, 'v' => 1]]);
            $buffer->put(self::FREE, ['id' => $round, 'v' => 1]);
            self::await("the other table's row {$round}", static fn (): bool => $written() === (string) ($round + 1));
        }
        self::await('it is parked', static fn (): bool => $buffer->getMetrics()['rows_parked'] === 6);
        $parked = $buffer->getMetrics()['tables_parked'];
        self::assertSame([self::HELD], array_map(static fn (string $name): string => basename(strtr($name, '.', '/')), array_keys($parked)));
        self::assertSame(1205, $parked[array_key_first($parked)]['code'], json_encode($parked));
        self::assertSame(['id' => 0, 'v' => 3], $buffer->find(self::HELD, 0));
        // It is tried again and again, and the others go on.
        $retries = $buffer->getMetrics()['retries_lock_wait_timeout'];
        self::await('it is tried again', static function () use ($buffer, $retries): bool {
            $buffer->put(self::FREE, ['id' => 9, 'v' => 0]);

            return $buffer->getMetrics()['retries_lock_wait_timeout'] >= $retries + 2;
        });
        self::await('all others are written', static fn (): bool => count($buffer) === 6);
        // A lock passes by itself: nothing is given up, whatever parkTimeoutMs says.
        self::assertSame(0, $buffer->getMetrics()['rows_refused']);
        $holder->exec($release);
        self::await('it is written', static fn (): bool => count($buffer) === 0);
        self::assertSame(
            [['id' => '0', 'v' => '4'], ['id' => '1', 'v' => '1'], ['id' => '2', 'v' => '1'], ['id' => '3', 'v' => '1']],
            $this->rows(self::HELD),
        );
        self::assertSame([], $buffer->getMetrics()['tables_parked']);
        self::assertSame(0, $buffer->getMetrics()['rows_refused']);
    }

    /**
     * @return iterable<string, array{string, string, string, 3?: float}> lock, right, words, and
     *         the seconds of a slow start
     */
    public static function seen(): iterable
    {
        ['a row' => [$row], 'a table' => [$table]] = iterator_to_array(self::locks());
        yield 'a table, by an account without rights' => [$table, '', 'has locked the table'];
        yield 'a table, by an account that may look' => [$table, 'PROCESS', 'has locked the table'];
        yield 'a row, by an account that may look' => [$row, 'PROCESS', 'has locked a row'];
        // The first look finds nothing.
        yield 'a row, after a while' => [$row, 'PROCESS', 'has locked a row', 0.3];
    }

    /**
     * A lock is seen before the server's own second is over. A machine that is too slow for that
     * falls back to it, so there are several tries.
     *
     * @dataProvider seen
     */
    #[DataProvider('seen')]
    public function testALockIsSeenFromASecondConnection(
        string $lock,
        string $right,
        string $said,
        float $slowStart = 0.0,
    ): void {
        if ($slowStart > 0.0) {
            $this->admin()->exec('CREATE TRIGGER wb_slow BEFORE INSERT ON ' . self::HELD
                . " FOR EACH ROW SET NEW.v = NEW.v + SLEEP({$slowStart})");
        }
        $account = "'wb_looks'@'127.0.0.1'";
        $this->dropLater("DROP USER IF EXISTS {$account}");
        $this->admin()->exec("CREATE USER {$account} IDENTIFIED BY 'wb-7Wq'");
        $this->admin()->exec('GRANT ALL ON ' . self::setting('DB_DATABASE') . ".* TO {$account}");
        if ($right !== '') {
            $this->admin()->exec("GRANT {$right} ON *.* TO {$account}");
        }
        $dsn = sprintf('mysql://wb_looks:wb-7Wq@127.0.0.1:%s/%s', self::setting('DB_PORT'), self::setting('DB_DATABASE'));
        $buffer = $this->buffer(dsn: $dsn, background: true, flushIntervalMs: 1);
        $rows = 0;
        self::await('a lock that is seen', function () use ($buffer, $lock, $said, &$rows): bool {
            $holder = $this->holder($lock);
            $buffer->put(self::HELD, ['id' => 0, 'v' => ++$rows]);
            self::await('it is parked', static fn (): bool => $buffer->getMetrics()['tables_parked'] !== []);
            $parked = $buffer->getMetrics()['tables_parked'];
            $found = $parked[array_key_first($parked)];
            self::assertSame(1205, $found['code']);
            // The session is ended: it holds nothing, and waits for nothing.
            self::await('no session that waits', fn (): bool => $this->waitingSessions() === 0);
            unset($holder);
            self::assertSame(1, $buffer->flush());
            self::assertSame((string) $rows, $this->value('SELECT v FROM ' . self::HELD));

            return str_contains($found['message'], "somebody {$said}");
        });
        self::assertSame(0, $buffer->getMetrics()['rows_refused']);
    }

    /** It has no answer for long either, and is not given up. */
    public function testASlowStatementIsNotTakenForALock(): void
    {
        $this->makeSlow();
        $buffer = $this->buffer(background: true, flushIntervalMs: 1);
        foreach ([1, 2] as $value) {
            $buffer->put(self::HELD, ['id' => 0, 'v' => $value]);
            self::assertSame(1, $buffer->flush());
            self::assertSame((string) $value, $this->value('SELECT v FROM ' . self::HELD));
        }
        self::assertSame(0, $buffer->getMetrics()['retries_lock_wait_timeout']);
        self::assertSame([], $buffer->getMetrics()['tables_parked']);
    }

    /** Somebody else waits for a row all the time, and without rights nobody can tell who. */
    public function testASlowStatementBesideWaitsOfOthersIsWritten(): void
    {
        $this->makeSlow();
        $this->createTable('wb_others', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->pdo()->exec('INSERT INTO wb_others VALUES (1, 1)');
        $holder = $this->holder('UPDATE wb_others SET v = 2');
        $waiter = new PhpProcess(<<<'PHP'
            $pdo = new PDO($argv[1], $argv[2], $argv[3], [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
            $pdo->exec('SET innodb_lock_wait_timeout = 600');
            echo "waits\n";
            $pdo->exec('UPDATE wb_others SET v = 3');
            echo "ended\n";
            PHP, [], [
            sprintf('mysql:host=127.0.0.1;port=%s;dbname=%s', self::setting('DB_PORT'), self::setting('DB_DATABASE')),
            self::setting('DB_USERNAME'),
            self::setting('DB_PASSWORD'),
        ]);
        $waiter->waitFor("waits\n");
        self::await('it waits', fn (): bool => $this->globalStatus('Innodb_row_lock_current_waits') > 0);
        $buffer = $this->buffer(background: true, flushIntervalMs: 1);
        $buffer->put(self::HELD, ['id' => 0, 'v' => 1]);
        self::await('it is written', fn (): bool => $this->value('SELECT v FROM ' . self::HELD) === '1');
        $buffer->flush();
        self::assertSame(0, $buffer->getMetrics()['retries_lock_wait_timeout']);
        self::assertSame([], $buffer->getMetrics()['tables_parked']);
        $holder->exec('ROLLBACK');
        self::assertSame("waits\nended\n", $waiter->finish());
    }

    /** Whoever says how long to wait for a lock gets that wait, and no second connection. */
    public function testATimeOfTheDsnIsWaitedFor(): void
    {
        $buffer = $this->buffer(dsn: $this->defaultDsn() . '&lock_wait_timeout_ms=1000', background: true, flushIntervalMs: 1);
        $holder = $this->holder('LOCK TABLES ' . self::HELD . ' WRITE');
        $buffer->put(self::HELD, ['id' => 0, 'v' => 1]);
        self::await('it is parked', static fn (): bool => $buffer->getMetrics()['tables_parked'] !== []);
        $parked = $buffer->getMetrics()['tables_parked'];
        self::assertStringContainsString('Lock wait timeout exceeded', $parked[array_key_first($parked)]['message']);
        $holder->exec('UNLOCK TABLES');
        self::assertSame(1, $buffer->flush());
    }

    /** As long as the server's own time-out: then it says so, and all else is written. */
    public function testAFlushInTheForegroundFailsWhenTheServersTimeIsOver(): void
    {
        $this->setGlobal('innodb_lock_wait_timeout', 1);
        foreach (self::locks() as $name => [$lock, $release]) {
            $this->pdo()->exec('DELETE FROM ' . self::FREE);
            $buffer = $this->buffer(background: false);
            $buffer->put(self::HELD, ['id' => 0, 'v' => 1]);
            $buffer->put(self::FREE, ['id' => 1, 'v' => 1]);
            $holder = $this->holder($lock);
            $failed = self::thrownBy(static fn () => $buffer->flush());
            self::assertInstanceOf(FlushException::class, $failed, $name);
            self::assertSame(1205, $failed->getCode(), $failed->getMessage());
            self::assertStringContainsString(self::HELD, $failed->getMessage());
            self::assertSame([['id' => '1', 'v' => '1']], $this->rows(self::FREE), $name);
            self::assertCount(1, $buffer);
            $holder->exec($release);
            self::assertSame(1, $buffer->flush());
            self::assertSame('1', $this->value('SELECT v FROM ' . self::HELD));
        }
    }

    /** Its time is counted by the clock: there are pauses between the waits for a lock. */
    public function testAFlushWaitsNoLongerThanTheServersTime(): void
    {
        $secondsMax = 8;
        $this->setGlobal('innodb_lock_wait_timeout', $secondsMax);
        $buffer = $this->buffer(background: false);
        $buffer->put(self::HELD, ['id' => 0, 'v' => 1]);
        [$lock, $release] = array_values(iterator_to_array(self::locks()))[0];
        $holder = $this->holder($lock);
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        // Each wait is a second.
        self::assertLessThan($secondsMax - 1, $buffer->getMetrics()['retries_lock_wait_timeout']);
        $holder->exec($release);
        self::assertSame(1, $buffer->flush());
    }

    /** @return iterable<string, array{bool}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [false];
        yield 'background' => [true];
    }

    /**
     * A flush waits as long as the server would: for much longer than a statement does.
     *
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testAFlushAndAnEndWaitForALock(bool $background): void
    {
        $code = <<<'PHP'
            $buffer = new WriteBuffer($argv[1], background: (bool) $argv[2], flushIntervalMs: 3_600_000, shutdownTimeoutMs: 600_000);
            $buffer->put('wb_held', ['id' => 0, 'v' => 1]);
            $buffer->put('wb_free', ['id' => 1, 'v' => 1]);
            echo "writing\n";
            if ($argv[3] === 'flush') {
                echo $buffer->flush(), " rows\n";
            }
            unset($buffer);
            echo "ended\n";
            PHP;
        foreach (['flush' => "writing\n2 rows\nended\n", 'end' => "writing\nended\n"] as $call => $said) {
            $this->pdo()->exec('UPDATE ' . self::HELD . ' SET v = 0');
            $this->pdo()->exec('DELETE FROM ' . self::FREE);
            $holder = $this->holder('UPDATE ' . self::HELD . ' SET v = 7 WHERE id = 0');
            $waits = $this->rowLockWaits();
            $writer = new PhpProcess($code, [], [$this->dsn(), (string) (int) $background, $call]);
            $writer->waitFor("writing\n");
            // Four waits: it was parked in between, and tried again.
            self::await('waits for the lock', fn (): bool => $this->rowLockWaits() >= $waits + 4);
            self::assertSame('1', $this->value('SELECT v FROM ' . self::FREE), 'the other table was written meanwhile');
            $holder->exec('ROLLBACK');
            self::assertSame($said, $writer->finish());
            self::assertSame('1', $this->value('SELECT v FROM ' . self::HELD));
        }
    }

    /** The first statement's wait is over. What was sent behind it does not wait in its turn. */
    public function testWhatWasSentBehindALockedRowDoesNotWaitToo(): void
    {
        $columns = array_map(static fn (int $at): string => "c{$at}", range(1, self::STATEMENTS));
        $definition = implode(', ', array_map(static fn (string $column): string => "{$column} INT NOT NULL DEFAULT 0", $columns));
        $this->createTable('wb_wide', "id INT PRIMARY KEY, {$definition}");
        // Other columns are another statement.
        $rows = [];
        foreach ($columns as $at => $column) {
            $rows[] = ['id' => $at, $column => 1];
            $this->pdo()->exec("INSERT INTO wb_wide (id) VALUES ({$at})");
        }
        $this->setGlobal('innodb_lock_wait_timeout', 3);
        $buffer = new SyncWriteBuffer(
            $this->defaultDsn(),
            maxRetries: 0,
            tables: ['wb_wide' => ['merge' => array_fill_keys($columns, 'sum')]],
        );
        // All statements are prepared, so nothing but the locks is waited for.
        $buffer->put('wb_wide', $rows);
        $holder = $this->holder('UPDATE wb_wide SET c1 = c1 + 100');
        $before = $this->rowLockWaits();
        $kills = $this->globalStatus('Com_kill');
        $failed = self::thrownBy(static fn () => $buffer->put('wb_wide', $rows));
        self::assertSame(1205, $failed?->getCode(), (string) $failed);
        // Before the caller hears of it: the buffer may not be used again for long.
        self::assertSame($kills + 1, $this->globalStatus('Com_kill'));
        self::assertLessThanOrEqual(2, $this->rowLockWaits() - $before);
        $holder->exec('ROLLBACK');
        $buffer->put('wb_wide', $rows);
        self::assertLessThanOrEqual(3, $this->rowLockWaits() - $before);
        foreach ($columns as $at => $column) {
            self::assertSame('2', $this->value("SELECT {$column} FROM wb_wide WHERE id = {$at}"), 'each twice, as put() returned twice');
        }
        self::assertSame((string) (2 * self::STATEMENTS), $this->value('SELECT ' . implode(' + ', array_map(
            static fn (string $column): string => "SUM({$column})",
            $columns,
        )) . ' FROM wb_wide'));
    }

    /** How often a statement has waited for a row, on the whole server. */
    private function rowLockWaits(): int
    {
        return $this->globalStatus('Innodb_row_lock_waits');
    }

    /** An update takes longer than a statement is waited for without a look. */
    private function makeSlow(): void
    {
        // Amid another account's trigger the session would not show in the list of this one's.
        [$user, $host] = explode('@', (string) $this->value('SELECT CURRENT_USER()'));
        $this->admin()->exec("CREATE DEFINER = '{$user}'@'{$host}' TRIGGER wb_slow BEFORE UPDATE ON " . self::HELD
            . ' FOR EACH ROW SET NEW.v = NEW.v + SLEEP(0.6)');
    }

    /** The sessions of the buffer's account that wait for a table. */
    private function waitingSessions(): int
    {
        return (int) $this->admin()->query("SELECT COUNT(*) FROM information_schema.PROCESSLIST
            WHERE USER = 'wb_looks' AND (STATE LIKE 'Waiting for%' OR COMMAND = 'Execute')")->fetchColumn();
    }

    private function globalStatus(string $name): int
    {
        return (int) $this->admin()->query("SHOW GLOBAL STATUS LIKE '{$name}'")->fetchColumn(1);
    }
}
