<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A value whose end is a callback, too. */
final class Doomed
{
    public function __destruct()
    {
        World::mutate();
    }

    public function __toString(): string
    {
        return World::text();
    }
}
