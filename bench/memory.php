<?php

/**
 * How much memory a buffered pair takes: the growth of this process's resident memory while pairs
 * are made, added and forgotten. They go into a buffer whose server cannot be reached, or into the
 * arrays of a PHP object.
 */

declare(strict_types=1);

use Bench\PlainStore;
use Bench\Rows;
use Bench\Task;
use Bench\Usage;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $count = $task->int('pairs');
    $isNative = $task->string('contestant') === 'native';
    $target = $isNative
        ? new WriteBuffer(
            // Nobody listens on this port.
            dsn: 'mysql://nobody@127.0.0.1:1/none',
            background: true,
            tables: ['orders' => ['key' => 'id'], 'trades' => ['key' => 'id', 'mode' => 'insert']],
            maxPendingRows: 2 * $count + 1_000,
            maxPendingBytes: 1 << 33,
            shutdownTimeoutMs: 1,
        )
        : new PlainStore();
    $rows = new Rows();
    $warm = $rows->pair(1);
    $target->add(...$warm);
    $before = Usage::rssKib();
    for ($id = 2; $id <= $count + 1; $id++) {
        [$order, $trade] = $rows->pair($id);
        $target->add($order, $trade);
    }
    unset($order, $trade);
    $grown = Usage::rssKib() - $before;
    // Expected: the rows cannot be written at the end.
    set_error_handler(static fn (): bool => true);

    return [
        'rss_bytes' => $grown * 1_024 / $count,
        'accounted_bytes' => $isNative ? $target->getMetrics()['bytes_pending'] / $count : null,
        'rows' => count($target),
    ];
});
