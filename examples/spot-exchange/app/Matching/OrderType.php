<?php

declare(strict_types=1);

namespace App\Matching;

enum OrderType: string
{
    case Limit = 'limit';
    case Market = 'market';
}
