<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Console\Events\CommandFinished;
use Illuminate\Console\Events\ScheduledTaskFailed;
use Illuminate\Console\Events\ScheduledTaskFinished;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Foundation\Http\Events\RequestHandled;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Queue\Jobs\SyncJob;

/**
 * Owns the list of events by which Laravel and Octane say that work has ended. The end of a request
 * has no event: the provider registers a callback for it.
 *
 * Invariant: a listener returns nothing. If one returned false to Looping, the worker would stop.
 */
final class Listeners
{
    /** By name, since most applications do not have Octane. */
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
        // Also after a job that failed: its rows are in the database before the next job begins.
        $jobEvents = [JobProcessed::class, JobExceptionOccurred::class];
        $events->listen($jobEvents, static function (object $event) use ($end): void {
            // A job of the queue `sync` is part of the work that dispatched it.
            if (!$event->job instanceof SyncJob) {
                $end->flush('job');
            }
        });
        // The client comes back at once, maybe to another process.
        $events->listen(RequestHandled::class, static function (RequestHandled $event) use ($end): void {
            if ($event->response->headers->has('Location')) {
                $end->flush('redirect');
            }
        });
        $events->listen(Looping::class, static function () use ($end): void {
            $end->flush('job');
            $end->reportHeld();
        });
    }
}
