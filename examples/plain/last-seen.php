<?php

declare(strict_types=1);

// php last-seen.php < messages.jsonl, with lines such as
// {"id":7,"at":"2026-11-27 12:00:00.250","battery":80}

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), tables: [
    'devices' => ['guard' => 'at'],                     // a message that comes late overwrites nothing
]);

while (($line = fgets(STDIN)) !== false) {
    $buffer->put('devices', json_decode($line, true, flags: JSON_THROW_ON_ERROR));
}
$buffer->flush();
