<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Events\Dispatcher;
use WriteBuffer\Laravel\Events\BatchFlushed;
use WriteBuffer\Laravel\Events\FlushFailed;

/**
 * Owns the log of flushes, in the channel `log_channel` of config/write-buffer.php, if one is set.
 */
final class FlushLog
{
    public function __construct(private readonly Container $container)
    {
    }

    public function register(Dispatcher $events): void
    {
        $events->listen(BatchFlushed::class, function (BatchFlushed $event): void {
            $this->write('debug', 'write buffer flushed', [
                'buffer' => $event->buffer,
                'rows' => $event->rows,
                'time_ms' => round($event->timeMs, 3),
            ]);
        });
        $events->listen(FlushFailed::class, function (FlushFailed $event): void {
            $this->write('error', $event->exception->getMessage(), $event->exception->context());
        });
    }

    /** @param array<string, mixed> $context */
    private function write(string $level, string $message, array $context): void
    {
        $channel = $this->container->make('config')->get('write-buffer.log_channel');
        if (is_string($channel) && $channel !== '') {
            $this->container->make('log')->channel($channel)->log($level, $message, $context);
        }
    }
}
