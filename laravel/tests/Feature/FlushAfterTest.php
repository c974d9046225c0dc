<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Console\Events\ScheduledTaskFinished;
use Illuminate\Contracts\Console\Kernel;
use Illuminate\Contracts\Queue\Job;
use Illuminate\Http\RedirectResponse;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Support\Facades\Route;
use PHPUnit\Framework\Attributes\DataProvider;
use Symfony\Component\Console\Input\ArrayInput;
use Symfony\Component\Console\Output\NullOutput;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Tests\Support\EndOfWorkTestCase;
use WriteBuffer\RefusedException;

/** `flush_after`: which end of work flushes, and what is told where none does. */
final class FlushAfterTest extends EndOfWorkTestCase
{
    /** @return iterable<string, array{string, string}> */
    public static function ends(): iterable
    {
        yield 'a request' => ['request', 'request'];
        yield 'a request that calls a command' => ['request', 'request with a command'];
        yield 'a request whose response has a Location' => ['redirect', 'redirect'];
        yield 'a command' => ['command', 'command'];
        yield 'a job' => ['job', JobProcessed::class];
        yield 'a job that failed' => ['job', JobExceptionOccurred::class];
        yield 'a worker that loops' => ['job', Looping::class];
        yield 'a worker that stops' => ['worker', WorkerStopping::class];
        yield 'a task' => ['task', ScheduledTaskFinished::class];
        yield 'a request of Octane' => ['request', 'Laravel\\Octane\\Events\\RequestTerminated'];
        yield 'a task of Octane' => ['task', 'Laravel\\Octane\\Events\\TaskTerminated'];
        yield 'a worker of Octane' => ['worker', 'Laravel\\Octane\\Events\\WorkerStopping'];
    }

    /** Work that adds a row ends. */
    private function endWork(string $end): void
    {
        // Laravel binds what is a command to its object.
        $add = function (): void {
            app(Buffer::class)->add(['id' => 1, 'v' => 1]);
        };
        $kernel = $this->app->make(Kernel::class);
        if (method_exists($kernel, 'rerouteSymfonyCommandEvents')) {
            // Since Laravel 10 unit tests have no events of commands, unless the kernel is told.
            $kernel->rerouteSymfonyCommandEvents();
        }
        $kernel->command('wb:add', $add);
        $kernel->command('wb:idle', function (): void {
        });
        Route::get('/plain', function () use ($add): string {
            $add();

            return 'ok';
        });
        Route::get('/calls', function () use ($kernel, $add): string {
            $kernel->call('wb:idle');
            $add();

            return 'ok';
        });
        Route::get('/moved', function () use ($add): RedirectResponse {
            $add();

            return new RedirectResponse('/plain');
        });
        $job = $this->createStub(Job::class);
        $dispatch = function (object|string $event) use ($add): void {
            $add();
            $this->app->make('events')->dispatch($event);
        };
        match ($end) {
            'request' => $this->get('/plain')->assertOk(),
            'request with a command' => $this->get('/calls')->assertOk(),
            'redirect' => $this->get('/moved')->assertRedirect(),
            'command' => [
                $kernel->handle(new ArrayInput(['wb:add']), new NullOutput()),
                $kernel->terminate(new ArrayInput(['wb:add']), 0),
            ],
            JobProcessed::class => $dispatch(new JobProcessed('database', $job)),
            JobExceptionOccurred::class => $dispatch(new JobExceptionOccurred('database', $job, new \Exception())),
            Looping::class => $dispatch(new Looping('database', 'default')),
            WorkerStopping::class => $dispatch(new WorkerStopping()),
            ScheduledTaskFinished::class => $dispatch(
                (new \ReflectionClass(ScheduledTaskFinished::class))->newInstanceWithoutConstructor(),
            ),
            default => $dispatch($end),
        };
    }

    /** @dataProvider ends */
    #[DataProvider('ends')]
    public function testAnEndThatIsTurnedOffFlushesNothing(string $kind, string $end): void
    {
        $config = $this->app->make('config');
        $config->set("write-buffer.flush_after.{$kind}", false);
        if ($kind === 'redirect') {
            // It is a request all the same.
            $config->set('write-buffer.flush_after.request', false);
        }
        $this->endWork($end);

        self::assertCount(1, $this->buffer());
        self::assertSame([], $this->written());
        self::assertSame([], $this->reported());
    }

    /** @dataProvider ends */
    #[DataProvider('ends')]
    public function testNoOtherEndIsTurnedOffWithIt(string $kind, string $end): void
    {
        $config = $this->app->make('config');
        foreach (array_diff(['request', 'redirect', 'job', 'worker', 'task', 'command'], [$kind]) as $other) {
            $config->set("write-buffer.flush_after.{$other}", false);
        }
        $this->endWork($end);

        self::assertCount(0, $this->buffer());
        self::assertSame([1], $this->written());
    }

    public function testWhatAThreadHasMetIsReportedWhereNothingIsFlushed(): void
    {
        $this->app->make('config')->set('write-buffer.flush_after.job', false);
        $buffer = $this->inTheBackground();
        $end = fn () => $this->app->make('events')->dispatch(new Looping('database', 'default'));
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id, 'v' => null]);
            $this->await('row that was given up', static fn (): bool => count($buffer->failures()) === $id);
            $end();
            $end();
        }
        self::assertSame([[1], [2]], $this->reportedIds());
        $this->judge()->exec('RENAME TABLE orders TO orders_away');
        $buffer->add(['id' => 3, 'v' => 1]);
        $this->await('parked row', static fn (): bool => $buffer->getMetrics()[Metrics::PARKED] !== []);
        $end();
        $end();
        self::assertCount(3, $this->reported());
        self::assertInstanceOf(BlockedException::class, $this->reported()[2]->getPrevious());
        $this->judge()->exec('RENAME TABLE orders_away TO orders');
        $buffer->takeFailures();
        self::assertSame(1, $buffer->flush());
        // The thread writes as always.
        $buffer->add(['id' => 4, 'v' => 1]);
        $this->await('commit', static fn (): bool => count($buffer) === 0);
        self::assertSame([3, 4], $this->written());
    }

    public function testAFailureThatAddHasThrownIsNotReportedWhereNothingIsFlushed(): void
    {
        $config = $this->app->make('config');
        $config->set('write-buffer.flush_after.job', false);
        foreach ([['driver' => 'php'], ['driver' => 'native', 'background' => false], ['driver' => 'sync']] as $at => $settings) {
            $config->set("write-buffer.buffers.b{$at}", $settings + ['batch_size' => 1]);
            try {
                $this->buffer("b{$at}")->add(['id' => 1, 'v' => null]);
                self::fail('NULL was taken');
            } catch (RefusedException) {
            }
            $this->app->make('events')->dispatch(new Looping('database', 'default'));
        }
        self::assertSame([], $this->reported());
    }

    public function testAJobThatWaitsForTheResponseIsPartOfItsRequest(): void
    {
        $seen = null;
        Route::get('/later', function () use (&$seen): string {
            $this->app->terminating(function () use (&$seen): void {
                $this->buffer()->add(['id' => 1, 'v' => null]);
                $this->buffer()->add(['id' => 2, 'v' => 1]);
                $seen = count($this->buffer());
            });

            return 'ok';
        });
        $this->get('/later')->assertOk();

        self::assertSame(2, $seen);
        self::assertSame([2], $this->written());
        self::assertSame([[1]], $this->reportedIds());
    }
}
