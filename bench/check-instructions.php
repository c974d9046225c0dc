<?php

/**
 * Counts the instructions that an order and its trade take, and compares them with those that
 * bench/instructions.json keeps. Fails if a figure has changed by more than 2 % without that file.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/check-instructions.php \
 *       [update | keep FOLDER]
 *
 * `update` writes the file, `keep` leaves what callgrind counted in a folder that is not there yet.
 */

declare(strict_types=1);

use Bench\InstructionCount;
use Bench\InstructionFile;

require __DIR__ . '/lib/autoload.php';

const FILE = __DIR__ . '/instructions.json';

[, $wanted, $keptIn] = [...$argv, null, null];
if (!in_array([$wanted, $keptIn !== null], [[null, false], ['update', false], ['keep', true]], true)) {
    throw new RuntimeException('usage: check-instructions.php [update | keep FOLDER]');
}
$folder = $keptIn ?? sprintf('%s/write-buffer-count-%s', sys_get_temp_dir(), bin2hex(random_bytes(6)));
mkdir($folder, 0700);
try {
    $now = InstructionCount::take($folder);
} finally {
    if ($wanted !== 'keep') {
        $inside = new RecursiveDirectoryIterator($folder, FilesystemIterator::SKIP_DOTS);
        foreach (new RecursiveIteratorIterator($inside, RecursiveIteratorIterator::CHILD_FIRST) as $file) {
            $file->isDir() ? rmdir($file->getPathname()) : unlink($file->getPathname());
        }
        rmdir($folder);
    }
}

$kept = is_file(FILE) ? InstructionFile::read(FILE) : null;
foreach ($now->pairs as $figure => $instructions) {
    printf("%-48s %6d, kept %6s\n", $figure, $instructions, $kept->pairs[$figure] ?? 'none');
}
if ($wanted === 'update') {
    $now->write(FILE);
    echo "test-instructions: bench/instructions.json is written\n";
    exit(0);
}
if ($kept === null) {
    throw new RuntimeException('bench/instructions.json is missing: make update-instructions writes it.');
}
$others = $kept->otherTools($now);
if (!$kept->isComparable($now)) {
    echo "test-instructions: NOTHING WAS COMPARED: {$others}\n";
    exit(0);
}
$complaints = $kept->complaints($now);
if ($complaints !== []) {
    echo 'test-instructions: FAILED', $others === '' ? '' : ", with {$others}", "\n  ", implode("\n  ", $complaints), "\n",
        "Find what takes them: bench/README.md says how. If they are worth it, or fewer now, run `make update-instructions`\n",
        "and commit bench/instructions.json with the change.\n";
    exit(1);
}
echo 'test-instructions: as kept, within ', $others === '' ? '2 %' : "10 %, since it has {$others}", "\n";
