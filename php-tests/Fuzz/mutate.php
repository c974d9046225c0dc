<?php

/**
 * Changes everything from within every callback: whatever code of a user runs while a buffer reads
 * its arguments, it destroys, replaces and grows what is being read, by value and by reference.
 *
 *   php mutate.php SEED CASES
 *
 * Ends with status 1, and says the case, if a stored value is none that was given. Memory that is
 * used after it was freed shows under valgrind (with USE_ZEND_ALLOC=0) and on a debug PHP. Not
 * under strict_types: PHP then converts arguments, and runs more code.
 */

namespace WriteBuffer\Tests\Fuzz;

use WriteBuffer\MemorySink;

spl_autoload_register(static function (string $class): void {
    require __DIR__ . str_replace('\\', '/', substr($class, strlen(__NAMESPACE__))) . '.php';
});

[, $seed, $cases] = array_map('intval', $argv);
// What the handler itself raises goes to PHP's own.
ini_set('display_errors', '0');
// An exception that holds arguments would end them outside of any try.
ini_set('zend.exception_ignore_args', '1');
ini_set('log_errors', '0');
mt_srand($seed);
set_error_handler(static function (): bool {
    World::mutate();

    return true;
});
$taken = 0;
for ($case = 1; $case <= $cases; $case++) {
    try {
        Cases::run();
        $taken++;
    } catch (\TypeError | \ValueError | \DomainException | \WriteBuffer\Exception) {
        // Refused: it may have been changed into what is no row.
    }
    World::atPeace(static function (): void {
        World::replace(World::$given, null);
        World::replace(World::$progress, null);
        // A callback may have closed it.
        if (World::$buffer?->__debugInfo()['closed']) {
            World::replace(World::$buffer, null);
        }
    });
    if (mt_rand(0, 9) > 0) {
        continue;
    }
    try {
        World::$buffer?->flush();
    } catch (\WriteBuffer\Exception) {
        World::$buffer?->takeFailures();
    }
    foreach (MemorySink::tables() as $rows) {
        foreach ($rows as $row) {
            foreach ($row as $column => $value) {
                if (!World::isGiven($value)) {
                    echo "seed {$seed}, case {$case}: column {$column} is ", var_export($value, true), "\n";
                    exit(1);
                }
            }
        }
    }
    MemorySink::reset();
}
restore_error_handler();
World::atPeace(static function (): void {
    World::replace(World::$parts, []);
    World::replace(World::$junk, []);
    World::replace(World::$buffer, null);
});
array_map('unlink', glob(World::file() . '*') ?: []);
echo "{$taken} of {$cases} taken\n";
