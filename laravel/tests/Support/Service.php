<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use WriteBuffer\Buffer;

/** A service of an application, as the container makes one. */
final class Service
{
    public function __construct(public readonly Buffer $buffer)
    {
    }
}
