<?php

declare(strict_types=1);

namespace App\Matching;

use App\Models\Balance as BalanceModel;

/** What a user has of an asset. */
final class Balance implements Row
{
    public string $available = Decimal::ZERO;

    public string $reserved = Decimal::ZERO;

    public string $updatedAt = '';

    /** Its row, after save(). */
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

    /**
     * Writes the row at once, as a model's save() does. A service with a buffer does not call it.
     */
    public function save(): void
    {
        $this->model ??= BalanceModel::query()->firstOrNew(['user_id' => $this->userId, 'asset' => $this->asset]);
        $this->model->fill($this->getAttributes())->save();
    }
}
