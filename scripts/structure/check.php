<?php

/** Checks the project in the current folder, after a test of the rules themselves. */

declare(strict_types=1);

namespace Structure;

set_error_handler(static function (int $level, string $message, string $file, int $line): never {
    throw new \ErrorException($message, 0, $level, $file, $line);
});
spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Structure\\')) {
        require __DIR__ . '/' . substr($class, strlen('Structure\\')) . '.php';
    }
});

try {
    $findings = SelfTest::run() ?: Rules::findings(Tree::ofGit('.'));
} catch (\RuntimeException $e) {
    $findings = ["lint-structure: {$e->getMessage()}"];
}
foreach ($findings as $finding) {
    fwrite(STDERR, $finding . "\n");
}
exit($findings === [] ? 0 : 1);
