<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Console\Kernel;
use PDO;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Tests\Support\BufferingJob;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\Tests\Support\KeepsJournal;

/**
 * A buffer with a journal: what a killed process had taken is written by the next one, or by a
 * command.
 */
final class JournalTest extends TestCase
{
    use KeepsJournal;

    /** The longest silence of a worker. */
    private const TIMEOUT_S = 120;

    /** @var resource|null */
    private $process = null;

    /** @var array<int, resource> */
    private array $pipes = [];

    protected function setUp(): void
    {
        $this->makeJournal();
        parent::setUp();
        // A sum tells of a row that is written twice.
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable('wb_jobs', 'id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, queue VARCHAR(255) NOT NULL, '
            . 'payload LONGTEXT NOT NULL, attempts TINYINT UNSIGNED NOT NULL, reserved_at INT UNSIGNED, '
            . 'available_at INT UNSIGNED NOT NULL, created_at INT UNSIGNED NOT NULL');
        $this->app->make('db')->table('orders')->insert(['id' => 3, 'v' => 100]);
    }

    protected function tearDown(): void
    {
        if ($this->process !== null) {
            proc_terminate($this->process, 9);
            $this->end();
        }
        parent::tearDown();
        $this->removeJournal();
    }

    protected function configuration(): array
    {
        return array_replace_recursive(parent::configuration(), [
            'database' => ['connections' => ['mysql' => $this->patientServer()]],
            'write-buffer' => ['flush_timeout_ms' => 1_000 * self::TIMEOUT_S],
        ]);
    }

    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => ['default' => $this->buffered()]];
    }

    /** @return array<string, mixed> */
    private function buffered(): array
    {
        return [
            'driver' => 'native',
            'flush_interval_ms' => 3_600_000,
            'shutdown_timeout_ms' => 1_000 * self::TIMEOUT_S,
            'journal' => $this->journal,
            'tables' => ['orders' => ['merge' => ['v' => 'sum']]],
        ];
    }

    /**
     * No outcome depends on how long the server takes to answer.
     *
     * @return array<string, mixed>
     */
    private function patientServer(): array
    {
        return self::server(['options' => [PDO::ATTR_TIMEOUT => self::TIMEOUT_S]]);
    }

    private function push(BufferingJob ...$jobs): void
    {
        foreach ($jobs as $job) {
            $this->app->make('queue')->connection('database')->push($job);
        }
    }

    private function startWorker(): void
    {
        $command = [PHP_BINARY, '-d', 'extension=' . self::setting('WRITE_BUFFER_EXTENSION'), '-d', 'display_errors=stdout',
            dirname(__DIR__) . '/Support/worker.php',
            (string) json_encode(['connection' => $this->patientServer(), 'buffer' => $this->buffered()])];
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], ['redirect', 1]], $this->pipes);
        self::assertIsResource($process);
        $this->process = $process;
    }

    private function end(): int
    {
        array_map('fclose', $this->pipes);
        $this->pipes = [];
        $process = $this->process;
        $this->process = null;

        return proc_close($process);
    }

    /** Works on the jobs, the last of which hangs, and kills the worker in its middle. */
    private function killAWorker(BufferingJob ...$jobs): void
    {
        $this->push(...$jobs);
        $this->startWorker();
        $output = '';
        while (!str_contains($output, 'taken')) {
            $read = [$this->pipes[1]];
            $write = $except = null;
            self::assertSame(1, stream_select($read, $write, $except, self::TIMEOUT_S), "it says nothing: {$output}");
            $chunk = fread($this->pipes[1], 65_536);
            self::assertNotSame('', (string) $chunk, "it ended: {$output}");
            $output .= $chunk;
        }
        proc_terminate($this->process, 9);
        $deadline = hrtime(true) + self::TIMEOUT_S * 10 ** 9;
        while (($status = proc_get_status($this->process))['running']) {
            self::assertLessThan($deadline, hrtime(true), 'it lives');
            usleep(1_000);
        }
        self::assertSame(9, $status['termsig']);
        $this->end();
    }

    /** @return array<int, int> what the server has */
    private function values(): array
    {
        return array_column($this->rows('orders'), 'v', 'id');
    }

    /**
     * @param array<string, mixed> $arguments
     *
     * @return array{int, string}
     */
    private function runCommand(string $command, array $arguments = []): array
    {
        $kernel = $this->app->make(Kernel::class);
        $status = $kernel->call($command, $arguments);

        return [$status, $kernel->output()];
    }

    public function testTheNextWorkerWritesTheRowsOfAKilledOne(): void
    {
        $this->killAWorker(new BufferingJob(1, '', 1), new BufferingJob(2, '', 2), new BufferingJob(3, 'hang', 3));
        self::assertSame([1 => 1, 2 => 2, 3 => 100], $this->values(), 'it was in the middle of the third one');
        self::assertCount(1, $this->folders());

        // The third job is reserved, so nobody does it again.
        $this->push(new BufferingJob(4, '', 4));
        $this->startWorker();
        $output = (string) stream_get_contents($this->pipes[1]);
        self::assertSame([0, ''], [$this->end(), $output]);
        self::assertSame([1 => 1, 2 => 2, 3 => 103, 4 => 4], $this->values());
        // It may have ended before it had tidied up.
        $this->runCommand('write-buffer:recover');
        self::assertSame([1 => 1, 2 => 2, 3 => 103, 4 => 4], $this->values());
        self::assertSame([], $this->folders());
        self::assertSame([], $this->deadLetters());
    }

    public function testACommandRecoversAtOnceAndAnotherOneShowsWhatIsThere(): void
    {
        self::assertSame([0, "{$this->journal} (default): no dead process has left anything.\n"], $this->runCommand('write-buffer:recover'));
        self::assertSame([0, "Nothing is in the journal: {$this->journal}\n"], $this->runCommand('write-buffer:journal'));
        self::assertSame([0, "[]\n"], $this->runCommand('write-buffer:journal', ['--json' => true]));
        $this->killAWorker(new BufferingJob(3, 'hang', 3));
        [$writer] = $this->folders();

        [$status, $output] = $this->runCommand('write-buffer:journal', ['--json' => true]);
        self::assertSame(0, $status);
        [$found] = json_decode($output, true, 512, JSON_THROW_ON_ERROR);
        self::assertSame(
            ['journal' => $this->journal, 'buffers' => ['default'], 'writer' => $writer, 'pid' => null, 'groups' => 1],
            array_slice($found, 0, 5),
        );
        self::assertSame([8 << 20, null], [$found['bytes'], $found['damage']]);
        self::assertStringNotContainsString(self::setting('DB_PASSWORD'), $output);
        [$status, $output] = $this->runCommand('write-buffer:journal');
        self::assertSame(0, $status);
        self::assertMatchesRegularExpression("/{$writer} +\\| dead +\\| 1 +\\| 8\\.0 MiB/", $output);
        self::assertStringContainsString('php artisan write-buffer:recover', $output);

        $this->app->make('config')->set('write-buffer.status', "{$this->journal}/no-status");
        [$status, $output] = $this->runCommand('write-buffer:status');
        self::assertSame(0, $status);
        self::assertMatchesRegularExpression(
            "#journal {$this->journal} \\(default\\): 8\\.0 MiB, the oldest file for \\d+ s; 1 folders of dead processes#",
            $output,
        );
        self::assertSame([0, ''], $this->runCommand('write-buffer:status', ['--check' => true, '--max-age' => '3600']));
        [$status, $output] = $this->runCommand('write-buffer:status', ['--check' => true, '--max-age' => '0']);
        self::assertSame(1, $status);
        self::assertStringContainsString("a dead process has left {$writer}", $output);

        // Another buffer of the same server and folder is no other journal.
        $this->app->make('config')->set('write-buffer.buffers.other', $this->buffered());
        [$status, $output] = $this->runCommand('write-buffer:recover');
        self::assertSame(
            [0, "{$this->journal} (default, other): writer {$writer} had left 1 groups: 1 rows committed, 0 given up, 0 wait for"
                . " a table.\n"],
            [$status, $output],
        );
        self::assertSame([3 => 103], $this->values());
        self::assertSame([], $this->folders());
        [$status, $output] = $this->runCommand('write-buffer:recover');
        self::assertSame(0, $status);
        self::assertStringContainsString('no dead process has left anything', $output);
        self::assertSame([3 => 103], $this->values());
    }

    public function testWhatCannotBeRecoveredIsAnExitStatus(): void
    {
        $this->killAWorker(new BufferingJob(5, 'hang', null));
        $config = $this->app->make('config');
        self::assertSame([1, "--timeout is a number of seconds.\n"], $this->runCommand('write-buffer:recover', ['--timeout' => 'soon']));

        // The server of the same DSN does not let us in.
        $config->set('database.connections.mysql.password', 'wrong');
        $this->app->make('db')->purge('mysql');
        [$status, $output] = $this->runCommand('write-buffer:recover');
        self::assertSame(1, $status, $output);
        self::assertStringContainsString('Access denied', $output);
        self::assertStringNotContainsString('wrong', $output);
        self::assertCount(1, $this->folders());
        $config->set('database.connections.mysql.password', self::setting('DB_PASSWORD'));
        $this->app->make('db')->purge('mysql');

        $file = "{$this->journal}.dead";
        $config->set('write-buffer.buffers.default.dead_letter_file', $file);
        try {
            [$status, $output] = $this->runCommand('write-buffer:recover');
            self::assertSame(1, $status, $output);
            self::assertStringContainsString('0 rows committed, 1 given up', $output);
            self::assertStringContainsString('php artisan write-buffer:failed', $output);
            self::assertSame(1, substr_count((string) file_get_contents($file), "\n"), "the buffer's own file has it");
            self::assertSame('', (string) ini_get('write_buffer.dead_letter_file'));
            self::assertStringContainsString('orders 1', $this->runCommand('write-buffer:failed')[1]);
        } finally {
            @unlink($file);
        }
        self::assertSame([], $this->folders());
        self::assertSame([3 => 100], $this->values());
    }

    public function testFailedShowsTheJournalsOwnFile(): void
    {
        $this->killAWorker(new BufferingJob(5, 'hang', null));
        [$status, $output] = $this->runCommand('write-buffer:recover');
        self::assertSame(1, $status, $output);
        self::assertCount(1, $this->deadLetters());
        [$status, $output] = $this->runCommand('write-buffer:failed');
        self::assertSame(0, $status);
        self::assertStringContainsString('| orders 1 | refused |', $output);
    }

    public function testWithoutAJournalThereIsNothingToDo(): void
    {
        $this->app->make('config')->set('write-buffer.buffers', [
            'default' => ['driver' => 'native', 'journal' => false],
            'none' => ['driver' => 'native', 'journal' => null],
            'nowhere' => ['driver' => 'null', 'journal' => $this->journal],
        ]);
        foreach (['recover', 'journal'] as $command) {
            self::assertSame(
                [0, "No buffer of config/write-buffer.php has a journal.\n"],
                $this->runCommand("write-buffer:{$command}"),
            );
        }
        self::assertDirectoryDoesNotExist($this->journal);
    }

    public function testDriversThatHaveNoJournalDoNotPromiseOne(): void
    {
        foreach (
            [
                'journal in config/write-buffer.php needs the driver "native"' => ['driver' => 'php'],
                'needs background: true' => ['background' => false],
                'journal needs a server' => ['dsn' => 'memory:'],
                "leave out ledger: 'never'" => ['ledger' => 'never'],
                'must be the absolute path of a folder' => ['journal' => 'write-buffer'],
            ] as $message => $settings
        ) {
            $this->app->make('config')->set('write-buffer.buffers.default', $settings + $this->buffered());
            $this->app->make(BufferManager::class)->purge();
            try {
                $this->buffer();
                self::fail("not refused: {$message}");
            } catch (ConfigException $e) {
                self::assertStringContainsString($message, $e->getMessage());
            }
        }
        // What it takes is committed when the call returns.
        $this->app->make('config')->set('write-buffer.buffers.default', ['driver' => 'sync'] + $this->buffered());
        $this->buffer()->add(['id' => 8, 'v' => 8]);
        $this->buffer()->sync();
        self::assertSame([3 => 100, 8 => 8], $this->values());
        self::assertDirectoryDoesNotExist($this->journal);
    }

    public function testSyncIsAboutTheDiskAndNotTheServer(): void
    {
        $this->buffer()->add(['id' => 8, 'v' => 8]);
        $this->buffer()->sync();
        self::assertSame([3 => 100], $this->values());
        self::assertCount(1, $this->buffer());
        self::assertCount(1, $this->folders());
        $this->buffer()->flush();
        self::assertSame([3 => 100, 8 => 8], $this->values());
    }

    public function testInstallChecksTheFolder(): void
    {
        $this->createTable('trades', 'id INT PRIMARY KEY');
        $config = $this->app->make('config');
        $public = "{$this->journal}/public";
        $linked = "{$this->journal}/linked";
        mkdir($public, 0700, true);
        mkdir($linked, 0700);
        symlink($linked, "{$public}/storage");
        mkdir("{$this->journal}/open", 0755);
        mkdir("{$this->journal}/own", 0700);
        touch("{$this->journal}/file");
        $this->app->instance('path.public', $public);
        foreach (
            [
                'own' => null,
                'new' => null,
                'open' => 'has the mode 0755, and holds rows: run chmod 700',
                'file' => 'is no folder',
                'no/parent' => "cannot be made: there is no folder {$this->journal}/no",
                'public/journal' => 'is below ' . $public . ', which the web server serves',
                'linked/journal' => 'is below ' . $linked . ', which the web server serves',
            ] as $folder => $problem
        ) {
            $config->set('write-buffer.buffers.default.journal', "{$this->journal}/{$folder}");
            [$status, $output] = $this->runCommand('write-buffer:install');
            self::assertSame($problem === null ? 0 : 1, $status, $output);
            self::assertStringContainsString($problem ?? 'All is there.', $output);
        }
        self::assertDirectoryDoesNotExist("{$this->journal}/new", 'no buffer was opened on it, so nothing is recovered either');
        $config->set('write-buffer.buffers.default.journal', 'here');
        self::assertStringContainsString('must be the absolute path', $this->runCommand('write-buffer:install')[1]);
        $config->set('write-buffer.buffers.default.journal', "{$this->journal}/own");
        $config->set('write-buffer.buffers.default.ledger', 'never');
        self::assertStringContainsString("leave out ledger: 'never'", $this->runCommand('write-buffer:install')[1]);
        self::assertSame([], glob(sys_get_temp_dir() . '/write-buffer-check-*'));
    }

    public function testInstallWarnsOfMemory(): void
    {
        if (!is_writable('/dev/shm') || !str_contains((string) @file_get_contents('/proc/self/mounts'), ' /dev/shm tmpfs ')) {
            self::markTestSkipped('Needs a tmpfs at /dev/shm.');
        }
        $this->createTable('trades', 'id INT PRIMARY KEY');
        $this->app->make('config')->set('write-buffer.buffers.default.journal', '/dev/shm/' . basename($this->journal));
        [$status, $output] = $this->runCommand('write-buffer:install');
        self::assertSame(0, $status, $output);
        self::assertStringContainsString('is in memory (tmpfs): it survives the process', $output);
    }
}
