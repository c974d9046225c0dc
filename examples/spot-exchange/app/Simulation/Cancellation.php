<?php

declare(strict_types=1);

namespace App\Simulation;

/** A customer asks to cancel an order. It may be filled by then. */
final class Cancellation
{
    public function __construct(
        public readonly int $orderId,
        public readonly string $at,
    ) {
    }
}
