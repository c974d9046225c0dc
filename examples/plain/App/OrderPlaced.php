<?php

declare(strict_types=1);

namespace App;

final class OrderPlaced
{
    public function __construct(
        public readonly int $id,
        public readonly string $customer,
        public readonly string $total,
    ) {
    }
}
