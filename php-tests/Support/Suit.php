<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** An enum without values: no row can hold it. */
enum Suit
{
    case Hearts;
}
