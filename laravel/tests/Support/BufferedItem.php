<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** The same model, with the trait. */
final class BufferedItem extends Item
{
    use BuffersWrites;
}
