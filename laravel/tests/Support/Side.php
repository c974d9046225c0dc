<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

/** A backed enum, as a value of a row. */
enum Side: string
{
    case Buy = 'buy';
    case Sell = 'sell';
}
