<?php

/**
 * Runs each loop of lib/AddLoops.php once, for callgrind. gc_mem_caches() marks the begin and the
 * end of a loop: whenever it is called, callgrind writes its counters and sets them to zero.
 * Nothing else here calls it.
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
