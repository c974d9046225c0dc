<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Queue;

use Closure;
use WriteBuffer\Laravel\Buffers\BufferManager;

/**
 * A job's middleware that flushes within the job: the job succeeds when its rows are committed, and
 * a flush that fails is the job's failure, so the queue tries the job again. Without the middleware
 * a job leaves the queue before its rows are flushed.
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
