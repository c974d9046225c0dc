<?php

declare(strict_types=1);

namespace Structure;

/** One name of a `use` declaration. */
final class RustUse
{
    /**
     * @param list<string> $path
     * @param string       $alias what the module calls it; `*` for a glob
     */
    public function __construct(
        public readonly array $path,
        public readonly string $alias,
        public readonly bool $isPublic,
        public readonly int $line
    ) {
    }
}
