<?php

declare(strict_types=1);

// php deletes.php < commands.txt, with lines such as "put 7 apple 3" and "remove 7 apple"

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'));

while (($line = fgets(STDIN)) !== false) {
    [$command, $userId, $sku, $quantity] = explode(' ', trim($line)) + [3 => null];
    $key = ['user_id' => (int) $userId, 'sku' => $sku];
    match ($command) {
        'put' => $buffer->put('cart_items', $key + ['quantity' => (int) $quantity]),
        'remove' => $buffer->delete('cart_items', $key),
    };
}
$buffer->flush();
