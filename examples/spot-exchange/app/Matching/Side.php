<?php

declare(strict_types=1);

namespace App\Matching;

/** Whether an order buys or sells: the values of the column `side`. */
enum Side: string
{
    case Buy = 'buy';
    case Sell = 'sell';
}
