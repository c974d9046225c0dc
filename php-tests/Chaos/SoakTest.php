<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\Soak\DeadLetters;
use WriteBuffer\Tests\Chaos\Support\Soak\Groups;
use WriteBuffer\Tests\Chaos\Support\Soak\Harm;
use WriteBuffer\Tests\Chaos\Support\Soak\Judge;
use WriteBuffer\Tests\Chaos\Support\Soak\Lateness;
use WriteBuffer\Tests\Chaos\Support\Soak\Schedule;
use WriteBuffer\Tests\Chaos\Support\Soak\Tables;
use WriteBuffer\Tests\Chaos\Support\Soak\WorkerLog;
use WriteBuffer\Tests\Process\Support\ChildProcess;

/**
 * Everything at once, for long: tables and columns come and go, rights are taken and given, a table
 * is locked, the server is restarted and killed, while processes write to ten tables. At the end
 * each row is in a table once, or in a dead-letter file. A report says how late rows of healthy
 * tables were.
 *
 * WRITE_BUFFER_SOAK_S has the duration in seconds. If it is set, the lateness is held to its marks;
 * else it is only reported. WRITE_BUFFER_SOAK_SEED repeats a run's rows and harms.
 * WRITE_BUFFER_SOAK_ONLY leaves out all harms but those of the tables that this pattern matches, to
 * look for what made rows late; the server is the table of no name.
 */
final class SoakTest extends ChaosTestCase
{
    private const STEP_MS = 50;

    /** Rows of healthy tables, by p99.9. After a restart: two seconds more, to connect again. */
    private const MARK_MS = 1_000;
    private const MARK_AFTER_RESTART_MS = 3_000;

    /** How long the server is left alone after something gave way. */
    private const GIVE_WAY_S = 0.2;

    private const PASSWORD = 'soak-7Wq';

    /** By worker: its buffer's class and settings, and the steps between two calls of flush(). */
    private const WORKERS = [
        1 => ['WriteBuffer', 'lanes: 4, routeBy: \'id\', flushIntervalMs: 200, parkTimeoutMs: 3_000', 0],
        2 => ['WriteBuffer', 'lanes: 4, batchSize: 20, flushIntervalMs: 100, parkTimeoutMs: 3_000', 50],
        3 => ['WriteBuffer', 'lanes: 4, parkTimeoutMs: 0', 0],
        4 => ['SyncWriteBuffer', '', 0],
    ];
    private const SYNC = 4;

    private string $folder;

    private Harm $harm;

    /** @var list<int> when the server got a signal */
    private array $restarts = [];

    /** @var array<int, ChildProcess> */
    private array $workers = [];

    private ChildProcess $watcher;

    private bool $isGood = false;

    protected function setUp(): void
    {
        parent::setUp();
        $this->folder = sys_get_temp_dir() . '/wb_soak_' . bin2hex(random_bytes(6));
        mkdir($this->folder, 0700);
        $account = "'wb_soak'@'127.0.0.1'";
        $this->dropLater("DROP USER IF EXISTS {$account}");
        $this->admin()->exec("CREATE USER {$account} IDENTIFIED BY '" . self::PASSWORD . "'");
        foreach (Tables::definitions() as $table => $definition) {
            $this->createTable($table, $definition);
            foreach (['_away', '_old'] as $suffix) {
                $this->dropLater("DROP TABLE IF EXISTS {$table}{$suffix}");
            }
            $this->admin()->exec("GRANT SELECT, INSERT, UPDATE, DELETE ON {$table} TO {$account}");
        }
        $this->admin()->exec("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON write_buffer_ledger TO {$account}");
        // A wait for a row is seen, and so given up before a second is over.
        $this->admin()->exec("GRANT PROCESS ON *.* TO {$account}");
        $this->harm = new Harm($this->anotherAdmin(...), $account);
        self::wantServer(true);
    }

    protected function tearDown(): void
    {
        // A lock of its own would hold up the end of a test that has failed.
        $this->harm->forgetConnections();
        if (getenv('DB_CONTROL_DIR') !== false) {
            $this->bringServerBack();
        }
        parent::tearDown();
        if ($this->isGood) {
            array_map('unlink', glob("{$this->folder}/*") ?: []);
            rmdir($this->folder);
        } else {
            fwrite(STDERR, "what the processes wrote down stays in {$this->folder}\n");
        }
    }

    public function testAllThatMayHappenToTablesAndServersForLong(): void
    {
        $asked = getenv('WRITE_BUFFER_SOAK_S');
        $durationS = (float) ($asked !== false ? $asked : self::scaled(8, 30));
        $seed = (int) (getenv('WRITE_BUFFER_SOAK_SEED') ?: random_int(1, 1_000_000));
        $only = '/' . (getenv('WRITE_BUFFER_SOAK_ONLY') ?: '.*') . '/';
        $this->startAll($seed);
        $this->carryOut(array_filter(
            Schedule::of($seed, $durationS),
            static fn (array $event): bool => preg_match($only, $event['table']) === 1,
        ));
        $this->endAll();

        $letters = $this->letters();
        $judge = $this->judge($seed, $letters);
        $logs = array_combine(self::watched(), array_map($this->log(...), self::watched()));
        $lateness = new Lateness($logs, $this->file(0, 'watcher'), $this->restarts, $this->harm, self::MARK_MS);
        $report = $this->report($seed, $durationS, $judge, $letters) . $lateness->report();
        fwrite(STDERR, $report);
        self::assertSame([], $judge->examples(), $report);
        self::assertSame(0, array_sum($judge->counts()), $report);
        foreach (self::watched() as $worker) {
            self::assertNotSame([], $letters[$worker]->counts(), "worker {$worker} has no dead letters\n{$report}");
        }
        self::assertSame(
            count(Lateness::TABLES) * $this->steps(),
            $lateness->count(Lateness::UP) + $lateness->count(Lateness::AFTER_RESTART),
            "the watcher has seen all\n{$report}",
        );
        if ($asked !== false) {
            self::assertLessThanOrEqual(self::MARK_MS, $lateness->percentile(Lateness::UP, 0.999), $report);
            self::assertLessThanOrEqual(
                self::MARK_AFTER_RESTART_MS,
                $lateness->percentile(Lateness::AFTER_RESTART, 0.999),
                $report,
            );
        }
        $this->isGood = true;
    }

    /** Somebody changes a row, or a line of a file, behind the comparison's back. */
    public function testTheComparisonSeesEachFault(): void
    {
        $this->startAll(1);
        $this->awaitSteps(30);
        $this->endAll();
        self::assertSame([], $this->judge(1, $this->letters())->examples());
        foreach (self::faults() as $statement => $kind) {
            $this->pdo()->beginTransaction();
            self::assertSame(1, $this->pdo()->exec($statement), $statement);
            $this->assertSeen($kind, $statement);
            $this->pdo()->rollBack();
        }
        $file = $this->file(1, 'dead');
        $lines = (array) file($file);
        foreach (['lost' => array_slice($lines, 1), 'dead letters' => [...$lines, $lines[0]]] as $kind => $changed) {
            file_put_contents($file, $changed);
            $this->assertSeen($kind, 'a line of the file');
        }
        $this->isGood = true;
    }

    /** @return array<string, string> statements that change one row, and what that is */
    private static function faults(): array
    {
        return [
            'DELETE FROM wb_soak_trades ORDER BY seq LIMIT 1' => 'lost',
            'INSERT INTO wb_soak_trades (id, tag) SELECT id, tag FROM wb_soak_trades AS t LIMIT 1' => 'doubled',
            'INSERT INTO wb_soak_columns (id, tag) VALUES (7, 7)' => 'foreign',
            'UPDATE wb_soak_columns SET extra = NULL WHERE extra IS NOT NULL LIMIT 1' => 'lost',
            'DELETE FROM wb_soak_orders ORDER BY id DESC LIMIT 1' => 'lost',
            "UPDATE wb_soak_orders SET v = 'older' LIMIT 1" => 'stale',
            'UPDATE wb_soak_ticks SET n = n + 1 LIMIT 1' => 'doubled',
            'UPDATE wb_soak_ticks SET tag = tag - 20 LIMIT 1' => 'stale',
            'INSERT INTO wb_soak_renamed VALUES (7, 7, 1)' => 'foreign',
            'UPDATE wb_soak_locked SET n = n - 1, tag = tag WHERE n > 1 LIMIT 1' => 'lost',
            'UPDATE wb_soak_accounts SET transfers = transfers + 1 LIMIT 1' => 'doubled',
            'UPDATE wb_soak_accounts SET transfers = transfers - 1 LIMIT 1' => 'lost',
            'UPDATE wb_soak_accounts SET available = available + 0.0001 LIMIT 1' => 'stale',
            'UPDATE wb_soak_prices SET tag = tag - 50 LIMIT 1' => 'stale',
        ];
    }

    private function assertSeen(string $kind, string $fault): void
    {
        $judge = $this->judge(1, $this->letters());
        self::assertGreaterThan(0, $judge->counts()[$kind], $fault . "\n" . implode("\n", $judge->examples()));
    }

    /** Starts the workers and the watcher. */
    private function startAll(int $seed): void
    {
        foreach (self::WORKERS as $worker => [$class, $settings, $flushEvery]) {
            $settings .= $class === 'WriteBuffer' ? ', shutdownTimeoutMs: 150_000, deadLetterFile: $argv[3]' : '';
            $isSync = var_export($worker === self::SYNC, true);
            $this->workers[$worker] = $this->start(self::code(<<<PHP
                \$buffer = new {$class}(
                    dsn: \$argv[1],
                    orderTable: Soak\\Tables::ORDERS,
                    tradeTable: Soak\\Tables::TRADES,
                    tables: Soak\\Tables::rules(),
                    {$settings}
                );
                \$groups = new Soak\\Groups({$seed}, {$worker}, {$isSync});
                (new Soak\\Worker(\$buffer, \$groups, \$argv[2], (int) \$argv[4], {$flushEvery}))->run();
                PHP), [
                $this->writersDsn(), $this->file($worker, 'log'), $this->file($worker, 'dead'), (string) self::STEP_MS,
            ]);
        }
        $watched = var_export(self::watched(), true);
        $this->watcher = $this->start(
            self::code("(new Soak\\Watcher(\$argv[1], {$watched}))->run();"),
            [$this->file(0, 'watcher')],
        );
        foreach ([...$this->workers, $this->watcher] as $child) {
            $child->waitFor('ready');
        }
        foreach ($this->workers as $worker) {
            $worker->send('go');
        }
    }

    /**
     * Ends all harm but one, and the workers and the watcher. A table is away while they end: what
     * waits for it goes into the files.
     */
    private function endAll(): void
    {
        self::await('an end of all harm', $this->harm->heal(...));
        self::await('no table', fn (): bool => $this->harm->do('drop', Tables::DROPPED, 0));
        $this->awaitSteps(20);
        foreach ($this->workers as $worker) {
            $worker->send('stop');
        }
        foreach ($this->workers as $worker) {
            $this->assertEndsWell($worker);
        }
        $this->watcher->send('stop');
        $this->assertEndsWell($this->watcher);
        self::await('a table', $this->harm->heal(...));
    }

    /** @return array<int, DeadLetters> by worker */
    private function letters(): array
    {
        $workers = array_keys(self::WORKERS);

        return array_combine($workers, array_map(
            fn (int $worker): DeadLetters => new DeadLetters($this->file($worker, 'dead')),
            $workers,
        ));
    }

    /** @param array<int, DeadLetters> $letters by worker */
    private function judge(int $seed, array $letters): Judge
    {
        $judge = new Judge($this->pdo(), $this->harm);
        foreach ($letters as $worker => $file) {
            $judge->expect($this->log($worker), self::groups($seed, $worker), $file);
        }
        $judge->compare();

        return $judge;
    }

    private static function code(string $code): string
    {
        $bootstrap = var_export(dirname(__DIR__) . '/bootstrap.php', true);

        return "use WriteBuffer\\Tests\\Chaos\\Support\\Soak;\nrequire {$bootstrap};\n{$code}";
    }

    private function writersDsn(): string
    {
        return sprintf(
            'mysql://wb_soak:%s@127.0.0.1:%s/%s?connect_timeout_ms=60000',
            self::PASSWORD,
            self::setting('DB_PORT'),
            self::setting('DB_DATABASE'),
        );
    }

    private static function groups(int $seed, int $worker): Groups
    {
        return new Groups($seed, $worker, $worker === self::SYNC);
    }

    /** @return list<int> those that write in the background: the others wait by themselves */
    private static function watched(): array
    {
        return array_values(array_diff(array_keys(self::WORKERS), [self::SYNC]));
    }

    private function file(int $worker, string $kind): string
    {
        return "{$this->folder}/{$worker}.{$kind}";
    }

    private function log(int $worker): WorkerLog
    {
        return new WorkerLog($this->file($worker, 'log'));
    }

    /** How many steps the watched workers have noted down. */
    private function steps(): int
    {
        return array_sum(array_map(fn (int $worker): int => $this->log($worker)->steps(), self::watched()));
    }

    private function anotherAdmin(): \PDO
    {
        $admin = $this->admin();
        // From now on it is the caller's.
        $this->forgetConnections();

        return $admin;
    }

    /**
     * Does what is scheduled. What gives way is done a little later, and what follows it for the
     * same table is as much later.
     *
     * @param list<array{at: float, do: string, table: string, variant: int}> $events
     */
    private function carryOut(array $events): void
    {
        $begin = hrtime(true);
        $queues = $delays = [];
        foreach ($events as $event) {
            $queues[$event['table']][] = $event;
            $delays[$event['table']] = 0.0;
        }
        while ($queues !== []) {
            $due = array_map(static fn (string $table): float => $queues[$table][0]['at'] + $delays[$table], array_keys($queues));
            $table = array_keys($queues)[array_search(min($due), $due, true)];
            ['do' => $do, 'variant' => $variant] = $queues[$table][0];
            $this->awaitTime($begin + min($due) * 1e9);
            if ($table === '') {
                $before = hrtime(true);
                $this->restart($do === 'kill' ? SIGKILL : SIGTERM);
                $begin += hrtime(true) - $before;
            } elseif (!$this->harm->do($do, $table, $variant)) {
                $delays[$table] += (hrtime(true) - $begin) / 1e9 - min($due) + self::GIVE_WAY_S;
                continue;
            }
            array_shift($queues[$table]);
            $queues = array_filter($queues);
        }
    }

    private function awaitTime(float $time): void
    {
        do {
            foreach ($this->workers as $number => $worker) {
                $worker->listen(0.001);
                self::assertNull($worker->ending(), "worker {$number}\n{$worker->describe()}");
            }
            usleep(5_000);
        } while (hrtime(true) < $time);
    }

    private function restart(int $signal): void
    {
        $pid = self::serverPid();
        $this->restarts[] = hrtime(true);
        self::assertTrue(posix_kill($pid, $signal));
        self::await('another server process', static fn (): bool => self::serverPid() !== $pid);
        $this->forgetConnections();
        $this->harm->forgetConnections();
    }

    /** Waits until each worker has taken some more steps. */
    private function awaitSteps(int $count): void
    {
        foreach (array_keys(self::WORKERS) as $worker) {
            $target = $this->log($worker)->steps() + $count;
            self::await(
                "step {$target} of worker {$worker}",
                fn (): bool => $this->log($worker)->steps() >= $target,
                $this->workers[$worker],
            );
        }
    }

    /** @param array<int, DeadLetters> $letters by worker */
    private function report(int $seed, float $durationS, Judge $judge, array $letters): string
    {
        $list = static fn (array $counts): string => implode(', ', array_map(
            static fn (string $name, int $count): string => "{$count} {$name}",
            array_keys($counts),
            $counts,
        ));
        $text = sprintf("\nsoak of %.0f s on %s, seed %d\n", $durationS, self::isMySql() ? 'MySQL' : 'MariaDB', $seed);
        $text .= "  {$list($judge->counts())}\n";
        $text .= "  groups: {$list($judge->outcomes())} (t: taken, r: refused by a throw, m: only the tables knew)\n";
        foreach ($letters as $worker => $file) {
            $text .= $file->counts() === [] ? '' : "  dead letters of worker {$worker}: {$list($file->counts())}\n";
        }

        return "{$text}  done: {$list($this->harm->counts())}, " . count($this->restarts) . " restarts\n"
            . implode('', array_map(static fn (string $example): string => "  {$example}\n", $judge->examples()));
    }
}
