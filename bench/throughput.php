<?php

/** One contestant's round: empties the tables, writes the rows, and compares both. */

declare(strict_types=1);

use Bench\Checksum;
use Bench\Database;
use Bench\Rows;
use Bench\Schema;
use Bench\Server;
use Bench\Task;
use Bench\Usage;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $pdo = Database::pdo(direct: true);
    Schema::create($pdo);
    $contestant = (require __DIR__ . "/contestants/{$task->string('contestant')}.php")($task);
    $rows = new Rows($task->int('seed'));
    $pairs = $rows->pairs($task->int('orders'));

    // Prepares connections, classes and statements before the clock starts.
    $contestant->write(array_slice($pairs, 0, $task->int('warm', $task->int('batch'))));
    Schema::truncate($pdo);

    $serverUs = Server::cpuUs();
    $usage = Usage::start();
    $contestant->write($pairs);
    $figures = $usage->stop();
    $serverUs = Server::cpuUs() - $serverUs;

    Checksum::compare($pdo, $rows, count($pairs));

    return $figures + ['orders' => count($pairs), 'server_us' => $serverUs];
});
