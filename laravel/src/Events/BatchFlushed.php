<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

/** A buffer was flushed where a piece of work ended. What the native thread writes in between has no event: it never runs PHP. */
final class BatchFlushed
{
    public function __construct(
        public readonly string $buffer,
        public readonly int $rows,
        public readonly float $timeMs,
    ) {
    }
}
