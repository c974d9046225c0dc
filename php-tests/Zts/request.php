<?php

declare(strict_types=1);

// One request of one PHP thread, under threads.c. Exits with a status other than 0 if it sees
// something wrong. What must be in the tables afterwards is in ThreadsTest.
//
//   request.php THREAD REQUEST MODE GROUPS

use WriteBuffer\ConfigException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;

[, $thread, $request, $mode, $groups] = $argv;

$expect = static function (mixed $expected, mixed $actual, string $what) use ($thread, $request): void {
    if ($expected !== $actual) {
        throw new LogicException(sprintf(
            'thread %s, request %s, %s: expected %s, got %s',
            $thread,
            $request,
            $what,
            var_export($expected, true),
            var_export($actual, true),
        ));
    }
};
$refusal = static function (callable $call): ?string {
    try {
        $call();
    } catch (Throwable $thrown) {
        return $thrown::class;
    }

    return null;
};

// A changed setting and the tables behind `memory:` are the thread's own. They end with the
// request.
$expect('100', ini_get('write_buffer.batch_size'), 'batch_size at the start');
ini_set('write_buffer.batch_size', (string) (1 + (int) $thread));
$memory = new WriteBuffer('memory:', background: false);
$expect([], MemorySink::tables(), 'tables in memory at the start');
for ($row = 0; $row <= (int) $thread; $row++) {
    $expect($row, count($memory), 'rows in memory');
    $memory->add(['id' => $row]);
}
$expect(0, count($memory), 'rows in memory after a full batch');
$expect(1 + (int) $thread, count(MemorySink::tables()['orders']), 'rows in memory');

$buffer = new WriteBuffer(
    getenv('WRITE_BUFFER_TEST_DSN'),
    batchSize: 20,
    background: $mode !== 'foreground',
    orderTable: 'zts_orders',
    tradeTable: 'zts_trades',
    tables: ['zts_totals' => ['key' => 'id', 'merge' => ['orders' => 'sum']]],
    persistent: $mode === 'shared' ? 'zts' : null,
);
for ($group = 0; $group < (int) $groups; $group++) {
    $id = "{$thread}-{$request}-{$group}";
    // Every conversion that runs PHP code: an iterator, a generator, a date, a Stringable.
    $trades = (static function () use ($id): Generator {
        yield ['id' => "{$id}-a", 'order_id' => $id];
        yield (object) ['id' => "{$id}-b", 'order_id' => $id];
    })();
    $buffer->add(['id' => $id, 'status' => 'open', 'placed_at' => new DateTimeImmutable('2024-02-29 12:00:00')], $trades);
    $status = new class {
        public function __toString(): string
        {
            return 'filled';
        }
    };
    $buffer->add(new ArrayIterator([['id' => $id, 'status' => $status, 'placed_at' => '2024-03-01 00:00:00']]));
    $buffer->put('zts_totals', ['id' => 1, 'orders' => 1]);
    if ($group % 10 === 0) {
        $expect(TypeError::class, $refusal(static fn () => $buffer->add(['id' => fopen('php://memory', 'r')])), 'a resource');
        $expect(ConfigException::class, $refusal(static fn () => new WriteBuffer('nonsense')), 'a wrong DSN');
    }
}

if ($mode === 'fatal') {
    trigger_error('the end', E_USER_ERROR);
}
switch ((int) $request % 4) {
    case 0:
        $buffer->flush();
        if ($mode !== 'shared') {
            $expect(0, count($buffer), 'rows after flush()');
        }
        if ($mode === 'background') {
            $buffer->put('zts_orders', ['id' => str_repeat('x', 100), 'status' => 'too long', 'placed_at' => null]);
            $expect(RefusedException::class, $refusal(static fn () => $buffer->flush()), 'a row that the server refuses');
            $expect(1, count($buffer->takeFailures()), 'failures');
        }
        break;
    case 1:
        $buffer->close();
        break;
    case 2:
        $cycle = new stdClass();
        $cycle->self = $cycle;
        $cycle->buffer = $buffer;
        unset($buffer, $cycle);
        exit(0);
}
