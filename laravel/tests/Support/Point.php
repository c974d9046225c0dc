<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

/** A value object with a cast of its own. It may be changed behind its model's back. */
final class Point
{
    public function __construct(public int $x, public int $y)
    {
    }
}
