<?php

declare(strict_types=1);

namespace App\Matching;

use App\Models\Order as OrderModel;

/**
 * An order while it is matched. It is a small object, since the book holds many orders and each
 * fill changes one. `App\Models\Order` is the same order as a row of the database.
 */
final class Order
{
    public string $filledQuantity = Decimal::ZERO;

    public OrderStatus $status = OrderStatus::Open;

    public string $updatedAt;

    /** What is not filled yet: quantity - filledQuantity, kept since every fill needs it. */
    public string $remaining;

    /**
     * The price in the market's smallest steps, for the book; set when the exchange takes the
     * order.
     */
    public ?int $priceUnits = null;

    /** Its row, since it was to be saved; null before that, and when the order is final. */
    private ?OrderModel $model = null;

    /**
     * @param string|null $price     null for a market order
     * @param string      $createdAt `Y-m-d H:i:s.u`
     */
    public function __construct(
        public readonly int $id,
        public readonly int $userId,
        public readonly string $symbol,
        public readonly Side $side,
        public readonly OrderType $type,
        public readonly ?string $price,
        public readonly string $quantity,
        public readonly string $createdAt,
    ) {
        $this->updatedAt = $createdAt;
        $this->remaining = $quantity;
    }

    /** The order that was saved. */
    public static function restore(OrderModel $model): self
    {
        $order = new self(
            id: (int) $model->id,
            userId: (int) $model->user_id,
            symbol: $model->symbol,
            side: Side::from($model->side),
            type: OrderType::from($model->type),
            price: $model->price,
            quantity: $model->quantity,
            createdAt: $model->created_at,
        );
        $order->filledQuantity = $model->filled_quantity;
        $order->remaining = bcsub($model->quantity, $model->filled_quantity, Decimal::SCALE);
        $order->status = OrderStatus::from($model->status);
        $order->updatedAt = $model->updated_at;
        $order->model = $model;

        return $order;
    }

    public function fill(string $quantity, string $at): void
    {
        $this->filledQuantity = bcadd($this->filledQuantity, $quantity, Decimal::SCALE);
        $this->remaining = bcsub($this->remaining, $quantity, Decimal::SCALE);
        $this->status = $this->remaining === Decimal::ZERO ? OrderStatus::Filled : OrderStatus::PartiallyFilled;
        $this->updatedAt = $at;
    }

    public function cancel(string $at): void
    {
        $this->status = OrderStatus::Cancelled;
        $this->updatedAt = $at;
    }

    /** @return array<string, int|string|null> the columns of its row */
    public function getAttributes(): array
    {
        return [
            'id' => $this->id,
            'user_id' => $this->userId,
            'symbol' => $this->symbol,
            'side' => $this->side->value,
            'type' => $this->type->value,
            'price' => $this->price,
            'quantity' => $this->quantity,
            'filled_quantity' => $this->filledQuantity,
            'status' => $this->status->value,
            'created_at' => $this->createdAt,
            'updated_at' => $this->updatedAt,
        ];
    }

    /** Its row as it is now, to be saved. */
    public function model(): OrderModel
    {
        $model = $this->model ?? new OrderModel($this->getAttributes());
        $this->model = $this->status->isFinal() ? null : $model;

        return $model->fill([
            'filled_quantity' => $this->filledQuantity,
            'status' => $this->status->value,
            'updated_at' => $this->updatedAt,
        ]);
    }
}
