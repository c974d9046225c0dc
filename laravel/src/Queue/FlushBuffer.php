<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Queue;

use Closure;
use WriteBuffer\Laravel\Buffers\BufferManager;

/**
 * A job's middleware: the job has succeeded only once its rows are committed. Without it a job is taken off the queue before its rows
 * are flushed; with it a flush that fails is the job's own failure, and the queue tries the job again.
 *
 * `public function middleware(): array { return [new FlushBuffer()]; }`
 */
final class FlushBuffer
{
    public function __construct(
        private readonly ?string $buffer = null,
        private readonly ?int $timeoutMs = null,
    ) {
    }

    public function handle(object $job, Closure $next): mixed
    {
        $result = $next($job);
        app(BufferManager::class)->buffer($this->buffer)->flush($this->timeoutMs);

        return $result;
    }
}
