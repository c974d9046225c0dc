<?php

declare(strict_types=1);

// php import-csv.php products.csv

use WriteBuffer\RefusedException;

require __DIR__ . '/bootstrap.php';

/** A row at a time, so the file may be of any length. */
function products(string $path): Generator
{
    $file = fopen($path, 'r');
    $columns = fgetcsv($file, escape: '');
    while (($line = fgetcsv($file, escape: '')) !== false) {
        yield array_combine($columns, $line);
    }
}

$buffer = new WriteBuffer(getenv('DATABASE_URL'));

$taken = $buffer->putAll('products', products($argv[1]), function (int $taken): void {
    echo "{$taken} rows read\n";
});
try {
    $buffer->flush();
} catch (RefusedException $refused) {
    foreach ($refused->getFailures() as $failure) {
        echo "refused: {$failure['rows'][0]['row']['sku']}: {$failure['message']}\n";
    }
}
