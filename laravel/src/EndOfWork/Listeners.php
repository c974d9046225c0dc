<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Console\Events\CommandFinished;
use Illuminate\Console\Events\ScheduledTaskFailed;
use Illuminate\Console\Events\ScheduledTaskFinished;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Queue\Jobs\SyncJob;

/**
 * Where a piece of work ends, as far as Laravel says so by an event. A request's end is a callback of the application's: see the
 * provider.
 *
 * A listener gives nothing back: an answer of `false` to Looping would stop the worker.
 */
final class Listeners
{
    /** By name: Octane is not there in most applications. */
    private const OCTANE = [
        'Laravel\\Octane\\Events\\RequestTerminated' => 'request',
        'Laravel\\Octane\\Events\\TaskTerminated' => 'task',
        'Laravel\\Octane\\Events\\TickTerminated' => 'task',
        'Laravel\\Octane\\Events\\WorkerStopping' => 'worker',
    ];

    private const EVENTS = [
        CommandFinished::class => 'command',
        ScheduledTaskFinished::class => 'task',
        ScheduledTaskFailed::class => 'task',
        WorkerStopping::class => 'worker',
    ];

    public static function register(Dispatcher $events, EndOfWorkFlusher $end): void
    {
        foreach (self::EVENTS + self::OCTANE as $event => $kind) {
            $events->listen($event, static function () use ($end, $kind): void {
                $end->flush($kind);
            });
        }
        // Also after a job that failed: its rows are the database's before the next job begins.
        $events->listen([JobProcessed::class, JobExceptionOccurred::class], static function (object $event) use ($end): void {
            // A job of the queue `sync` is a part of the request, the command or the job that dispatched it.
            if (!$event->job instanceof SyncJob) {
                $end->flush('job');
            }
        });
        $events->listen(Looping::class, static function () use ($end): void {
            $end->flush('job');
            $end->reportHeld();
        });
    }
}
