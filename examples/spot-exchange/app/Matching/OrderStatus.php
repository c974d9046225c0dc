<?php

declare(strict_types=1);

namespace App\Matching;

/** What has become of an order: the values of the column `status`. */
enum OrderStatus: string
{
    case Open = 'open';
    case PartiallyFilled = 'partially_filled';
    case Filled = 'filled';
    /** Taken out of the book, or never in it. What was filled stays so: see `filled_quantity`. */
    case Cancelled = 'cancelled';

    public function isFinal(): bool
    {
        return $this === self::Filled || $this === self::Cancelled;
    }
}
