<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Console\Events\CommandFinished;
use Illuminate\Console\Events\CommandStarting;
use Illuminate\Console\Events\ScheduledTaskFailed;
use Illuminate\Console\Events\ScheduledTaskFinished;
use Illuminate\Contracts\Foundation\Application;
use Illuminate\Foundation\Http\Events\RequestHandled;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Queue\Jobs\SyncJob;
use WeakMap;

/**
 * Owns the list of events by which Laravel and Octane say that work has ended. The end of a request
 * has no event, and the application is terminated after it. It is so after a command, too.
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

    public static function register(Application $app, EndOfWorkFlusher $end): void
    {
        $events = $app->make('events');
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
        $isRequest = $isCommand = false;
        $events->listen(CommandStarting::class, static function () use (&$isCommand): void {
            $isCommand = true;
        });
        // The client comes back at once, maybe to another process.
        $events->listen(RequestHandled::class, static function (RequestHandled $event) use ($end, &$isRequest): void {
            $isRequest = true;
            if ($event->response->headers->has('Location')) {
                $end->flush('redirect');
            }
        });
        $events->listen(Looping::class, static function () use ($end): void {
            $end->flush('job');
            $end->reportHeld();
        });
        self::atTermination($app, static function () use ($end, &$isRequest, &$isCommand): void {
            // A request may have called commands.
            $end->flush($isCommand && !$isRequest ? 'command' : 'request');
            $isRequest = $isCommand = false;
        });
    }

    /**
     * Calls back when an application is terminated, behind the jobs that wait for the response
     * (dispatchAfterResponse()). Octane terminates a copy for each request.
     *
     * @param callable(): void $callback
     */
    private static function atTermination(Application $app, callable $callback): void
    {
        $known = new WeakMap();
        $app->terminating(static function (Application $terminated) use ($known, $callback): void {
            if (!isset($known[$terminated])) {
                $known[$terminated] = true;
                $terminated->terminating($callback);
            }
        });
    }
}
