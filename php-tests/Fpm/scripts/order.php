<?php

// A request to an exchange: adds orders with their trades to a buffer. Answers with the worker's
// process id and what the buffer holds.
//
// The body is JSON: `settings` of the buffer; the `first` and the `last` order's number; `placed`,
// a time for each order; `table`, another one for orders without trades; `started`, a file to make;
// `hold`, a file to wait for; and `end`, how the request ends.

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Scripts;

use RuntimeException;
use WriteBuffer\Tests\Fpm\Support\Orders;

require dirname(__DIR__) . '/Support/Orders.php';

header('X-Worker: ' . getmypid());
$request = json_decode((string) file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR);

if (isset($request['started'])) {
    touch($request['started']);
}
if (isset($request['hold'])) {
    $deadline = hrtime(true) + 120_000_000_000;
    while (!file_exists($request['hold'])) {
        if (hrtime(true) > $deadline) {
            throw new RuntimeException('nobody let the request go on');
        }
        usleep(2_000);
        clearstatcache();
    }
}

$answer = [];
try {
    $buffer = new \WriteBuffer(...$request['settings']);
    for ($id = $request['first']; $id <= $request['last']; $id++) {
        $placed = isset($request['placed']) ? ['added' => $request['placed']] : [];
        $order = Orders::order($id, getmypid()) + $placed;
        if (isset($request['table'])) {
            $buffer->put($request['table'], $order);
        } else {
            $buffer->add($order, Orders::trades($id));
        }
    }
    $answer['count'] = count($buffer);
    $answer += array_intersect_key($buffer->getMetrics(), ['thread_state' => 0, 'time_blocked_ms' => 0]);
} catch (\WriteBuffer\Exception $exception) {
    $answer['error'] = [get_class($exception), $exception->getMessage()];
}

switch ($request['end'] ?? 'return') {
    case 'exit':
        exit(json_encode($answer));
    case 'exception':
        throw new RuntimeException('the request failed after its orders');
    case 'user error':
        trigger_error('the request failed after its orders', E_USER_ERROR);
        // No break: E_USER_ERROR ends the request.
    case 'memory limit':
        str_repeat('x', 1 << 30);
        // No break: the memory limit ends the request.
    case 'memory limit in add':
        // While a group is converted. Its first row is good.
        $bomb = new class () implements \Stringable {
            public function __toString(): string
            {
                return str_repeat('x', 1 << 30);
            }
        };
        $bad = ['v' => $bomb] + Orders::order($request['last'] + 2, getmypid());
        $buffer->add([Orders::order($request['last'] + 1, getmypid()), $bad]);
        // No break: the memory limit ends the request.
    case 'fatal error in add':
        // As often as the request says: what one of them left behind would add up.
        $bomb = new class () implements \Stringable {
            public function __toString(): string
            {
                trigger_error('the request failed in its orders', E_USER_ERROR);
            }
        };
        $row = ['v' => str_repeat('v', 100_000)] + Orders::order($request['last'] + 1, getmypid());
        $buffer->add($row, [$row, ['v' => $bomb] + $row]);
        // No break: E_USER_ERROR ends the request.
    case 'fatal error in retry':
        $bomb = new class () implements \Stringable {
            public function __toString(): string
            {
                trigger_error('the request failed in its orders', E_USER_ERROR);
            }
        };
        $row = ['v' => str_repeat('v', 100_000)] + Orders::order($request['last'] + 1, getmypid());
        $good = ['rows' => [['table' => 't', 'row' => $row]]];
        $buffer->retry([$good, $good, ['rows' => [['table' => 't', 'row' => ['v' => $bomb] + $row]]]]);
        // No break: E_USER_ERROR ends the request.
    case 'fatal error beside a fiber in group':
        $row = ['v' => str_repeat('v', 100_000)] + Orders::order($request['last'] + 1, getmypid());
        $asleep = new \Fiber(static fn () => $buffer->group(static function () use ($buffer, $row): void {
            $buffer->add($row);
            \Fiber::suspend();
        }));
        $asleep->start();
        trigger_error('the request failed in its orders', E_USER_ERROR);
        // No break: E_USER_ERROR ends the request.
    case 'fatal error in group':
        $row = ['v' => str_repeat('v', 100_000)] + Orders::order($request['last'] + 1, getmypid());
        $buffer->group(static function () use ($buffer, $row): void {
            $buffer->add($row);
            trigger_error('the request failed in its orders', E_USER_ERROR);
        });
        // No break: E_USER_ERROR ends the request.
    case 'finish':
        // The client has its answer, but the script goes on.
        echo json_encode($answer);
        fastcgi_finish_request();
        $buffer->add(Orders::order($request['last'] + 1, getmypid()), Orders::trades($request['last'] + 1));
        exit;
}

echo json_encode($answer);
