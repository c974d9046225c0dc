<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

/**
 * Why groups were not written. If the answer to their COMMIT was lost, nobody knows whether they
 * were.
 */
final class WriteError
{
    public function __construct(
        public readonly DatabaseError $error,
        public readonly bool $isCommitUnknown,
    ) {
    }
}
