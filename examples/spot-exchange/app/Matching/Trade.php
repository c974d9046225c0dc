<?php

declare(strict_types=1);

namespace App\Matching;

use App\Models\Trade as TradeModel;

/** One fill: the taker's order met the maker's, at the maker's price. */
final class Trade
{
    public function __construct(
        public readonly int $id,
        public readonly string $symbol,
        public readonly int $makerOrderId,
        public readonly int $takerOrderId,
        public readonly int $makerUserId,
        public readonly int $takerUserId,
        public readonly string $price,
        public readonly string $quantity,
        public readonly string $executedAt,
    ) {
    }

    /** Its row, to be saved once. */
    public function model(): TradeModel
    {
        return new TradeModel($this->getAttributes());
    }

    /** @return array<string, int|string> the columns of its row */
    public function getAttributes(): array
    {
        return [
            'id' => $this->id,
            'symbol' => $this->symbol,
            'maker_order_id' => $this->makerOrderId,
            'taker_order_id' => $this->takerOrderId,
            'maker_user_id' => $this->makerUserId,
            'taker_user_id' => $this->takerUserId,
            'price' => $this->price,
            'quantity' => $this->quantity,
            'executed_at' => $this->executedAt,
        ];
    }
}
