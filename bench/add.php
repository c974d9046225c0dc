<?php

/** Nanoseconds of add() per pair: a list for each loop, less the same loop without add(). */

declare(strict_types=1);

use Bench\AddLoops;
use Bench\Task;

require __DIR__ . '/lib/autoload.php';

Task::run(static function (Task $task): array {
    $pairs = min(AddLoops::PAIRS_MAX, $task->int('pairs', AddLoops::PAIRS_MAX));
    $loops = new AddLoops($pairs);
    $times = [];
    for ($round = 0; $round < $task->int('rounds'); $round++) {
        $ofRound = [];
        foreach (AddLoops::NAMES as $name) {
            [$loop, $after] = $loops->prepare($name);
            $start = hrtime(true);
            $loop();
            $ofRound[$name] = (hrtime(true) - $start) / $pairs;
            $after();
        }
        foreach ($ofRound as $name => $time) {
            $times[$name][] = $time - $ofRound[AddLoops::emptyLoop($name)];
        }
    }

    return $times;
});
