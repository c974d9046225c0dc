<?php

/** What runs here, and how durable the server's commits are. */

declare(strict_types=1);

use Bench\Database;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (): array {
    Database::loadModels();
    $pdo = Database::pdo(direct: true);
    $settings = [];
    foreach (['innodb_flush_log_at_trx_commit', 'log_bin', 'sync_binlog', 'innodb_doublewrite'] as $name) {
        $settings[] = "{$name}={$pdo->query("SELECT @@GLOBAL.{$name}")->fetchColumn()}";
    }

    return [
        'server' => $pdo->query('SELECT VERSION()')->fetchColumn(),
        'php' => PHP_VERSION,
        'laravel' => Illuminate\Foundation\Application::VERSION,
        'durability' => implode(', ', $settings),
    ];
});
