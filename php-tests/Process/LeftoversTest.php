<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\Proxies;

/**
 * What a buffer could not write when it ended is in its dead-letter file, whole groups in order:
 * each row is in the tables or in the file. Without a file a warning says which rows are lost.
 */
final class LeftoversTest extends ProcessTestCase
{
    use Proxies;

    private string $folder;

    private string $file;

    protected function setUp(): void
    {
        parent::setUp();
        $this->folder = sys_get_temp_dir() . '/wb_left_' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        $this->file = "{$this->folder}/left.jsonl";
    }

    protected function tearDown(): void
    {
        $this->stopProxies();
        parent::tearDown();
        foreach (glob("{$this->folder}/*") ?: [] as $file) {
            unlink($file);
        }
        rmdir($this->folder);
    }

    /** @return list<array<string, mixed>> the whole lines of a file */
    private static function lines(string $file): array
    {
        $lines = is_file($file) ? (array) file($file) : [];

        return array_values(array_filter(array_map(static fn ($line) => json_decode((string) $line, true), $lines)));
    }

    /**
     * Asserts that the file has the groups of these orders, in this order, each whole.
     *
     * @param list<int> $ids
     */
    private function assertLeft(array $ids, ChildProcess $child, ?string $file = null): void
    {
        $expected = array_map(static fn (int $id): array => [
            'unwritten',
            ['table' => Child::ORDERS, 'row' => Child::order($id)],
            ...array_map(static fn (array $row): array => ['table' => Child::TRADES, 'row' => $row], Child::trades($id)),
        ], $ids);
        $found = array_map(
            static fn (array $line): array => [$line['status'], ...$line['rows']],
            self::lines($file ?? $this->file),
        );
        self::assertSame($expected, $found, $child->describe());
    }

    /** @return iterable<string, array{string}> how a script ends */
    private static function endings(): iterable
    {
        yield 'the last line' => [''];
        yield 'unset' => ['unset($buffer);'];
        yield 'exit' => ['exit(0);'];
        yield 'exit in a function that holds it' => [
            '$held = $buffer; unset($buffer); (static function ($held) { unset($GLOBALS["held"]); exit(0); })($held);',
        ];
        yield 'an uncaught exception' => ['throw new Exception("the end");'];
        yield 'an exception that unwinds its function' => [
            'try { (static function () { $b = $GLOBALS["buffer"]; unset($GLOBALS["buffer"]); throw new Exception(); })(); }'
                . ' catch (Exception) {}',
        ];
        yield 'memory_limit' => ['ini_set("memory_limit", "16M"); str_repeat("x", 1 << 28);'];
        yield 'max_execution_time' => ['set_time_limit(1); while (true) { $x = ($x ?? 0) + 1; }'];
        yield 'a handler that exits' => [
            'pcntl_async_signals(true); pcntl_signal(SIGTERM, static function () { exit(3); });'
                . ' posix_kill(getmypid(), SIGTERM); while (true) { usleep(1000); }',
        ];
    }

    /** @return iterable<string, array{string, string}> */
    public static function endingsOfEachKind(): iterable
    {
        foreach (self::endings() as $name => [$code]) {
            yield "{$name}, background" => [$code, ''];
            yield "{$name}, foreground" => [$code, 'background: false,'];
        }
        yield 'lanes' => ['', 'lanes: 3,'];
        yield 'persistent' => ['', 'persistent: "p",'];
    }

    /**
     * The server hangs, as a machine does that has lost its power.
     *
     * @dataProvider endingsOfEachKind
     */
    #[DataProvider('endingsOfEachKind')]
    public function testEachRowIsInTheTableOrInTheFile(string $end, string $settings): void
    {
        $child = $this->start(<<<PHP
            \$buffer = Child::buffer(shutdownTimeoutMs: 300, batchSize: 1000, deadLetterFile: \$argv[1], {$settings});
            Child::add(\$buffer, 1, 5);
            \$buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::add(\$buffer, 6, 17);

            PHP . $end, [$this->file]);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        $child->finish();
        $this->continueDatabase();
        $this->awaitNoConnections();
        // Who stands in the file was told.
        self::assertStringNotContainsString('WriteBuffer', $child->complained(), $child->describe());
        $this->assertLeft(range(6, 17), $child);
        self::assertSame(0600, fileperms($this->file) & 0777);
        $this->assertOrders(range(1, 5), $child, 'id');
        // And they can be put back.
        $again = $this->runToItsEnd(<<<'PHP'
            $lines = array_map(static fn (string $line): array => json_decode($line, true), file($argv[1]));
            Child::report('taken', Child::buffer()->retry($lines));
            PHP, [$this->file]);
        self::assertSame(12, $again->reported('taken'));
        $this->assertOrders(range(1, 17), $again, 'id');
    }

    public function testWithoutAFileTheWarningSaysWhichRowsAreLost(): void
    {
        $place = self::setting('DB_HOST') . ':' . self::setting('DB_PORT') . '/' . self::setting('DB_DATABASE');
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(shutdownTimeoutMs: 300, batchSize: 1000);
            Child::add($buffer, 1);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::add($buffer, 2, 12);
            PHP);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        $child->finish();
        $this->continueDatabase();
        self::assertSame(
            "Warning: WriteBuffer: lost 33 buffered rows: {$place} did not take them within 300 ms: it has not answered the "
                . "statements that were sent; look there for locks and load (SHOW PROCESSLIST). They were for {$place}: 11 rows of "
                . Child::ORDERS . ' (id 2, id 3, id 4, …); 22 rows of ' . Child::TRADES . ' (id 20, id 21, id 30, …). Call flush() '
                . 'or close() before the end to handle this, or set deadLetterFile to keep them in Unknown on line 0',
            trim($child->complained()),
        );
        $this->awaitNoConnections();
        $this->assertOrders([1], $child);
    }

    /** One that never answers: nobody accepts what the kernel has accepted. */
    private function blackHole(mixed &$listener): string
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0', $code, $message);
        self::assertIsResource($listener, (string) $message);

        return 'mysql://u:p@' . stream_socket_get_name($listener, false) . '/d';
    }

    public function testAnUnreachableHostIsNamed(): void
    {
        $dsn = $this->blackHole($listener);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], shutdownTimeoutMs: 300);
            Child::add($buffer, 1);
            PHP, [$dsn]);
        $child->finish();
        $place = substr((string) strrchr($dsn, '@'), 1);
        self::assertStringContainsString(
            "lost 3 buffered rows: {$place} did not take them within 300 ms: it has not answered the attempt to connect; check "
                . "that the server runs there, and the DSN's host and port, or its unix_socket. They were for {$place}: ",
            $child->complained(),
        );
    }

    /** @return iterable<string, array{string, string}> the settings of those, and of a last one */
    public static function manyBuffers(): iterable
    {
        yield 'in the background' => ['', ''];
        yield 'in the foreground' => ['background: false,', 'background: false,'];
        yield 'a healthy one in the foreground' => ['', 'background: false,'];
        yield 'persistent ones' => ['persistent: "p{$n}",', ''];
    }

    /**
     * Twenty buffers with a server that is away have the time of one. A healthy one beside them
     * loses nothing.
     *
     * @dataProvider manyBuffers
     */
    #[DataProvider('manyBuffers')]
    public function testTheTimesOfManyBuffersDoNotAddUp(string $settings, string $healthy): void
    {
        $port = $this->startProxy();
        $dsn = str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsn());
        $child = $this->start(<<<PHP
            for (\$n = 1; \$n <= 20; \$n++) {
                \$buffers[] = \$buffer = Child::buffer(dsn: \$argv[1], shutdownTimeoutMs: 2_000, {$settings} deadLetterFile: \$argv[2]);
                \$buffer->add(Child::order(\$n), Child::trades(\$n));
            }
            \$last = Child::buffer({$healthy} batchSize: 1000, shutdownTimeoutMs: 2_000, deadLetterFile: \$argv[3]);
            Child::add(\$last, 21, 30);
            Child::say('end');
            Child::hear();
            PHP, [$dsn, $this->file, "{$this->folder}/healthy.jsonl"]);
        $child->waitFor('end');
        // The server that those twenty write to hangs.
        posix_kill(proc_get_status($this->proxies[$port][0])['pid'], SIGSTOP);
        $began = hrtime(true);
        $child->send();
        $child->finish();
        // Each with its own time, they would take 40 s.
        self::assertLessThan(20.0, (hrtime(true) - $began) / 1e9);
        self::assertSame('', $child->complained(), $child->describe());
        $left = array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], self::lines($this->file));
        sort($left);
        self::assertSame(range(1, 20), $left);
        $this->assertOrders(range(21, 30), $child, 'id');
        self::assertFileDoesNotExist("{$this->folder}/healthy.jsonl");
    }

    /**
     * A tenant has a database of its own, and all of them are on one server, which accepts
     * connections and says nothing.
     *
     * @dataProvider tenants
     */
    #[DataProvider('tenants')]
    public function testTheTimesOfManyDatabasesOfAServerDoNotAddUp(int $count, string $settings, string $option): void
    {
        $silent = stream_socket_server('tcp://127.0.0.1:0');
        self::assertIsResource($silent);
        $child = $this->start(<<<PHP
            for (\$n = 1; \$n <= {$count}; \$n++) {
                \$buffers[] = \$buffer = Child::buffer(dsn: "mysql://u:p@{\$argv[1]}/tenant_{\$n}?{$option}", shutdownTimeoutMs: 1_000, {$settings} deadLetterFile: \$argv[2]);
                \$buffer->add(Child::order(\$n), []);
            }
            Child::say('end');
            Child::hear();
            PHP, [stream_socket_get_name($silent, false), $this->file]);
        $child->waitFor('end');
        $began = hrtime(true);
        $child->send();
        $child->finish();
        // With 250 ms or its connect_timeout_ms for each of them they would take 20 s or more.
        self::assertLessThan(10.0, (hrtime(true) - $began) / 1e9);
        self::assertSame('', $child->complained(), $child->describe());
        self::assertCount($count, self::lines($this->file));
    }

    /**
     * How many, their settings, an option of their DSN.
     *
     * @return iterable<string, array{int, string, string}>
     */
    public static function tenants(): iterable
    {
        yield 'in the background' => [120, '', 'connect_timeout_ms=60000'];
        yield 'in the foreground, given up before the time is over' => [100, 'background: false,', 'connect_timeout_ms=200'];
    }

    /** @return iterable<string, array{string, string}> settings, and what the file says */
    public static function errorsThatStay(): iterable
    {
        yield 'a wrong password' => [
            'dsn: preg_replace("~//([^:@]+)[^@]*@~", "//$1:wrong-one@", (string) getenv("WRITE_BUFFER_TEST_DSN"))',
            'Access denied',
        ];
        yield 'no such database' => [
            'dsn: getenv("WRITE_BUFFER_TEST_DSN") . "_missing"',
            '_missing',
        ];
        yield 'no such table' => ['orderTable: "wb_process_missing", tables: []', 'wb_process_missing'];
    }

    /**
     * Somebody has to put it right, so to wait helps nobody.
     *
     * @dataProvider errorsThatStay
     */
    #[DataProvider('errorsThatStay')]
    public function testWhatCannotPassIsNotWaitedFor(string $setting, string $message): void
    {
        $child = $this->start(<<<PHP
            \$buffer = Child::buffer({$setting}, shutdownTimeoutMs: 600_000, deadLetterFile: \$argv[1]);
            Child::add(\$buffer, 1);
            PHP, [$this->file]);
        // It would be killed after a time that is shorter than the buffer's.
        $child->finish();
        $lines = self::lines($this->file);
        self::assertCount(1, $lines, $child->describe());
        self::assertSame('unwritten', $lines[0]['status']);
        self::assertStringContainsString($message, $lines[0]['message']);
        self::assertStringNotContainsString('wrong-one', (string) file_get_contents($this->file));
        self::assertSame('', $child->complained());
    }

    public function testAFileThatIsLockedHoldsUpNobody(): void
    {
        $dsn = $this->blackHole($listener);
        $lock = fopen($this->file, 'a');
        self::assertTrue(is_resource($lock) && flock($lock, LOCK_EX));
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], shutdownTimeoutMs: 300, deadLetterFile: $argv[2]);
            Child::add($buffer, 1, 2);
            PHP, [$dsn, $this->file]);
        $child->finish(60.0);
        $files = array_values(array_diff(glob("{$this->folder}/*") ?: [], [$this->file]));
        self::assertCount(1, $files);
        self::assertSame('', file_get_contents($this->file));
        $this->assertLeft([1, 2], $child, $files[0]);
        self::assertStringContainsString(
            "deadLetterFile {$this->file} is locked by another process, so they are in {$files[0]}",
            $child->complained(),
        );
    }

    /** @return iterable<string, array{string}> */
    public static function flushers(): iterable
    {
        yield 'in the background' => ['true'];
        yield 'in the foreground' => ['false'];
    }

    /**
     * @dataProvider flushers
     */
    #[DataProvider('flushers')]
    public function testAFlushReturnsInItsTimeWhileTheFileIsLocked(string $background): void
    {
        $lock = fopen($this->file, 'a');
        self::assertTrue(is_resource($lock) && flock($lock, LOCK_EX));
        $child = $this->start(<<<PHP
            \$buffer = Child::buffer(background: {$background}, shutdownTimeoutMs: 300, deadLetterFile: \$argv[1]);
            \$buffer->add(['id' => 1, 'v' => str_repeat('x', 21), 'n' => 1]);
            Child::report('thrown', Child::thrownBy(static fn () => \$buffer->flush(1_000)));
            Child::report('pending', count(\$buffer));
            Child::report('close', Child::thrownBy(static fn () => \$buffer->close(1_000)));
            PHP, [$this->file]);
        // Nobody lets go of the lock.
        $child->finish(60.0);
        self::assertContains(
            $child->reported('thrown')[0],
            ['WriteBuffer\BlockedException', 'WriteBuffer\TimeoutException'],
            $child->describe(),
        );
        self::assertSame(1, $child->reported('pending'), 'it stays, until the file can be written to');
    }

    public function testAFullDiskIsSaid(): void
    {
        $dsn = $this->blackHole($listener);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], shutdownTimeoutMs: 300, deadLetterFile: $argv[2]);
            Child::add($buffer, 1, 2);
            Child::say('added');
            Child::hear();
            PHP, [$dsn, $this->file]);
        $child->waitFor('added');
        // A device that is always full.
        symlink('/dev/full', $this->file);
        $child->send();
        $child->finish();
        self::assertMatchesRegularExpression(
            '#WriteBuffer: lost 6 buffered rows: .*: 2 rows of wb_process_orders \(id 1, id 2\); 4 rows of wb_process_trades .*'
                . preg_quote("deadLetterFile {$this->file} cannot be written to: ", '#') . '#',
            $child->complained(),
        );
    }

    /** A line that its writer was killed at spoils only itself. */
    public function testAKillAmidTheWritingTearsOneLineAtMost(): void
    {
        $dsn = $this->blackHole($listener);
        $code = <<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], shutdownTimeoutMs: 100, deadLetterFile: $argv[2]);
            Child::add($buffer, (int) $argv[3], (int) $argv[4]);
            PHP;
        $killed = $this->start($code, [$dsn, $this->file, '1', '30000']);
        self::await('the first lines', function (): bool {
            clearstatcache();

            return is_file($this->file) && filesize($this->file) > 0;
        }, $killed);
        $killed->kill();
        // However it was met, a torn line may be there.
        file_put_contents($this->file, '{"time":1.5,"status":"unwr', FILE_APPEND);
        $next = $this->start($code, [$dsn, $this->file, '30001', '60000']);
        $next->finish();
        $ids = array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], self::lines($this->file));
        self::assertSame(range(30001, 60000), array_slice($ids, -30_000), 'none of the next lines is spoiled');
        $before = array_slice($ids, 0, -30_000);
        self::assertSame($before === [] ? [] : range(1, count($before)), $before, 'whole lines, in order');
        self::assertLessThanOrEqual(1, count((array) file($this->file)) - count($ids));
    }
}
