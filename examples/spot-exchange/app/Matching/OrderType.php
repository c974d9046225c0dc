<?php

declare(strict_types=1);

namespace App\Matching;

/** Whether an order has a limit price: the values of the column `type`. */
enum OrderType: string
{
    case Limit = 'limit';
    case Market = 'market';
}
