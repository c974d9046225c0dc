<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

use WriteBuffer\Laravel\Exceptions\FlushFailedException;

/** A flush at the end of work failed. Laravel's handler was told of the same exception. */
final class FlushFailed
{
    public function __construct(
        public readonly string $buffer,
        public readonly FlushFailedException $exception,
    ) {
    }
}
