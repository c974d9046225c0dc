<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use WriteBuffer\Buffer;

/** A service of an application: the container makes it, with a buffer. */
final class Service
{
    public function __construct(public readonly Buffer $buffer)
    {
    }
}
