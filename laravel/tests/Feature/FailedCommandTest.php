<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Console\Kernel;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\DeadLetterFile;
use WriteBuffer\FlushException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Events\BatchFlushed;
use WriteBuffer\Laravel\Events\FlushFailed;
use WriteBuffer\Laravel\Exceptions\FlushFailedException;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** `write-buffer:failed`, and the events of a flush. */
final class FailedCommandTest extends TestCase
{
    private string $file;

    protected function bufferConfiguration(): array
    {
        $this->file = sys_get_temp_dir() . '/wb_laravel_failed_' . getmypid() . '.jsonl';
        $buffer = ['background' => false, 'flush_interval_ms' => 3_600_000, 'dead_letter_file' => $this->file];

        return ['default' => 'native', 'buffers' => [
            'native' => ['driver' => 'native'] + $buffer,
            'php' => ['driver' => 'php'] + $buffer,
            'without' => ['driver' => 'native'],
        ]];
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        array_map('unlink', glob("{$this->file}*") ?: []);
    }

    /** @return iterable<string, array{string}> */
    public static function drivers(): iterable
    {
        yield 'native' => ['native'];
        yield 'php' => ['php'];
    }

    /**
     * @param array<string, mixed> $arguments
     *
     * @return array{int, string}
     */
    private function failed(array $arguments = []): array
    {
        $kernel = $this->app->make(Kernel::class);
        $status = $kernel->call('write-buffer:failed', $arguments);

        return [$status, $kernel->output()];
    }

    private function fill(string $driver): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v TINYINT NOT NULL, raw VARBINARY(5)');
        $buffer = $this->buffer($driver);
        foreach ([[1, 500], [2, 600], [3, null], [4, 4]] as [$id, $v]) {
            $buffer->add(['id' => $id, 'v' => $v, 'raw' => "\xff"]);
        }
        try {
            $buffer->flush();
            self::fail('all were taken');
        } catch (FlushException) {
            self::assertCount(3, $buffer->takeFailures());
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testDeletionsAreListedAndRetried(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        $this->createTable('parents', 'id INT PRIMARY KEY');
        $this->createTable('children', 'id INT PRIMARY KEY, parent_id INT NOT NULL,'
            . ' FOREIGN KEY (parent_id) REFERENCES parents (id)');
        $buffer = $this->buffer($driver);
        $buffer->put('parents', [['id' => 1], ['id' => 2]]);
        $buffer->put('children', ['id' => 10, 'parent_id' => 1]);
        $buffer->delete('parents', 1);
        $buffer->delete('parents', 2);
        try {
            $buffer->flush();
            self::fail('a row with children was deleted');
        } catch (FlushException $e) {
            $told = new FlushFailedException($driver, $e, 0, []);
            self::assertSame([['table' => 'parents', 'key' => ['id' => 1]]], $told->context()['given_up'][0]['rows']);
        }
        $buffer->takeFailures();
        self::assertStringContainsString('parents 1', $this->failed()[1]);
        self::assertStringContainsString('"delete": {', $this->failed(['number' => ['1']])[1]);
        self::assertStringContainsString('0 groups written, 1 refused.', $this->failed(['--retry' => true])[1]);
        $buffer->delete('children', 10);
        $buffer->flush();
        self::assertSame([0, "1 groups written, 0 refused.\n"], $this->failed(['--retry' => true]));
        self::assertSame([], $this->rows('parents'));
        self::assertSame("No groups were given up.\n", $this->failed()[1]);
    }

    /** @return list<int> the ids in the file */
    private function ids(): array
    {
        return array_map(
            static fn (string $line): int => json_decode($line, true)['rows'][0]['row']['id'],
            (array) file($this->file, FILE_IGNORE_NEW_LINES),
        );
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testGroupsAreListedRetriedAndForgotten(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        $this->fill($driver);
        [$status, $output] = $this->failed();
        self::assertSame(0, $status);
        self::assertStringContainsString('orders 1', $output);
        self::assertStringContainsString('1048', $output);
        self::assertStringContainsString('"id": 2', $this->failed(['number' => ['2']])[1]);
        self::assertStringNotContainsString('"id": 1', $this->failed(['number' => ['2']])[1]);

        // This removes one cause. One of the three groups stays refused.
        $this->app->make('db')->unprepared('ALTER TABLE orders MODIFY v INT NOT NULL');
        [$status, $output] = $this->failed(['number' => ['1', '3'], '--retry' => true]);
        self::assertSame(1, $status);
        self::assertStringContainsString('1 groups written, 1 refused.', $output);
        self::assertSame([2, 3], $this->ids());
        self::assertSame([1, 4], array_column($this->rows('orders'), 'id'));
        self::assertSame("\xff", $this->rows('orders')[0]['raw']);

        self::assertSame(1, $this->failed(['--retry' => true])[0]);
        self::assertSame([3], $this->ids());
        self::assertSame("1 groups forgotten.\n", $this->failed(['number' => ['1'], '--forget' => true])[1]);
        self::assertSame([], $this->ids());
        self::assertSame("No groups were given up.\n", $this->failed()[1]);
        self::assertSame([$this->file], glob("{$this->file}*"), 'no copy is left');
        self::assertSame([], glob(dirname($this->file) . '/.' . basename($this->file) . '*'), 'no copy is left');
    }

    /**
     * A value of a row is shown where somebody asks for failures, as it is. It is in no log.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAValueIsInNoLogAndSteersNoConsole(string $driver): void
    {
        $config = $this->app->make('config');
        $config->set('write-buffer.default', $driver);
        $config->set("write-buffer.buffers.{$driver}.tables", ['orders' => ['mode' => 'insert']]);
        $this->createTable('orders', 'id INT PRIMARY KEY, v VARCHAR(90), UNIQUE KEY email (v)');
        $evil = "s3cr3t<fg=red>\e]0;title\x07\u{202e}\u{2028}</>";
        $this->buffer()->add(['id' => 1, 'v' => $evil]);
        $this->app->terminate();
        $this->buffer()->add(['id' => 2, 'v' => $evil]);
        $this->app->make('events')->listen(FlushFailed::class, static function (FlushFailed $event) use (&$reported): void {
            $reported = $event->exception;
        });
        $this->app->terminate();

        $logged = json_encode([
            $reported->getMessage(),
            $reported->getPrevious()?->getMessage(),
            $reported->context(),
            $this->buffer()->getMetrics()['last_error'],
        ], JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
        self::assertSame(4, substr_count($logged, "Duplicate entry '…' for key "), $logged);
        self::assertStringNotContainsString('s3cr3t', $logged);
        self::assertStringContainsString('s3cr3t<fg=red>', $this->buffer()->takeFailures()[0]['message']);

        foreach ([$this->failed()[1], $this->failed(['number' => ['1']])[1]] as $output) {
            self::assertStringContainsString('s3cr3t<fg=red>', $output);
            self::assertSame(0, preg_match('/[^\P{Cc}\n]|\x{202e}|\x{2028}/u', $output), $output);
        }
        $config->set("write-buffer.buffers.{$driver}.redact_values", false);
        self::assertFalse($this->app->make(BufferManager::class)->redactsValues($driver));
    }

    public function testAFileThatIsNotOursIsNamedAndLeftAlone(): void
    {
        posix_mkfifo($this->file, 0600);
        foreach ([[], ['--retry' => true], ['--forget' => true]] as $arguments) {
            [$status, $output] = $this->failed($arguments);
            self::assertSame(1, $status);
            self::assertStringContainsString("{$this->file} is no file", $output);
        }
    }

    /**
     * What a process had left when it ended, in the file and beside it, and a line at which one was
     * killed.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testWhatWasLeftAtAnEndIsRetried(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        $this->createTable('orders', 'id INT PRIMARY KEY, v TINYINT NOT NULL, raw VARBINARY(5)');
        $line = static fn (int $id, string $status): string => json_encode([
            'time' => 1.5,
            'status' => $status,
            'code' => 0,
            'message' => 'why',
            'rows' => [['table' => 'orders', 'row' => ['id' => $id, 'v' => 1]]],
        ]) . "\n";
        file_put_contents($this->file, $line(1, 'unwritten') . $line(2, 'uncertain') . '{"time":1.5,"sta');
        file_put_contents("{$this->file}.4711-1", $line(3, 'unwritten'));
        [$status, $output] = $this->failed();
        self::assertSame(0, $status);
        foreach (['unwritten', 'uncertain', 'damaged'] as $word) {
            self::assertStringContainsString($word, $output);
        }
        self::assertSame([$this->file], glob("{$this->file}*"), 'what stood beside it is in it');

        [$status, $output] = $this->failed(['--retry' => true]);
        self::assertSame(1, $status);
        self::assertStringContainsString('2 groups written, 0 refused.', $output);
        self::assertStringContainsString('1 groups may be in the database already, and stay.', $output);
        self::assertSame([1, 3], array_column($this->rows('orders'), 'id'));

        [$status, $output] = $this->failed(['number' => ['1'], '--retry' => true, '--uncertain' => true]);
        self::assertSame([0, "1 groups written, 0 refused.\n"], [$status, $output]);
        self::assertSame([1, 2, 3], array_column($this->rows('orders'), 'id'));
        self::assertSame("1 groups forgotten.\n", $this->failed(['--forget' => true])[1]);
        self::assertSame('', file_get_contents($this->file));
    }

    private static function sumLine(int $id, string $status = 'unwritten'): string
    {
        return json_encode([
            'id' => "f{$id}",
            'status' => $status,
            'rows' => [['table' => 'orders', 'row' => ['id' => $id, 'n' => 1]]],
        ], JSON_THROW_ON_ERROR) . "\n";
    }

    /** @return array<int, string> the status of each line, by its row's id, in their order */
    private function statuses(): array
    {
        $letters = array_map(
            static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR),
            is_file($this->file) ? (array) file($this->file) : [],
        );

        return array_column(
            array_map(static fn (array $letter): array => [$letter['rows'][0]['row']['id'], $letter['status']], $letters),
            1,
            0,
        );
    }

    private function useSums(string $driver): void
    {
        $config = $this->app->make('config');
        $config->set('write-buffer.default', $driver);
        $config->set("write-buffer.buffers.{$driver}.tables", ['orders' => ['merge' => ['n' => 'sum']]]);
        $this->createTable('orders', 'id INT PRIMARY KEY, n INT NOT NULL');
    }

    /**
     * As the extension's DeadLetterFile::retry() leaves its file, and this command's, when they are
     * killed. It is older than what came into the file since.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testWhatAKilledRetryHasLeftIsTakenIn(string $driver): void
    {
        $this->useSums($driver);
        $lines = implode('', array_map(self::sumLine(...), range(1, 9)));
        $notes = "{\"retry_begun\":2}\n{\"retry_done\":2}\n{\"retry_begun\":7}\n{\"retry_settled\":[4,6]}\n{\"retry_beg";
        file_put_contents("{$this->file}.retry", "\u{feff}" . $lines . $notes);
        // 3 was given back when it was killed.
        file_put_contents($this->file, self::sumLine(20) . self::sumLine(3, 'uncertain'));
        array_map(static fn (string $file): bool => chmod($file, 0600), ["{$this->file}.retry", $this->file]);
        self::assertStringContainsString('uncertain', $this->failed()[1]);
        self::assertSame(
            [4 => 'uncertain', 7 => 'uncertain', 8 => 'unwritten', 9 => 'unwritten', 20 => 'unwritten', 3 => 'uncertain'],
            $this->statuses(),
        );
        self::assertSame([$this->file], glob("{$this->file}*"));
        self::assertStringContainsString('3 groups written, 0 refused.', $this->failed(['--retry' => true])[1]);
        self::assertSame([8, 9, 20], array_column($this->rows('orders'), 'id'));
        self::assertSame([4 => 'uncertain', 7 => 'uncertain', 3 => 'uncertain'], $this->statuses());
        self::assertSame([$this->file], glob("{$this->file}*"));
    }

    /**
     * It is killed amid the third group, which waits for a lock. The extension goes on with it.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAKillWritesNothingTwice(string $driver): void
    {
        $this->useSums($driver);
        $database = $this->app->make('db');
        $this->app->make('config')->set('database.connections.holder', self::server());
        $database->connection()->insert('INSERT INTO orders VALUES (3, 0)');
        file_put_contents($this->file, implode('', array_map(self::sumLine(...), range(1, 5))));
        chmod($this->file, 0600);
        $database->purge();
        $pid = pcntl_fork();
        if ($pid === 0) {
            $database->connection('holder')->beginTransaction();
            $database->connection('holder')->update('UPDATE orders SET n = n WHERE id = 3');
            $this->failed(['--retry' => true]);
            posix_kill(getmypid(), SIGKILL);
        }
        $limit = microtime(true) + 60;
        while (!str_contains((string) @file_get_contents("{$this->file}.retry"), '{"retry_begun":3}')) {
            self::assertLessThan($limit, microtime(true), 'the third group is begun');
            usleep(5_000);
        }
        // Nobody else works on the file meanwhile.
        [$status, $output] = $this->failed(['--retry' => true]);
        self::assertSame(1, $status);
        self::assertStringContainsString('another process puts its groups back', $output);
        self::assertStringContainsString('Some groups are being put back', $this->failed()[1]);
        $buffer = new \SyncWriteBuffer('memory:');
        try {
            DeadLetterFile::retry($buffer, $this->file);
            self::fail('two at once');
        } catch (ConfigException $e) {
            self::assertStringContainsString('another process puts its groups back', $e->getMessage());
        }
        posix_kill($pid, SIGKILL);
        pcntl_waitpid($pid, $status);
        self::assertSame(SIGKILL, pcntl_wtermsig($status));
        self::assertFileDoesNotExist($this->file);

        $server = self::server();
        $dsn = sprintf(
            'mysql://%s:%s@%s:%d/%s',
            ...array_map('rawurlencode', [$server['username'], $server['password'], $server['host']]),
            ...[(int) $server['port'], rawurlencode($server['database'])],
        );
        $buffer = new \SyncWriteBuffer($dsn, tables: ['orders' => ['merge' => ['n' => 'sum']]]);
        self::assertSame(2, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([3 => 'uncertain'], $this->statuses());
        self::assertSame([$this->file], glob("{$this->file}*"));
        $sums = array_map('intval', array_column($this->rows('orders'), 'n', 'id'));
        self::assertContains($sums[3], [0, 1]);
        self::assertSame([1 => 1, 2 => 1, 3 => $sums[3], 4 => 1, 5 => 1], $sums);
    }

    /** Its buffer goes without another try: the line is still in the file. */
    public function testWhatCannotBeWrittenNowStaysAndIsWrittenOnce(): void
    {
        foreach (['native', 'php'] as $driver) {
            $this->useSums($driver);
            file_put_contents($this->file, self::sumLine(1));
            chmod($this->file, 0600);
            $this->app->make('db')->unprepared('DROP TABLE orders');
            self::assertStringContainsString('0 groups written, 1 refused.', $this->failed(['--retry' => true])[1]);
            self::assertSame([1 => 'unwritten'], $this->statuses());
            $this->createTable('orders', 'id INT PRIMARY KEY, n INT NOT NULL');
            self::assertSame([0, "1 groups written, 0 refused.\n"], $this->failed(['--retry' => true]));
            self::assertSame([1], array_map('intval', array_column($this->rows('orders'), 'n')));
        }
    }

    public function testWhatTheDriverPhpHadLeftIsInTheFile(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v TINYINT NOT NULL, raw VARBINARY(5)');
        $buffer = $this->buffer('php');
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id, 'v' => $id]);
        }
        $this->app->make('db')->unprepared('DROP TABLE orders');
        $this->app->make(BufferManager::class)->purge('php');
        unset($buffer);
        self::assertSame([1, 2], $this->ids());
        $letters = array_map(static fn ($line) => json_decode((string) $line, true), (array) file($this->file));
        self::assertSame(['unwritten', 'unwritten'], array_column($letters, 'status'));
    }

    public function testWhatIsNotThereIsSaid(): void
    {
        $this->app->make('config')->set('write-buffer.default', 'php');
        $this->fill('php');
        $before = file_get_contents($this->file);
        foreach ([[], ['--retry' => true], ['--forget' => true]] as $what) {
            foreach ([['7'], ['1', '7'], ['0'], ['x'], ['all', '9']] as $numbers) {
                [$status, $output] = $this->failed(['number' => $numbers] + $what);
                self::assertSame(1, $status, implode($numbers));
                $unknown = $numbers[count($numbers) - 1];
                self::assertStringContainsString("There is no group {$unknown} in the file, which has 3 groups.", $output);
            }
            [$status, $output] = $this->failed(['--buffer' => 'typo'] + $what);
            self::assertSame(1, $status);
            self::assertStringContainsString('There is no buffer typo in config/write-buffer.php; there are: ', $output);
        }
        self::assertStringEqualsFile($this->file, (string) $before, 'nothing was done to the groups that are there');
        self::assertSame($this->failed()[1], $this->failed(['number' => ['all']])[1]);
        $id = json_decode((string) file($this->file)[1], true)['id'];
        self::assertSame($this->failed(['number' => ['2']])[1], $this->failed(['number' => [$id]])[1]);
        self::assertSame("1 groups forgotten.\n", $this->failed(['number' => [$id], '--forget' => true])[1]);
        self::assertSame("2 groups forgotten.\n", $this->failed(['number' => ['all'], '--forget' => true])[1]);
    }

    public function testABufferWithoutAFile(): void
    {
        self::assertSame(1, $this->failed(['--buffer' => 'without'])[0]);
    }

    public function testEvents(): void
    {
        $seen = [];
        $this->app->make('events')->listen([BatchFlushed::class, FlushFailed::class], static function (object $event) use (&$seen): void {
            $seen[] = [$event::class, $event->buffer, $event->rows ?? $event->exception->getCode()];
        });
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->terminate();
        $this->buffer()->add(['id' => 2, 'v' => null]);
        $this->app->terminate();
        $this->app->terminate();

        self::assertSame([[BatchFlushed::class, 'native', 1], [FlushFailed::class, 'native', 1048]], $seen);
    }
}
