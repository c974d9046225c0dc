<?php

declare(strict_types=1);

namespace Bench;

/** A way to write orders and their trades. */
interface Contestant
{
    /**
     * Writes the pairs, and returns once all are committed.
     *
     * @param list<array{array<string, int|string>, array<string, int|string>}> $pairs
     */
    public function write(array $pairs): void;
}
