<?php

declare(strict_types=1);

namespace Bench;

/** A way to get orders and their trades into the tables. */
interface Contestant
{
    /**
     * Writes the pairs, and returns when all of them are committed.
     *
     * @param list<array{array<string, int|string>, array<string, int|string>}> $pairs
     */
    public function write(array $pairs): void;
}
