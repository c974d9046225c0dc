<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** An object that is neither a row nor a value. */
final class Opaque
{
    public int $id = 1;
}
