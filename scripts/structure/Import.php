<?php

declare(strict_types=1);

namespace Structure;

/** One file uses a name that another file defines. */
final class Import
{
    public function __construct(
        public readonly string $from,
        public readonly int $line,
        public readonly string $to,
        public readonly string $name
    ) {
    }
}
