<?php

declare(strict_types=1);

namespace App\Simulation;

/** A customer asks for an order to be cancelled, which may have been filled by then. */
final class Cancellation
{
    public function __construct(
        public readonly int $orderId,
        public readonly string $at,
    ) {
    }
}
