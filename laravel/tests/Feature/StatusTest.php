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

/** What others can see of a process's buffers: `write-buffer:status`, a log channel, `about`. */
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
                $entry['metrics']['pid'], $entry['metrics']['rows_committed'], $entry['metrics']['rows_pending'],
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
        $own->method('getMetrics')->willReturn(['rows_committed' => 3]);
        $this->app->make(BufferManager::class)->extend('own', static fn (): Buffer => $own);
        $this->app->make('config')->set('write-buffer.buffers.own', ['driver' => 'own']);
        $this->buffer('own');
        $this->app->terminate();

        self::assertSame([], $this->app->make(ExceptionHandler::class)->reported);
        self::assertSame([3, getmypid()], [
            $this->entries()[0]['metrics']['rows_committed'], $this->entries()[0]['metrics']['pid'],
        ]);
        self::assertStringContainsString('own', $this->shownStatus());
    }

    public function testTheRateIsThatSinceTheBufferLastPublished(): void
    {
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->terminate();
        self::assertNull($this->entries()[0]['rows_per_s']);
        $before = $this->setBack(10);
        foreach (range(2, 101) as $id) {
            $this->buffer()->add(['id' => $id, 'v' => 1]);
        }
        $this->app->terminate();
        [$entry] = $this->entries();
        self::assertEqualsWithDelta(100 / ($entry['time'] - $before), $entry['rows_per_s'], 1e-9);

        // A new request's buffer counts from zero again, in the same process.
        $this->app->make(BufferManager::class)->purge();
        $before = $this->setBack(10);
        $this->buffer()->add(['id' => 1, 'v' => 5]);
        $this->app->terminate();
        [$entry] = $this->entries();
        self::assertEqualsWithDelta(1 / ($entry['time'] - $before), $entry['rows_per_s'], 1e-9);
    }

    /** Makes a published entry older; returns its time. */
    private function setBack(int $seconds): float
    {
        [$file] = glob("{$this->folder}/*.json");
        $entry = json_decode(file_get_contents($file), true);
        $entry['time'] -= $seconds;
        file_put_contents($file, json_encode($entry));

        return $entry['time'];
    }

    public function testABufferPublishesOnceASecond(): void
    {
        $folder = new StatusFolder($this->folder);
        $metrics = $this->buffer()->getMetrics();
        $now = microtime(true);
        foreach ([[0.0, 1, 1], [0.5, 2, 1], [1.0, 3, 3], [1.9, 4, 3], [2.1, 5, 5], [2.0, 6, 6]] as [$ageS, $rows, $shown]) {
            $folder->publish('default', ['rows_added' => $rows] + $metrics, $now + $ageS);
            self::assertSame($shown, $folder->all()[0]['metrics']['rows_added'], "after {$ageS} s");
        }
        $folder->publish('other', $metrics, $now);
        self::assertSame(['default', 'other'], array_column($folder->all(), 'buffer'));
    }

    public function testWhatItShowsSteersNoConsole(): void
    {
        $evil = "<fg=red>x\e]0;title\x07\u{9b}\u{202e}";
        $metrics = ['last_error' => $evil, 'thread_state' => $evil] + Metrics::none();
        (new StatusFolder($this->folder))->publish($evil, $metrics, microtime(true));
        self::assertSame($evil, $this->entries()[0]['metrics']['last_error']);
        foreach ([$this->shownStatus(), $this->shownStatus(['--json' => true])] as $shown) {
            self::assertStringContainsString('<fg=red>x', $shown);
            self::assertSame(0, preg_match('/[^\P{Cc}\n]|\x{202e}/u', $shown), $shown);
        }
        $this->app->make('config')->set('write-buffer.buffers', [$evil => ['driver' => $evil]]);
        foreach (AboutSection::lines($this->app) as $label => $line) {
            self::assertSame(0, preg_match('/[\p{Cc}\x{202e}]|(?<!\\\\)<fg/u', $label . $line), $label);
        }
    }

    public function testEndedProcessesStayWhileTheyHaveSomethingToTell(): void
    {
        $folder = new StatusFolder($this->folder);
        $ended = $this->endedProcess();
        $metrics = ['pid' => $ended, 'last_error' => 'Data too long'] + Metrics::none();
        $folder->publish('quiet', $metrics, microtime(true));
        $folder->publish('failed', ['rows_refused' => 3] + $metrics, microtime(true));
        self::assertSame([['failed', false]], array_map(
            static fn (array $entry): array => [$entry['buffer'], $entry['lives']],
            $folder->all(),
        ));
        $shown = $this->shownStatus();
        self::assertStringContainsString("{$ended} (ended, none pending)", $shown);
        self::assertStringNotContainsString('"ended with rows"', $shown);
        self::assertStringContainsString('Data too long', $shown);
        $this->setBack(4_000);
        self::assertSame([], $folder->all());
        self::assertSame([], glob("{$this->folder}/*"));
    }

    public function testRowsThatWerePendingAreShownAsOfThen(): void
    {
        $folder = new StatusFolder($this->folder);
        $pending = [Metrics::PENDING => 1_200] + Metrics::none();
        $folder->publish('kept', $pending, microtime(true), true);
        $shown = $this->shownStatus();
        self::assertStringContainsString('then 1,200 rows, 0 KiB', $shown);
        self::assertStringContainsString('Its thread has gone on since', $shown);
        self::assertTrue($this->entries()[0]['persistent']);
        $time = $this->setBack(75);
        [$shown, $now] = [$this->shownStatus(), microtime(true)];
        self::assertSame(1, preg_match('/then 1,200 rows, 0 KiB \((\d+) s ago\)/', $shown, $found), $shown);
        self::assertLessThanOrEqual($now - $time, (int) $found[1]);
        self::assertGreaterThanOrEqual(75, (int) $found[1], 'it says as of when');

        $folder->publish('ended', ['pid' => $this->endedProcess()] + $pending, microtime(true));
        $shown = $this->shownStatus();
        self::assertStringContainsString('(ended with 1,200 rows)', $shown);
        self::assertStringContainsString('"unwritten" in the dead-letter file', $shown);
    }

    public function testACheckFailsIfSomebodyIsNeeded(): void
    {
        $folder = new StatusFolder($this->folder);
        $check = function (array $options = []): array {
            $kernel = $this->app->make(Kernel::class);

            return [$kernel->call('write-buffer:status', ['--check' => true] + $options), $kernel->output()];
        };
        self::assertSame([0, ''], $check());
        $waiting = [Metrics::PENDING => 2, Metrics::AGE_OLDEST_MS => 61_000.0] + Metrics::none();
        $folder->publish('late', $waiting, microtime(true));
        self::assertSame([0, ''], $check(['--max-age' => '62']));
        [$status, $output] = $check();
        self::assertSame(1, $status);
        self::assertStringContainsString(getmypid() . ' late: 2 rows wait, the oldest for 61 s', $output);

        (new Filesystem())->cleanDirectory($this->folder);
        $folder->publish('kept', $waiting, microtime(true), true);
        $this->setBack(75);
        [$status, $output] = $check();
        self::assertSame(1, $status);
        self::assertMatchesRegularExpression('/kept: 2 rows wait, the oldest for 61 s \(as of (7[5-9]|[89]\d|\d{3,}) s ago\)/', $output);

        $folder->publish('ended', ['pid' => $this->endedProcess()] + $waiting, microtime(true));
        $folder->publish('parked', [Metrics::PARKED => ['orders' => [
            'rows' => 3, 'code' => 1146, 'message' => 'there is no such table', 'age_ms' => 5.0,
        ]]] + Metrics::none(), microtime(true));
        [$status, $output] = $check(['--max-age' => '62']);
        self::assertSame(1, $status);
        self::assertStringContainsString('ended: the process has ended with 2 rows', $output);
        self::assertStringContainsString('parked: orders takes no rows, 3 wait: there is no such table', $output);
        self::assertSame(1, $check(['--max-age' => 'soon'])[0]);
    }

    public function testSettingsThatThereAreNotAreSaid(): void
    {
        $this->app->make('config')->set('write-buffer.buffers.misspelled', ['driver' => 'null', 'batchsize' => 5]);
        $this->app->make('config')->set('write-buffer.buffers.own', ['driver' => 'own', 'anything' => 5]);
        $expected = 'buffer misspelled of config/write-buffer.php has an unknown setting batchsize: is it batch_size?';
        self::assertStringContainsString($expected, $this->shownStatus());
        self::assertStringNotContainsString('anything', $this->shownStatus());
        self::assertSame([], $this->entries());
        $kernel = $this->app->make(Kernel::class);
        self::assertSame(1, $kernel->call('write-buffer:status', ['--check' => true]));
        self::assertStringContainsString($expected, $kernel->output());
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
        $output = new class () extends BufferedOutput {
            public int $tables = 0;

            protected function doWrite(string $message, bool $newline): void
            {
                if (str_contains($message, 'No process of this machine') && ++$this->tables === 3) {
                    throw new RuntimeException('interrupted');
                }
            }
        };
        $arguments = ['--watch' => true, '--interval' => '0.1'];
        try {
            $this->app->make(Kernel::class)->call('write-buffer:status', $arguments, $output);
            self::fail('it ended by itself');
        } catch (RuntimeException $e) {
            self::assertSame(['interrupted', 3], [$e->getMessage(), $output->tables]);
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
        // Laravel's own sections look for compiled views there.
        $this->app->make('config')->set('view.compiled', $this->folder);
        $kernel = $this->app->make(Kernel::class);
        self::assertSame(0, $kernel->call('about', ['--only' => 'write_buffer', '--json' => true]));
        self::assertStringContainsString('native \/ mysql', $kernel->output());
    }
}
