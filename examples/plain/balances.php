<?php

declare(strict_types=1);

// php balances.php < transfers.txt, with lines such as "1 2 BTC 0.00000001"

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), tables: [
    'balances' => ['merge' => ['amount' => 'sum']],
]);

while (($line = fgets(STDIN)) !== false) {
    [$from, $to, $asset, $amount] = explode(' ', trim($line));
    $buffer->put('balances', [                          // one group: both rows, or none
        ['user_id' => (int) $from, 'asset' => $asset, 'amount' => "-{$amount}"],
        ['user_id' => (int) $to, 'asset' => $asset, 'amount' => $amount],
    ]);
}
$buffer->flush();
