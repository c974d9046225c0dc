<?php

declare(strict_types=1);

// php failures.php /var/tmp/failures.jsonl

use WriteBuffer\DeadLetterFile;
use WriteBuffer\RefusedException;

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), deadLetterFile: $argv[1]);

pdo()->exec('INSERT INTO sensors VALUES (1)');
$buffer->put('readings', ['sensor_id' => 1, 'at' => '2026-11-27 12:00:00', 'value' => '20.5'], tag: 'first');
$buffer->put('readings', ['sensor_id' => 2, 'at' => '2026-11-27 12:00:00', 'value' => '21.5'], tag: 'second');
try {
    $buffer->flush();
} catch (RefusedException) {
    foreach ($buffer->failures() as $failure) {         // the same as in the file
        echo "{$failure['tag']}: {$failure['status']}, error {$failure['code']}\n";
    }
}

pdo()->exec('INSERT INTO sensors VALUES (2)');          // this was the cause, and now it is gone
echo DeadLetterFile::retry($buffer, $argv[1]), " written\n";
