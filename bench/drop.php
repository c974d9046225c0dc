<?php

/** Drops the benchmark's tables: the exchange creates its own with the same names. */

declare(strict_types=1);

use Bench\Database;
use Bench\Schema;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (): array {
    Schema::drop(Database::pdo(direct: true));

    return [];
});
