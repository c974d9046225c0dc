<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A value that PHP casts to a string. */
final class Text
{
    public function __toString(): string
    {
        $text = World::text();
        World::mutate();

        return $text;
    }
}
