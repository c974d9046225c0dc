<?php

declare(strict_types=1);

namespace App\Matching;

use App\Buffers\Row;

/** What a user owns of an asset. */
final class Balance implements Row
{
    public string $available = Decimal::ZERO;

    public string $reserved = Decimal::ZERO;

    public string $updatedAt = '';

    public function __construct(
        public readonly int $userId,
        public readonly string $asset,
    ) {
    }

    public function getTable(): string
    {
        return 'balances';
    }

    public function getKeyName(): string
    {
        return 'user_id';
    }

    public function getAttributes(): array
    {
        return [
            'user_id' => $this->userId,
            'asset' => $this->asset,
            'available' => $this->available,
            'reserved' => $this->reserved,
            'updated_at' => $this->updatedAt,
        ];
    }
}
