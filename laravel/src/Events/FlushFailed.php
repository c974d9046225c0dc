<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

use WriteBuffer\Laravel\Flushing\FlushFailed as Report;

/** A flush where a piece of work ended has failed; the handler was told the same. */
final class FlushFailed
{
    public function __construct(
        public readonly string $buffer,
        public readonly Report $exception,
    ) {
    }
}
