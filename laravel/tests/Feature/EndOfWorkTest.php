<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Console\Scheduling\Schedule;
use Illuminate\Contracts\Console\Kernel;
use Illuminate\Foundation\Http\Events\RequestHandled;
use Illuminate\Http\RedirectResponse;
use Illuminate\Queue\WorkerOptions;
use Illuminate\Support\Facades\Route;
use Throwable;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Events\BatchWritten;
use WriteBuffer\Laravel\Events\FlushFailed;
use WriteBuffer\Laravel\Exceptions\FlushFailedException;
use WriteBuffer\Laravel\Exceptions\OpenTransactionException;
use WriteBuffer\Laravel\Tests\Support\BufferingJob;
use WriteBuffer\Laravel\Tests\Support\EndOfWorkTestCase;
use WriteBuffer\RefusedException;
use WriteBuffer\TimeoutException;

/** The buffers are flushed when work ends, and what such a flush meets is reported. */
final class EndOfWorkTest extends EndOfWorkTestCase
{
    private function work(BufferingJob ...$jobs): void
    {
        foreach ($jobs as $job) {
            $this->app->make('queue')->connection('database')->push($job);
        }
        $this->app->make('queue.worker')->daemon(
            'database',
            'default',
            new WorkerOptions(sleep: 0, maxTries: 1, stopWhenEmpty: true),
        );
    }

    public function testAResponseWithALocationIsSentAfterTheFlush(): void
    {
        Route::get('/moved', function (): RedirectResponse {
            $this->buffer()->add(['id' => 1, 'v' => 1]);

            return new RedirectResponse('/orders/1');
        });
        Route::get('/stays', function (): string {
            $this->buffer()->add(['id' => 2, 'v' => 1]);

            return 'ok';
        });
        $seen = [];
        $this->app->make('events')->listen(RequestHandled::class, function () use (&$seen): void {
            $seen[] = $this->written();
        });
        $this->get('/moved')->assertRedirect('/orders/1');
        $this->get('/stays')->assertOk();

        self::assertSame([[1], [1]], $seen);
        self::assertSame([1, 2], $this->written());
    }

    public function testARequest(): void
    {
        $inRequest = null;
        Route::get('/buffer', function () use (&$inRequest): string {
            $this->buffer()->add(['id' => 1, 'v' => 1]);
            $inRequest = count($this->buffer());

            return 'ok';
        });
        $this->get('/buffer')->assertOk();

        self::assertSame(1, $inRequest);
        self::assertSame([1], $this->written());
        self::assertSame([], $this->reported());
    }

    public function testARequestDoesNotWaitForAPersistentBuffer(): void
    {
        $this->app->make('config')->set('write-buffer.buffers.default.persistent', 'wb_end_of_work');
        $this->app->make('config')->set('write-buffer.buffers.default.background', true);
        Route::get('/buffer', function (): string {
            $this->buffer()->add(['id' => 1, 'v' => 1]);

            return 'ok';
        });
        $this->get('/buffer')->assertOk();

        self::assertCount(1, $this->buffer());
        $this->buffer()->flush();
    }

    public function testACommand(): void
    {
        $kernel = $this->app->make(Kernel::class);
        if (method_exists($kernel, 'rerouteSymfonyCommandEvents')) {
            // Since Laravel 10 unit tests have no events of commands, unless the kernel is told.
            $kernel->rerouteSymfonyCommandEvents();
        }
        $kernel->command('wb:add', function (): void {
            app(\WriteBuffer\Buffer::class)->add(['id' => 1, 'v' => 1]);
        });
        $kernel->call('wb:add');

        self::assertSame([1], $this->written());
    }

    public function testAScheduledTask(): void
    {
        $seen = null;
        // In Laravel 8 the kernel makes the schedule.
        $kernel = $this->app->make(Kernel::class);
        $schedule = $this->app->make(Schedule::class);
        $schedule->call(fn () => $this->buffer()->add(['id' => 1, 'v' => 1]))->everyMinute();
        $schedule->call(function () use (&$seen): void {
            $seen = $this->written();
        })->everyMinute();
        $kernel->call('schedule:run');

        self::assertSame([1], $seen, "the first task's rows are there when the second one begins");
    }

    public function testEachJob(): void
    {
        $this->work(new BufferingJob(1), new BufferingJob(2));

        self::assertSame([1 => 0, 2 => 1], BufferingJob::$seen);
        self::assertSame([1, 2], $this->written());
    }

    public function testTheRowsOfAJobThatFailsAreWrittenBeforeTheNextOne(): void
    {
        $this->work(new BufferingJob(1, 'fail'), new BufferingJob(2));

        self::assertSame([1 => 0, 2 => 1], BufferingJob::$seen);
        self::assertSame(['on purpose'], array_map(static fn (Throwable $e): string => $e->getMessage(), $this->reported()));
    }

    public function testATransactionThatAJobLeftOpenIsReported(): void
    {
        // The queue has its own connection, since the worker's queries would be in that transaction
        // too.
        $config = $this->app->make('config');
        $config->set('database.connections.jobs', $config->get('database.connections.mysql'));
        $config->set('queue.connections.database.connection', 'jobs');
        $this->work(new BufferingJob(1, 'leave open'));

        self::assertInstanceOf(OpenTransactionException::class, $this->reported()[0]);
        self::assertSame(1, $this->reported()[0]->rows);
        $this->app->make('db')->rollBack();
        $this->app->make('db')->connection('jobs')->disconnect();
        self::assertSame([], $this->written());
    }

    public function testAJobThatIsFlushedByItsMiddlewareFailsWithItsRows(): void
    {
        $this->work(new BufferingJob(1, 'flush', null), new BufferingJob(2, 'flush'));

        self::assertSame([2], $this->written());
        self::assertInstanceOf(\WriteBuffer\FlushException::class, $this->reported()[0], 'it is the job itself that failed');
        self::assertCount(1, $this->reported());
    }

    public function testAFlushThatFailsIsReportedWithTableAndKey(): void
    {
        $this->work(new BufferingJob(7, '', null), new BufferingJob(8));

        self::assertSame([8], $this->written());
        self::assertCount(1, $this->reported());
        $reported = $this->reported()[0];
        self::assertInstanceOf(FlushFailedException::class, $reported);
        self::assertStringStartsWith('the buffer default: gave up 1 row', $reported->getMessage());
        $context = $reported->context();
        self::assertSame(['default', 1048, 0, 1], [
            $context['buffer'], $context['code'], $context['rows_pending'], $context['groups_refused'],
        ]);
        self::assertSame([['table' => 'orders', 'key' => ['id' => 7]]], $context['given_up'][0]['rows']);
    }

    public function testWhatANativeThreadHasWrittenIsAnEvent(): void
    {
        $folder = sys_get_temp_dir() . '/write-buffer-written-' . bin2hex(random_bytes(6));
        $events = [];
        $request = function () use ($folder, &$events): void {
            $this->refreshApplication();
            $this->app->make('config')->set('write-buffer.status', $folder);
            $this->app->make('events')->listen(BatchWritten::class, static function (BatchWritten $event) use (&$events): void {
                $events[] = [$event->buffer, $event->tables, $event->rows, $event->transactions > 0, $event->timeMs > 0];
            });
        };
        $wait = function (Buffer $buffer): void {
            $this->await('commit', static fn (): bool => count($buffer) === 0);
        };
        try {
            $request();
            $buffer = $this->inTheBackground();
            $buffer->put('orders', [['id' => 1, 'v' => 1], ['id' => 2, 'v' => 1]]);
            $wait($buffer);
            $this->app->terminate();
            $this->app->terminate();
            $buffer->delete('orders', 1);
            $this->app->terminate();
            $ofOne = fn (int $rows): array => ['default', ['orders'], $rows, true, true];
            self::assertSame([$ofOne(2), $ofOne(1)], $events);

            // A persistent buffer counts on. What it had before the first look is not told.
            $events = [];
            foreach ([3, 4] as $id) {
                $request();
                $buffer = $this->inTheBackground(['persistent' => 'wb_written']);
                $this->app->terminate();
                $buffer->add(['id' => $id, 'v' => 1]);
                $wait($buffer);
                $this->app->terminate();
                $buffer->add(['id' => 10 * $id, 'v' => 1]);
                $wait($buffer);
            }
            $request();
            $this->inTheBackground(['persistent' => 'wb_written']);
            $this->app->terminate();
            self::assertSame([1, 1, 1, 1], array_column($events, 2), 'also what was written after a request');
            self::assertSame([2, 3, 4, 30, 40], $this->written());
        } finally {
            (new \Illuminate\Filesystem\Filesystem())->deleteDirectory($folder);
        }
    }

    public function testAllBuffersAreFlushedAlsoIfOneFails(): void
    {
        $config = $this->app->make('config');
        $config->set('write-buffer.buffers.other', ['driver' => 'php', 'flush_interval_ms' => 3_600_000]);
        $this->buffer()->add(['id' => 1, 'v' => null]);
        $this->buffer('other')->add(['id' => 2, 'v' => 1]);
        try {
            $this->app->make(BufferManager::class)->flushAll();
            self::fail('NULL was taken');
        } catch (RefusedException) {
            self::assertSame([2], $this->written());
        }
        $this->buffer()->add(['id' => 3, 'v' => 1]);
        self::assertSame(1, \WriteBuffer\Laravel\Facades\WriteBuffer::flushAll(5_000));
    }

    public function testARowThatWasGivenUpIsReportedAlsoIfTheFlushTakesTooLong(): void
    {
        $this->app->make('config')->set('write-buffer.flush_timeout_ms', 1);
        $buffer = $this->inTheBackground();
        $buffer->add(['id' => 7, 'v' => null]);
        $this->await('row that was given up', static fn (): bool => $buffer->failures() !== []);
        $this->judge()->exec('LOCK TABLES orders WRITE');
        $buffer->add(['id' => 8, 'v' => 1]);
        $this->app->terminate();
        $this->app->terminate();
        $this->judge()->exec('UNLOCK TABLES');

        self::assertSame([[], [7], []], $this->reportedIds());
        self::assertInstanceOf(TimeoutException::class, $this->reported()[0]->getPrevious());
        self::assertInstanceOf(RefusedException::class, $this->reported()[1]->getPrevious());
        self::assertStringContainsString("gave up 1 row that can never be written", $this->reported()[1]->getMessage());
        // No flush has told of it yet: one of the application's own would.
        $buffer->takeFailures();
        $buffer->flush();
    }

    public function testATableThatTakesNoRowsIsReportedOnce(): void
    {
        $buffer = $this->inTheBackground();
        $events = 0;
        $this->app->make('events')->listen(FlushFailed::class, static function () use (&$events): void {
            $events++;
        });
        foreach ([1, 2] as $outage) {
            $this->judge()->exec('RENAME TABLE orders TO orders_away');
            foreach ([1, 2, 3] as $id) {
                $buffer->add(['id' => $id, 'v' => $outage]);
                $this->app->terminate();
            }
            self::assertCount($outage, $this->reported(), 'the events tell of each flush, the handler is told once');
            self::assertSame(3 * $outage, $events);
            self::assertInstanceOf(BlockedException::class, $this->reported()[$outage - 1]->getPrevious());
            $this->judge()->exec('RENAME TABLE orders_away TO orders');
            self::assertSame(3, $buffer->flush());
            // A flush that succeeds ends it.
            $this->app->terminate();
        }
        self::assertSame([1, 2, 3], $this->written());
    }

    public function testAPersistentBufferTellsAtTheEndOfARequestWhatItsThreadHasMet(): void
    {
        $folder = sys_get_temp_dir() . '/write-buffer-told-' . bin2hex(random_bytes(6));
        $request = function () use ($folder): Buffer {
            $this->refreshApplication();
            $this->app->make('config')->set('write-buffer.status', $folder);

            return $this->inTheBackground(['persistent' => 'wb_told']);
        };
        $refuse = function (Buffer $buffer, int $id): void {
            $seen = count($buffer->failures());
            $buffer->add(['id' => $id, 'v' => null]);
            $this->await('row that was given up', static fn (): bool => count($buffer->failures()) > $seen);
        };
        $judge = $this->judge();
        try {
            $buffer = $request();
            $refuse($buffer, 1);
            $refuse($buffer, 2);
            $this->app->terminate();
            $this->app->terminate();
            self::assertSame([[1, 2]], $this->reportedIds());

            $buffer = $request();
            $this->app->terminate();
            self::assertSame([], $this->reported(), 'the request before has told it');
            $refuse($buffer, 3);
            $this->app->terminate();
            self::assertSame([[3]], $this->reportedIds());
            self::assertCount(3, $buffer->takeFailures(), 'whoever asks still gets them');

            $buffer = $request();
            $refuse($buffer, 4);
            $judge->exec('RENAME TABLE orders TO orders_away');
            $buffer->add(['id' => 5, 'v' => 1]);
            $this->await('parked row', static fn (): bool => $buffer->getMetrics()[Metrics::PARKED] !== []);
            $this->app->terminate();
            self::assertSame([[4], []], $this->reportedIds());
            $buffer = $request();
            $this->app->terminate();
            self::assertSame([], $this->reported());
            $judge->exec('RENAME TABLE orders_away TO orders');
            $buffer->takeFailures();
            self::assertSame(1, $buffer->flush());
            self::assertSame([5], $this->written());
        } finally {
            (new \Illuminate\Filesystem\Filesystem())->deleteDirectory($folder);
        }
    }

    public function testTheKeyOfATableWithAPrefixIsReported(): void
    {
        $this->createTable('wb_balances', 'u INT, a VARCHAR(5), v INT NOT NULL, PRIMARY KEY (u, a)');
        $config = $this->app->make('config');
        $config->set('database.connections.prefixed', self::server(['prefix' => 'wb_']));
        $config->set('write-buffer.buffers.default.connection', 'prefixed');
        $config->set('write-buffer.buffers.default.tables', ['balances' => ['key' => ['u', 'a']]]);
        $this->buffer()->put('balances', ['u' => 1, 'a' => 'BTC', 'v' => null]);
        $this->app->terminate();

        self::assertSame(
            [['table' => 'wb_balances', 'key' => ['u' => 1, 'a' => 'BTC']]],
            $this->reported()[0]->context()['given_up'][0]['rows'],
        );
        $this->app->make('db')->connection('prefixed')->disconnect();
    }

    public function testAJobOfTheQueueSyncIsPartOfItsTransaction(): void
    {
        $this->app->make('db')->transaction(function (): void {
            $this->app->make('queue')->connection('sync')->push(new BufferingJob(1));
            self::assertCount(1, $this->buffer());
        });

        self::assertCount(1, $this->buffer());
        $this->app->terminate();
        self::assertSame([1], $this->written());
    }
}
