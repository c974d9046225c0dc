<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Journal;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\JournalWriter;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Support\KeepsJournal;

/**
 * Processes with a journal that are killed at random moments: those that write, those that recover,
 * and the server. The judge is plain PDO, row by row, against a log to which each writer has
 * appended after add() had returned: nothing of that is lost, at most the group that was under way
 * is there beside, nothing is there twice, and no key has an older value.
 *
 * WRITE_BUFFER_JOURNAL_SEED repeats a run's choices.
 */
final class JournalTest extends ChaosTestCase
{
    use KeepsJournal;

    /** @var array<int, string> by writer, its log */
    private array $logs = [];

    private int $kills = 0;

    private int $seed;

    protected function setUp(): void
    {
        parent::setUp();
        $this->makeJournal();
        $this->kills = 0;
        $this->logs = [];
        foreach (JournalWriter::definitions() as $table => $definition) {
            $this->createTable($table, $definition);
        }
        $this->dropLater('DROP TABLE IF EXISTS ' . JournalWriter::FLAKY . '_away');
        $this->seed = (int) (getenv('WRITE_BUFFER_JOURNAL_SEED') ?: random_int(1, 1_000_000));
        mt_srand($this->seed);
    }

    protected function tearDown(): void
    {
        if (getenv('DB_CONTROL_DIR') !== false) {
            $this->bringServerBack();
        }
        parent::tearDown();
        array_map('unlink', array_filter($this->logs, 'is_file'));
        $this->removeJournal();
    }

    /** @return iterable<string, array{string, int, int}> settings, and how many kills */
    public static function settings(): iterable
    {
        yield 'none' => ['lanes: 1', 14, 250];
        yield 'none, lanes by key' => ["lanes: 3, routeBy: 'id'", 7, 125];
        yield 'none, lanes in runs' => ['lanes: 3, batchSize: 2', 7, 125];
        // Nearly all that waits is in the journal alone.
        yield 'none, little memory' => ['lanes: 1, maxPendingBytes: 131072', 10, 200];
        yield 'none, lanes, little memory' => ['lanes: 2, maxPendingBytes: 262144', 8, 150];
        yield 'interval' => ["journalSync: 'interval', journalSyncMs: 1, lanes: 1", 8, 150];
        yield 'interval, lanes' => ["journalSync: 'interval', journalSyncMs: 1, lanes: 2, routeBy: 'id'", 7, 150];
        yield 'always' => ["journalSync: 'always', lanes: 2", 7, 200];
    }

    /**
     * @dataProvider settings
     */
    #[DataProvider('settings')]
    public function testKillsAtRandomMoments(string $settings, int $short, int $full): void
    {
        $this->killUntil(self::scaled($short, $full), $settings, fn () => null);
        $this->assertEachRowOnce();
    }

    /** Nobody starts: one that lives looks, and gives whoever starts half a minute. */
    public function testAProcessThatLivesWritesWhatAnotherLeaves(): void
    {
        if (self::scaled(true, false)) {
            self::markTestSkipped('it takes a minute: make test-chaos');
        }
        $start = fn (string $settings, int $id): ChildProcess => $this->start(<<<PHP
            \$buffer = Child::buffer({$settings}, journal: \$argv[1]);
            Child::add(\$buffer, {$id});
            Child::say('taken');
            Child::hear();
            PHP, [$this->journal]);
        $living = $start('flushIntervalMs: 1', 1);
        $living->waitFor('taken');
        $dying = $start('batchSize: 10_000, flushIntervalMs: 3_600_000', 2);
        $dying->waitFor('taken');
        $dying->signal(SIGKILL);
        // Longer than anything else is waited for.
        $limit = hrtime(true) + 180 * 10 ** 9;
        while ($this->orderCount() < 2) {
            self::assertLessThan($limit, hrtime(true), 'the dead one\'s order');
            usleep(100_000);
        }
        self::await('no folder but its own', fn (): bool => count($this->folders()) === 1);
        $living->send();
        $this->assertEndsWell($living);
        self::assertSame([], $this->folders());
    }

    public function testTheServerIsKilledToo(): void
    {
        self::wantServer(true);
        $killed = 0;
        $awaitServer = function () use (&$killed): void {
            self::await('another server process', static fn (): bool => self::serverPid() !== $killed);
            $this->forgetConnections();
        };
        $this->killUntil(self::scaled(8, 60), "lanes: 2, routeBy: 'id'", static function () use (&$killed, $awaitServer): void {
            $awaitServer();
            $killed = self::serverPid();
            self::assertTrue(posix_kill($killed, SIGKILL));
            if (mt_rand(0, 1) === 1) {
                $awaitServer();
            }
        });
        $awaitServer();
        $this->assertEachRowOnce();
    }

    /**
     * Starts processes that write, or only recover, and kills them, some steps later.
     *
     * @param callable(): mixed $beside what is done while they run
     */
    private function killUntil(int $kills, string $settings, callable $beside): void
    {
        while ($this->kills < $kills) {
            $running = [];
            for ($count = mt_rand(1, 3); $count > 0; $count--) {
                $running[] = $this->startOne($settings);
            }
            // What there is to do is a matter of work, not of time.
            $target = mt_rand(0, 3) === 0 ? 0 : mt_rand(1, 400);
            // While a table is away a writer goes on until it has no more room, which may be now.
            $this->awaitSteps($running, $target, array_map(static fn (): int => 0, $running));
            if ($this->moveFlaky() && mt_rand(0, 1) === 1) {
                // What had waited for the table is written, and more after it.
                $this->awaitFlakyRows($running);
                $this->awaitSteps($running, mt_rand(0, 100), array_map($this->steps(...), $running));
            }
            $beside();
            shuffle($running);
            foreach ($running as [$writer, $child]) {
                if ($child->ending() === null) {
                    $child->signal(SIGKILL);
                    $this->kills++;
                }
                $ending = $child->finish();
                self::assertContains($ending, ['signal 9', 'exit 0'], "seed {$this->seed}: {$child->describe()}");
                self::assertSame('', $child->complained(), "seed {$this->seed}");
            }
        }
    }

    /** @return array{?int, ChildProcess} the writer's number; null: it only recovers */
    private function startOne(string $settings): array
    {
        $support = var_export(__DIR__ . '/Support/JournalWriter.php', true);
        $uses = "use WriteBuffer\\Tests\\Chaos\\Support\\JournalWriter;\nrequire {$support};\n";
        if (mt_rand(0, 3) === 0) {
            $code = <<<'PHP'
                Child::say('ready');
                try {
                    WriteBuffer\Journal::recover($argv[1], $argv[2], 50);
                } catch (WriteBuffer\TimeoutException) {
                    // The server was killed, or is slow.
                }
                PHP;
            $child = $this->start($code, [$this->journal, $this->writersDsn()]);
            $child->waitFor('ready');

            return [null, $child];
        }
        $writer = count($this->logs) + 1;
        $this->logs[$writer] = "{$this->journal}.{$writer}.log";
        $child = $this->start(
            "{$uses}JournalWriter::run(JournalWriter::buffer(journal: \$argv[1], {$settings}), (int) \$argv[2], \$argv[3]);",
            [$this->journal, (string) $writer, $this->logs[$writer]],
        );
        $child->waitFor('writing');

        return [$writer, $child];
    }

    /** @param array{?int, ChildProcess} $one */
    private function steps(array $one): int
    {
        if ($one[0] === null) {
            return 0;
        }
        clearstatcache();

        return JournalWriter::saidSteps($this->logs[$one[0]]);
    }

    private function writersDsn(): string
    {
        return $this->dsnWith('connect_timeout_ms=60000&lock_wait_timeout_ms=3600000');
    }

    /**
     * Waits until each writer has gone on.
     *
     * @param list<array{?int, ChildProcess}> $running
     * @param list<int>                       $begun   from which step on
     */
    private function awaitSteps(array $running, int $steps, array $begun): void
    {
        $deadline = self::deadline();
        foreach ($running as $at => [$writer, $child]) {
            while ($writer !== null && $this->steps($running[$at]) - $begun[$at] < $steps) {
                self::assertLessThan($deadline, hrtime(true), "seed {$this->seed}: {$child->describe()}");
                self::assertNull($child->ending(), "seed {$this->seed}: {$child->describe()}");
                $child->listen(0.001);
            }
        }
    }

    /**
     * Waits until there are more rows in the table that was away.
     *
     * @param list<array{?int, ChildProcess}> $running
     */
    private function awaitFlakyRows(array $running): void
    {
        if (array_filter(array_column($running, 0)) === []) {
            return;
        }
        $count = 'SELECT COUNT(*) FROM ' . JournalWriter::FLAKY;
        $before = (int) $this->value($count);
        self::await('rows in the table that is back', fn (): bool => (int) $this->value($count) > $before);
    }

    /** A table goes, or comes back. Returns whether it has come back. */
    private function moveFlaky(): bool
    {
        return mt_rand(0, 1) === 0 && $this->renameFlaky();
    }

    private function renameFlaky(): bool
    {
        $table = JournalWriter::FLAKY;
        try {
            $isThere = $this->isFlakyThere();
            [$from, $to] = $isThere ? ['', '_away'] : ['_away', ''];
            $this->pdo()->exec("RENAME TABLE {$table}{$from} TO {$table}{$to}");

            return !$isThere;
        } catch (\PDOException) {
            // The server was killed, before it or after it.
            $this->forgetConnections();

            return false;
        }
    }

    private function isFlakyThere(): bool
    {
        return $this->value("SHOW TABLES LIKE '" . JournalWriter::FLAKY . "'") !== null;
    }

    private function assertEachRowOnce(): void
    {
        if (!$this->isFlakyThere()) {
            $this->renameFlaky();
        }
        self::assertTrue($this->isFlakyThere());
        self::await('an empty journal', function (): bool {
            Journal::recover($this->journal, $this->writersDsn());

            return $this->folders() === [];
        });
        self::assertSame([], $this->deadLetters());
        [$trades, $flaky, $last, $sums, $extra] = [[], [], [], array_fill(0, JournalWriter::SUM_ROWS, 0), 0];
        foreach ($this->logs as $writer => $log) {
            $steps = JournalWriter::saidSteps($log);
            $base = $writer * JournalWriter::SPAN;
            // The group that was under way.
            if ($this->value('SELECT id FROM ' . Child::ORDERS . ' WHERE id = ' . ($base + $steps + 1)) !== null) {
                $steps++;
                $extra++;
            }
            for ($step = 1; $step <= $steps; $step++) {
                $trades[] = $base + $step;
                if ($step % 5 === 0) {
                    $flaky[] = $base + $step;
                }
                $last[$writer * JournalWriter::KEYS + $step % JournalWriter::KEYS] = $step;
                $sums[$step % JournalWriter::SUM_ROWS]++;
            }
        }
        self::assertNotSame([], $trades);
        $said = "seed {$this->seed}, {$this->kills} kills, " . count($trades) . " groups, {$extra} under way\n";
        fwrite(STDERR, $said);
        $this->assertSameList(
            array_map(static fn (int $id): array => array_values(Child::order($id)), $trades),
            'SELECT id, v, n FROM ' . Child::ORDERS . ' ORDER BY id',
            $said,
        );
        $each = array_merge(...array_map(Child::trades(...), $trades));
        $this->assertSameList(
            array_map('array_values', $each),
            'SELECT id, order_id FROM ' . Child::TRADES . ' ORDER BY id, seq',
            $said,
        );
        $this->assertSameList(
            array_map(static fn (int $id): array => [$id], $flaky),
            'SELECT id FROM ' . JournalWriter::FLAKY . ' ORDER BY id, seq',
            $said,
        );
        ksort($last);
        $this->assertSameList(
            array_map(null, array_keys($last), $last),
            'SELECT id, step FROM ' . JournalWriter::LAST . ' ORDER BY id',
            $said,
        );
        $sums = array_filter($sums);
        $this->assertSameList(
            array_map(null, array_keys($sums), $sums),
            'SELECT id, n FROM ' . JournalWriter::SUMS . ' ORDER BY id',
            $said,
        );
    }

    /** @param list<list<int|string>> $expected */
    private function assertSameList(array $expected, string $sql, string $said): void
    {
        $statement = $this->pdo()->query($sql);
        foreach ($expected as $at => $row) {
            $found = $statement->fetch(\PDO::FETCH_NUM);
            if ($found !== array_map('strval', $row)) {
                self::assertSame(array_map('strval', $row), $found, "{$said}row {$at} of {$sql}");
            }
        }
        self::assertFalse($statement->fetch(\PDO::FETCH_NUM), "{$said}more rows: {$sql}");
    }
}
