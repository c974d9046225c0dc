<?php

/**
 * What bench/check-instructions.php counts, for callgrind. gc_status() is a mark: whenever it is
 * called, callgrind writes the counters of PHP's thread and sets them to zero. Nothing else calls
 * it, and it does the same each time. The argument is a folder for the journal.
 */

declare(strict_types=1);

use Bench\CountedWork;
use Illuminate\Foundation\Application;

require __DIR__ . '/lib/autoload.php';

(new CountedWork($argv[1]))->run(static function (): void {
    gc_status();
});
echo class_exists(Application::class) ? Application::VERSION : 'unknown';
