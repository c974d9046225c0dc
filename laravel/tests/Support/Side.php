<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

enum Side: string
{
    case Buy = 'buy';
    case Sell = 'sell';
}
