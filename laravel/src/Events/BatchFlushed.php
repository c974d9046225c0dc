<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

/**
 * A buffer was flushed at the end of a request, a job, a command or a task. What the native thread
 * writes before has no event, since the thread never runs PHP.
 */
final class BatchFlushed
{
    public function __construct(
        public readonly string $buffer,
        public readonly int $rows,
        public readonly float $timeMs,
    ) {
    }
}
