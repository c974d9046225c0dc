<?php

declare(strict_types=1);

// php -S 127.0.0.1:8080 endpoint.php
// curl -d '{"id":7,"customer":"Ada","total":"9.90"}' http://127.0.0.1:8080/

use WriteBuffer\RefusedException;
use WriteBuffer\Retryable;

require __DIR__ . '/bootstrap.php';

$buffer = new WriteBuffer(getenv('DATABASE_URL'), persistent: 'orders');    // one connection for all requests

$order = json_decode(file_get_contents('php://input'), true);
if (!isset($order['id'], $order['customer'], $order['total'])) {
    http_response_code(400);
    exit;
}
try {
    $ticket = $buffer->put('orders', $order);
    $buffer->waitFor($ticket, 2_000);                   // for this order, not for those of others
    http_response_code(201);
} catch (RefusedException $refused) {
    error_log($refused->getMessage());
    http_response_code(422);
} catch (Retryable) {                                   // no room, no server, too late: it may still be written
    http_response_code(503);
}
