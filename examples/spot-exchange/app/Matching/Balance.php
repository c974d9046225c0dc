<?php

declare(strict_types=1);

namespace App\Matching;

use App\Models\Balance as BalanceModel;

/** What a user has of an asset. */
final class Balance
{
    public string $available = Decimal::ZERO;

    public string $reserved = Decimal::ZERO;

    public string $updatedAt = '';

    /** Its row, since it was to be saved. */
    private ?BalanceModel $model = null;

    public function __construct(
        public readonly int $userId,
        public readonly string $asset,
    ) {
    }

    /** The balance that was saved. */
    public static function restore(BalanceModel $model): self
    {
        $balance = new self((int) $model->user_id, $model->asset);
        $balance->available = $model->available;
        $balance->reserved = $model->reserved;
        $balance->updatedAt = $model->updated_at;
        $balance->model = $model;

        return $balance;
    }

    /** Its row as it is now, to be saved. */
    public function model(): BalanceModel
    {
        $this->model ??= new BalanceModel(['user_id' => $this->userId, 'asset' => $this->asset]);

        return $this->model->fill([
            'available' => $this->available,
            'reserved' => $this->reserved,
            'updated_at' => $this->updatedAt,
        ]);
    }
}
