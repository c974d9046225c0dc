<?php

/**
 * The loops of lib/AddLoops.php once each, for callgrind: gc_mem_caches() stands between what is counted and what is not, and
 * callgrind writes its counters, and sets them to zero, whenever that is called. It is called by nothing else here.
 */

declare(strict_types=1);

use Bench\AddLoops;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $loops = new AddLoops($task->int('pairs'));
    foreach (AddLoops::NAMES as $name) {
        [$loop, $after] = $loops->prepare($name);
        gc_mem_caches();
        $loop();
        gc_mem_caches();
        $after();
    }

    return [
        'names' => AddLoops::NAMES,
        'empty' => array_map([AddLoops::class, 'emptyLoop'], AddLoops::NAMES),
    ];
});
