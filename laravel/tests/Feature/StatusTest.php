<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Filesystem\Filesystem;
use Illuminate\Foundation\Console\AboutCommand;
use Monolog\Handler\TestHandler;
use RuntimeException;
use Symfony\Component\Console\Output\BufferedOutput;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Console\AboutSection;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Status\StatusFolder;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** What the outside can see of a process's buffers: `write-buffer:status`, a log channel, `about`. */
final class StatusTest extends TestCase
{
    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/write-buffer-status-' . bin2hex(random_bytes(6));
        parent::setUp();
        $this->app->make('config')->set('write-buffer.status', $this->folder);
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        (new Filesystem())->deleteDirectory($this->folder);
    }

    /** @param array<string, mixed> $arguments */
    private function shownStatus(array $arguments = []): string
    {
        $kernel = $this->app->make(Kernel::class);
        $status = $kernel->call('write-buffer:status', $arguments);
        $output = $kernel->output();
        self::assertSame(0, $status, $output);

        return $output;
    }

    /** @return list<array<string, mixed>> */
    private function entries(): array
    {
        return json_decode($this->shownStatus(['--json' => true]), true, 512, JSON_THROW_ON_ERROR);
    }

    public function testABufferTellsOfItselfWhereWorkEnds(): void
    {
        self::assertStringContainsString('No process of this machine has a buffer', $this->shownStatus());
        self::assertSame([], $this->entries());
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->buffer()->add(['id' => 2, 'v' => 2]);
        self::assertSame([], $this->entries());
        $this->app->terminate();

        [$entry] = $this->entries();
        self::assertSame(
            [gethostname(), 'default', true, getmypid(), 2, 0],
            [
                $entry['host'], $entry['buffer'], $entry['lives'],
                $entry['metrics']['pid'], $entry['metrics']['total_flushed'], $entry['metrics']['pending_rows'],
            ],
        );
        self::assertSame(array_keys($this->buffer()->getMetrics()), array_keys($entry['metrics']));
        $shown = $this->shownStatus();
        self::assertStringContainsString(gethostname() . ':' . getmypid(), $shown);
        self::assertStringContainsString('0 rows, 0 KiB', $shown);
    }

    public function testABufferOfTheApplicationsOwnNeedNotHaveAllMetrics(): void
    {
        $own = $this->createStub(Buffer::class);
        $own->method('getMetrics')->willReturn(['total_flushed' => 3]);
        $this->app->make(BufferManager::class)->extend('own', static fn (): Buffer => $own);
        $this->app->make('config')->set('write-buffer.buffers.own', ['driver' => 'own']);
        $this->buffer('own');
        $this->app->terminate();

        self::assertSame([], $this->app->make(ExceptionHandler::class)->reported);
        self::assertSame([3, getmypid()], [
            $this->entries()[0]['metrics']['total_flushed'], $this->entries()[0]['metrics']['pid'],
        ]);
        self::assertStringContainsString('own', $this->shownStatus());
    }

    public function testTheRateIsThatSinceTheLastWord(): void
    {
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->terminate();
        self::assertNull($this->entries()[0]['rows_per_s']);
        $this->setBack(10);
        foreach (range(2, 101) as $id) {
            $this->buffer()->add(['id' => $id, 'v' => 1]);
        }
        $this->app->terminate();
        self::assertEqualsWithDelta(10.0, $this->entries()[0]['rows_per_s'], 2.0);

        // A request's buffer begins anew, in the same process.
        $this->app->make(\WriteBuffer\Laravel\Buffers\BufferManager::class)->purge();
        $this->setBack(10);
        $this->buffer()->add(['id' => 1, 'v' => 5]);
        $this->app->terminate();
        self::assertEqualsWithDelta(0.1, $this->entries()[0]['rows_per_s'], 0.05);
    }

    /** Lets the last word be older than it is. */
    private function setBack(int $seconds): void
    {
        [$file] = glob("{$this->folder}/*.json");
        $entry = json_decode(file_get_contents($file), true);
        $entry['time'] -= $seconds;
        file_put_contents($file, json_encode($entry));
    }

    public function testASecondWordWithinASecondIsNotWritten(): void
    {
        $folder = new StatusFolder($this->folder);
        $metrics = $this->buffer()->getMetrics();
        $folder->publish('default', $metrics);
        $folder->publish('default', ['added_rows' => 5] + $metrics);
        self::assertSame(0, $folder->all()[0]['metrics']['added_rows']);
        $this->setBack(2);
        $folder->publish('default', ['added_rows' => 5] + $metrics);
        self::assertSame(5, $folder->all()[0]['metrics']['added_rows']);
        $folder->publish('other', $metrics);
        self::assertSame(['default', 'other'], array_column($folder->all(), 'buffer'));
    }

    public function testEndedProcessesStayWhileTheyHaveSomethingToTell(): void
    {
        $folder = new StatusFolder($this->folder);
        $ended = $this->endedProcess();
        $metrics = ['pid' => $ended, 'last_error' => 'Data too long'] + Metrics::none();
        $folder->publish('quiet', $metrics);
        $folder->publish('failed', ['failed_rows' => 3] + $metrics);
        self::assertSame([['failed', false]], array_map(
            static fn (array $entry): array => [$entry['buffer'], $entry['lives']],
            $folder->all(),
        ));
        $shown = $this->shownStatus();
        self::assertStringContainsString("{$ended} (ended)", $shown);
        self::assertStringContainsString('Data too long', $shown);
        $this->setBack(4_000);
        self::assertSame([], $folder->all());
        self::assertSame([], glob("{$this->folder}/*"));
    }

    private function endedProcess(): int
    {
        $process = proc_open(['true'], [], $pipes);
        $pid = proc_get_status($process)['pid'];
        proc_close($process);

        return $pid;
    }

    public function testWatchingGoesOnUntilItIsInterrupted(): void
    {
        if (!function_exists('pcntl_setitimer') && !function_exists('pcntl_alarm')) {
            self::markTestSkipped('needs ext-pcntl');
        }
        $before = pcntl_signal_get_handler(SIGALRM);
        $wasAsync = pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => throw new RuntimeException('interrupted'));
        $output = new BufferedOutput();
        try {
            pcntl_alarm(2);
            $this->app->make(Kernel::class)->call('write-buffer:status', ['--watch' => true, '--interval' => '0.1'], $output);
            self::fail('it ended by itself');
        } catch (RuntimeException $e) {
            self::assertSame('interrupted', $e->getMessage());
            self::assertGreaterThanOrEqual(2, substr_count($output->fetch(), 'No process of this machine'));
        } finally {
            pcntl_alarm(0);
            pcntl_signal(SIGALRM, $before);
            pcntl_async_signals($wasAsync);
        }
    }

    public function testWhatCannotBeShownSaysWhy(): void
    {
        $kernel = $this->app->make(Kernel::class);
        self::assertSame(1, $kernel->call('write-buffer:status', ['--interval' => 'soon']));
        $this->app->make('config')->set('write-buffer.status', false);
        self::assertSame(1, $kernel->call('write-buffer:status'));
        self::assertStringContainsString('"status" in config/write-buffer.php is off', $kernel->output());
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->terminate();
        self::assertDirectoryDoesNotExist($this->folder);
    }

    public function testAFolderThatCannotBeWrittenToIsReportedOnce(): void
    {
        touch($this->folder);
        $this->app->make('config')->set('write-buffer.status', "{$this->folder}/in-a-file");
        foreach ([1, 2] as $id) {
            $this->buffer()->add(['id' => $id, 'v' => 1]);
            $this->app->terminate();
        }
        $reported = $this->app->make(ExceptionHandler::class)->reported;
        self::assertCount(1, $reported);
        self::assertStringContainsString('in-a-file cannot be made', $reported[0]->getMessage());
        self::assertCount(2, $this->rows('orders'));
        unlink($this->folder);
    }

    public function testFlushesAreLoggedIntoAChannel(): void
    {
        $handler = new TestHandler();
        $this->app->make('config')->set('logging.channels.buffer', ['driver' => 'custom', 'via' => static fn () => new \Monolog\Logger(
            'buffer',
            [$handler],
        )]);
        $flush = function (int $id, ?int $v): void {
            $this->buffer()->add(['id' => $id, 'v' => $v]);
            $this->app->terminate();
        };
        $flush(1, 1);
        self::assertSame([], $handler->getRecords(), 'no channel is set');

        $this->app->make('config')->set('write-buffer.log_channel', 'buffer');
        $flush(2, 2);
        $flush(3, null);
        $records = array_map(
            static fn (mixed $record): array => [$record['level_name'], $record['message'], $record['context']],
            $handler->getRecords(),
        );
        self::assertCount(2, $records);
        self::assertSame(['DEBUG', 'write buffer flushed'], array_slice($records[0], 0, 2));
        self::assertSame(['default', 1], [$records[0][2]['buffer'], $records[0][2]['rows']]);
        self::assertSame('ERROR', $records[1][0]);
        self::assertStringContainsString("Column 'v' cannot be null", $records[1][1]);
        self::assertSame([['table' => 'orders', 'key' => ['id' => 3]]], $records[1][2]['given_up'][0]['rows']);
    }

    public function testAboutNamesTheExtensionAndTheBuffers(): void
    {
        $lines = AboutSection::lines($this->app);
        self::assertSame(phpversion('write_buffer'), $lines['Extension']);
        self::assertSame('native / mysql', $lines['Buffer default (default)']);
        if (!class_exists(AboutCommand::class)) {
            return;
        }
        // Laravel's own sections look for compiled views.
        $this->app->make('config')->set('view.compiled', $this->folder);
        $kernel = $this->app->make(Kernel::class);
        self::assertSame(0, $kernel->call('about', ['--only' => 'write_buffer', '--json' => true]));
        self::assertStringContainsString('native \/ mysql', $kernel->output());
    }
}
