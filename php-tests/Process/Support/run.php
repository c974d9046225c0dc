<?php

// Runs the code of a ChildProcess as the main script, so that exceptions and exits go the way they go in a script.

declare(strict_types=1);

require __DIR__ . '/Child.php';

// The second argument's place is that of the code's own first one.
eval('use ' . WriteBuffer\Tests\Process\Support\Child::class . ";\n" . array_splice($argv, 1, 1)[0]);
