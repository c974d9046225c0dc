<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

use WriteBuffer\Laravel\Exceptions\FlushFailedException;

/** A flush where a piece of work ended has failed; the handler was told the same. */
final class FlushFailed
{
    public function __construct(
        public readonly string $buffer,
        public readonly FlushFailedException $exception,
    ) {
    }
}
