<?php

/**
 * One of several processes that write at the same time, each with its own ids. With `setup` it
 * creates the tables instead, and with `verify` it compares them with what all processes added.
 */

declare(strict_types=1);

use Bench\Checksum;
use Bench\Database;
use Bench\Rows;
use Bench\Schema;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $rows = new Rows();
    if ($task->bool('setup')) {
        Schema::create(Database::pdo(direct: true));

        return [];
    }
    if ($task->bool('verify')) {
        Checksum::compare(Database::pdo(direct: true), $rows, $task->int('orders'));

        return [];
    }
    $pairs = $rows->pairs($task->int('orders'), $task->int('first_id'));
    $buffer = new WriteBuffer(dsn: Database::dsn(), background: true);
    $startAt = (float) $task->string('start_at');
    if (microtime(true) > $startAt) {
        throw new RuntimeException('This process was ready too late to begin together with the others.');
    }
    usleep((int) (($startAt - microtime(true)) * 1e6));
    foreach ($pairs as [$order, $trade]) {
        $buffer->add($order, $trade);
    }
    $buffer->flush();

    return ['elapsed_s' => microtime(true) - $startAt];
});
