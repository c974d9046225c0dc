<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\ConfigException;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** A group that is given up is in the file before it leaves the memory. */
final class DeadLetterFileTest extends DatabaseTestCase
{
    private string $folder;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_refused', 'id INT PRIMARY KEY, t VARBINARY(5)');
        $this->folder = sys_get_temp_dir() . '/wb_dead_letters_' . bin2hex(random_bytes(6));
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        foreach (glob("{$this->folder}/*") ?: [] as $file) {
            unlink($file);
        }
        rmdir($this->folder);
    }

    /** @return list<array<string, mixed>> */
    private function lines(string $name = 'failed.jsonl'): array
    {
        return array_map(
            static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR),
            (array) file("{$this->folder}/{$name}"),
        );
    }

    /** @return iterable<string, array{bool}> */
    public static function flushers(): iterable
    {
        yield 'in the background' => [true];
        yield 'in the foreground' => [false];
    }

    /**
     * @dataProvider flushers
     */
    #[DataProvider('flushers')]
    public function testEachGroupIsALine(bool $background): void
    {
        $buffer = $this->buffer(
            orderTable: 'wb_refused',
            background: $background,
            batchSize: 1_000,
            deadLetterFile: "{$this->folder}/failed.jsonl",
        );
        for ($id = 1; $id <= 100; $id++) {
            $buffer->add(['id' => $id, 't' => $id % 10 === 0 ? "\xfftoo long" : 'fits']);
        }
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        $lines = $this->lines();
        self::assertSame(range(10, 100, 10), array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $lines));
        self::assertSame([1406], array_values(array_unique(array_column($lines, 'code'))));
        self::assertSame(0600, fileperms("{$this->folder}/failed.jsonl") & 0777);
        self::assertSame('90', $this->value('SELECT COUNT(*) FROM wb_refused'));
        self::assertCount(10, $buffer->takeFailures());

        $this->pdo()->exec('ALTER TABLE wb_refused MODIFY t VARBINARY(20)');
        self::assertSame(10, $buffer->retry($lines));
        self::assertSame(10, $buffer->flush());
        self::assertSame('10', $this->value("SELECT COUNT(*) FROM wb_refused WHERE t = X'FF746F6F206C6F6E67'"));
    }

    /**
     * Failures that nobody takes are on disk. So the memory keeps only the newest of them, and the
     * buffer goes on.
     */
    public function testTheMemoryHasABoundAndTheFileHasAll(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_refused', deadLetterFile: "{$this->folder}/failed.jsonl", batchSize: 10_000);
        for ($id = 1; $id <= 1_005; $id++) {
            $buffer->add(['id' => $id, 't' => 'too long']);
        }
        self::thrownBy(static fn () => $buffer->flush());
        self::assertCount(0, $buffer);
        self::assertCount(1_005, $this->lines());
        $kept = $buffer->takeFailures();
        self::assertSame([1_000, 6], [count($kept), $kept[0]['rows'][0]['row']['id']]);
    }

    /**
     * @dataProvider flushers
     */
    #[DataProvider('flushers')]
    public function testNothingIsGivenUpWhileTheFileCannotBeWritten(bool $background): void
    {
        $file = "{$this->folder}/failed.jsonl";
        $buffer = $this->buffer(orderTable: 'wb_refused', background: $background, deadLetterFile: $file);
        $buffer->add(['id' => 1, 't' => 'fits']);
        $buffer->add(['id' => 2, 't' => 'too long']);
        $buffer->add(['id' => 3, 't' => 'fits']);
        // A device that takes nothing.
        symlink('/dev/full', $file);
        $thrown = self::assertThrowsMatching(
            BlockedException::class,
            "#^a group was refused \\(table wb_refused: Data too long for column 't' at row \\d+\\) and cannot be written to "
                . 'deadLetterFile ' . preg_quote($file, '#') . ': it is no file\\. Nothing is lost: it stays buffered, '
                . 'and so do the rows after it, until the file can be written to \(2 rows still buffered\)$#D',
            static fn () => $buffer->flush(),
        );
        self::assertSame([], $thrown->getFailures());
        self::assertSame([], $buffer->takeFailures());
        self::assertSame(0, $buffer->getMetrics()['rows_refused']);
        unlink($file);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertSame([2], array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $this->lines()));
        self::assertSame(['1', '3'], array_column($this->rows('wb_refused', 'id', '1'), 'id'));
        $buffer->takeFailures();
    }

    /**
     * At the end it is lost, and the warning does not say that it is not.
     *
     * @dataProvider flushers
     */
    #[DataProvider('flushers')]
    public function testAtTheEndNobodySaysThatItStaysBuffered(bool $background): void
    {
        $file = "{$this->folder}/failed.jsonl";
        $buffer = $this->buffer(orderTable: 'wb_refused', background: $background, deadLetterFile: $file);
        $buffer->add(['id' => 1, 't' => 'too long']);
        symlink('/dev/full', $file);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertStringContainsString('lost 1 buffered row: a group was refused (table wb_refused: Data too long', $warnings[0]);
        self::assertStringContainsString("cannot be written to deadLetterFile {$file}: it is no file", $warnings[0]);
        self::assertStringNotContainsString('buffered,', $warnings[0]);
        self::assertStringNotContainsString('Nothing is lost', $warnings[0]);
    }

    public function testAFileMayBeRotated(): void
    {
        $buffer = $this->buffer(orderTable: 'wb_refused', deadLetterFile: "{$this->folder}/failed.jsonl");
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id, 't' => 'too long']);
            self::thrownBy(static fn () => $buffer->flush());
            if ($id === 1) {
                rename("{$this->folder}/failed.jsonl", "{$this->folder}/failed.1.jsonl");
            }
        }
        self::assertSame([1, 1], [count($this->lines('failed.1.jsonl')), count($this->lines())]);
        $buffer->takeFailures();
    }

    public function testLinesOfManyProcessesStayWhole(): void
    {
        $code = <<<'PHP'
            $buffer = new WriteBuffer(dsn: $argv[1], orderTable: 'wb_refused', deadLetterFile: $argv[2], background: false,
                flushIntervalMs: 3_600_000);
            for ($id = 0; $id < 50; $id++) {
                $buffer->add(['id' => $argv[3] * 1000 + $id, 't' => str_repeat('x', 5_000)]);
            }
            try {
                $buffer->flush();
            } catch (WriteBuffer\FlushException) {
                echo count($buffer->takeFailures()), "\n";
            }
            PHP;
        $pids = [];
        foreach (range(1, 4) as $writer) {
            if (($pid = pcntl_fork()) === 0) {
                $output = PhpProcess::run($code, [], [$this->dsn(), "{$this->folder}/failed.jsonl", (string) $writer]);
                // PHPUnit must not come to its end in this process.
                posix_kill(getmypid(), $output === "50\n" ? SIGKILL : SIGTERM);
            }
            $pids[] = $pid;
        }
        foreach ($pids as $pid) {
            pcntl_waitpid($pid, $status);
            self::assertSame(SIGKILL, pcntl_wtermsig($status), 'a writer gave up its 50 rows');
        }
        self::assertCount(200, $this->lines());
    }

    public function testTheFileIsWithinOpenBasedir(): void
    {
        $output = PhpProcess::run(
            <<<'PHP'
                try {
                    new WriteBuffer(dsn: 'memory:', deadLetterFile: '/var/tmp/failed.jsonl');
                } catch (WriteBuffer\ConfigException $thrown) {
                    echo $thrown->getMessage();
                }
                PHP,
            ['open_basedir' => dirname(__DIR__)],
        );
        self::assertSame(
            'deadLetterFile /var/tmp/failed.jsonl is outside open_basedir: name a file within, or extend open_basedir in php.ini',
            $output,
        );
    }

    /** The message does not tell whether a file is there that PHP may not look at. */
    public function testTheFilesOfTlsAreWithinOpenBasedir(): void
    {
        $code = <<<'PHP'
            foreach (['tls_ca=%s', 'tls_cert=%s&tls_key=/nowhere/key', 'tls_cert=' . $argv[1] . '&tls_key=%s'] as $options) {
                foreach (['/etc/passwd', '/nowhere/at/all', '../../../../../etc/passwd'] as $file) {
                    try {
                        new WriteBuffer('mysql://u@h/d?' . sprintf($options, $file));
                    } catch (WriteBuffer\ConfigException $thrown) {
                        echo str_replace(["{$argv[2]}/{$file}", $file], 'FILE', $thrown->getMessage()), "\n";
                    }
                }
            }
            PHP;
        $output = PhpProcess::run($code, ['open_basedir' => dirname(__DIR__)], [__FILE__, getcwd()]);
        $lines = explode("\n", trim($output));
        self::assertCount(9, $lines, $output);
        foreach ($lines as $at => $line) {
            $option = ['tls_ca', 'tls_cert', 'tls_key'][intdiv($at, 3)];
            self::assertSame(
                "{$option} FILE is outside open_basedir: name a file within, or extend open_basedir in php.ini",
                $line,
            );
        }
        // The administrator's own DSN, in php.ini, may name any file.
        $output = PhpProcess::run(
            'try { new WriteBuffer(); } catch (WriteBuffer\ConfigException $e) { echo $e->getMessage(); }',
            ['open_basedir' => dirname(__DIR__), 'write_buffer.dsn' => 'mysql://u@h/d?tls_ca=/etc/passwd'],
        );
        self::assertSame('tls_ca /etc/passwd holds no certificate in PEM', $output);
    }

    /**
     * A lock that somebody holds ends neither a flush nor the process: the caller's time does.
     */
    public function testALockOfSomebodyElseIsWaitedForInBounds(): void
    {
        $file = "{$this->folder}/failed.jsonl";
        $buffer = $this->buffer(orderTable: 'wb_refused', deadLetterFile: $file, background: false);
        touch($file);
        chmod($file, 0600);
        $lock = fopen($file, 'r+');
        self::assertTrue(flock($lock, LOCK_EX));
        $buffer->add(['id' => 1, 't' => 'too long']);
        self::assertThrowsMatching(
            BlockedException::class,
            '/another process holds its lock \(lsof names it\)\. Nothing is lost.*\(1 row still buffered\)$/',
            static fn () => $buffer->flush(300),
        );
        self::assertSame([], $buffer->takeFailures());
        fclose($lock);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertCount(1, $this->lines());
        self::assertCount(1, $buffer->takeFailures());
    }

    /** @return iterable<string, array{callable(string): mixed, string}> what somebody puts there */
    public static function filesOfOthers(): iterable
    {
        $mine = static function (string $file, int $mode): void {
            touch($file);
            chmod($file, $mode);
        };
        yield 'a folder' => [mkdir(...), 'it is no file'];
        yield 'a FIFO' => [static fn (string $file) => posix_mkfifo($file, 0600), 'it is no file'];
        yield 'a link to a FIFO' => [
            static fn (string $file) => posix_mkfifo("{$file}.fifo", 0600) && symlink("{$file}.fifo", $file),
            'it is no file',
        ];
        yield 'a device' => [static fn (string $file) => symlink('/dev/zero', $file), 'it is no file'];
        yield 'a file for all' => [static fn (string $file) => $mine($file, 0666), 'other users may write to it (mode 0666)'];
        yield 'a file for a group' => [static fn (string $file) => $mine($file, 0660), 'other users may write to it (mode 0660)'];
        if (posix_geteuid() === 0) {
            yield 'a file of another user' => [
                static fn (string $file) => [$mine($file, 0600), chown($file, 65_534)],
                'it is a file of the user 65534',
            ];
            yield 'a link of another user' => [
                // lchown() of a thread-safe PHP follows the link.
                static fn (string $file) => [
                    $mine("{$file}.mine", 0600),
                    symlink("{$file}.mine", $file),
                    exec('chown -h 65534 ' . escapeshellarg($file)),
                ],
                'it is a link of the user 65534',
            ];
        }
    }

    /**
     * @dataProvider filesOfOthers
     *
     * @param callable(string): mixed $put
     */
    #[DataProvider('filesOfOthers')]
    public function testAFileThatIsNotOursIsRefused(callable $put, string $why): void
    {
        $file = "{$this->folder}/failed.jsonl";
        $late = $this->buffer(orderTable: 'wb_refused', deadLetterFile: $file, background: false);
        $put($file);
        self::assertThrowsMatching(
            ConfigException::class,
            '#^deadLetterFile ' . preg_quote("{$file}: {$why}", '#') . '#',
            fn () => $this->buffer(deadLetterFile: $file),
        );
        // Put there after the start.
        $late->add(['id' => 1, 't' => 'too long']);
        $thrown = self::thrownBy(static fn () => $late->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertStringContainsString("cannot be written to deadLetterFile {$file}: {$why}", $thrown->getMessage());
        self::assertSame([1, []], [count($late), $late->takeFailures()], 'the row is kept');
        is_dir($file) ? rmdir($file) : unlink($file);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $late->flush()));
        self::assertCount(1, $this->lines());
        $late->takeFailures();
    }

    /** A deployment's `storage` is a link to a folder that all releases share. */
    public function testLinksOfOurOwnAreFollowed(): void
    {
        $shared = "{$this->folder}-shared";
        mkdir($shared);
        symlink($shared, "{$this->folder}/storage");
        symlink('storage/failed.jsonl', "{$this->folder}/link.jsonl");
        foreach (['link.jsonl', 'storage/failed.jsonl'] as $id => $name) {
            $buffer = $this->buffer(orderTable: 'wb_refused', deadLetterFile: "{$this->folder}/{$name}", background: false);
            $buffer->add(['id' => $id, 't' => 'too long']);
            self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
            $buffer->takeFailures();
        }
        self::assertCount(2, $this->lines('storage/failed.jsonl'));
        self::assertSame(0600, fileperms("{$shared}/failed.jsonl") & 0777);
        unlink("{$shared}/failed.jsonl");
        rmdir($shared);
    }
}
