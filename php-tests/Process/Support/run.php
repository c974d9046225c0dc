<?php

// Runs the code of a ChildProcess as the main script, so that exceptions and exits do what they do
// in a script.

declare(strict_types=1);

require __DIR__ . '/Child.php';

// Without the code itself, the code's own arguments begin at 1.
eval('use ' . WriteBuffer\Tests\Process\Support\Child::class . ";\n" . array_splice($argv, 1, 1)[0]);
