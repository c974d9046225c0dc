<?php

declare(strict_types=1);

// php group.php < orders.jsonl, with lines such as
// {"id":7,"customer":"Ada","total":"9.90","items":[{"sku":"apple","quantity":3}]}

use WriteBuffer\RefusedException;

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), tables: [
    'stock' => ['merge' => ['quantity' => 'sum']],
]);

while (($line = fgets(STDIN)) !== false) {
    ['items' => $items] = $order = json_decode($line, true, flags: JSON_THROW_ON_ERROR);
    unset($order['items']);
    // All of it is committed, or nothing.
    $buffer->group(function () use ($buffer, $order, $items): void {
        $buffer->put('orders', $order);
        foreach ($items as ['sku' => $sku, 'quantity' => $quantity]) {
            $buffer->put('order_items', ['order_id' => $order['id'], 'sku' => $sku, 'quantity' => $quantity]);
            $buffer->put('stock', ['sku' => $sku, 'quantity' => -$quantity]);
        }
    }, tag: "order {$order['id']}");
}
try {
    $buffer->flush();
} catch (RefusedException $refused) {
    foreach ($refused->getFailures() as $failure) {
        echo "refused: {$failure['tag']}\n";
    }
}
