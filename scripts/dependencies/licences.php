<?php

// Reads `cargo metadata` from stdin, and prints each crate whose licence is not allowed. What is
// linked into the extension is given away with it, so only licences that ask for no more than a
// notice are allowed.

declare(strict_types=1);

const ALLOWED = [
    '0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'Unicode-3.0', 'Unlicense', 'Zlib',
];

// Crates that have a file instead of an expression, as it was read: name and version, licence.
const READ = [];

$metadata = json_decode((string) stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR);
$isAllowed = static function (string $expression): bool {
    // "A/B" is an old way to write "A OR B". A licence with an exception asks for less.
    $expression = (string) preg_replace('/ WITH [\w.-]+/', '', str_replace('/', ' OR ', $expression));
    $boolean = preg_replace_callback(
        '/[\w.+-]+/',
        static fn (array $word): string => match ($word[0]) {
            'OR' => '|',
            'AND' => '&',
            default => in_array($word[0], ALLOWED, true) ? '1' : '0',
        },
        $expression,
    );
    // AND binds tighter than OR: "1&0|1".
    $boolean = str_replace(' ', '', (string) $boolean);
    do {
        $before = $boolean;
        $boolean = (string) preg_replace(
            ['/\(([01])\)/', '/1&1/', '/0&[01]|1&0/', '/(?<!&)(?:1\|[01]|0\|1)(?!&)/', '/(?<!&)0\|0(?!&)/'],
            ['$1', '1', '0', '1', '0'],
            $boolean,
        );
    } while ($boolean !== $before);

    return $boolean === '1';
};

// This script's own test.
foreach (
    [
        'MIT' => true, 'GPL-3.0' => false, 'MIT OR GPL-3.0' => true, 'GPL-3.0/MIT' => true, 'MIT AND GPL-3.0' => false,
        '(MIT OR GPL-3.0) AND ISC' => true, '(MIT OR ISC) AND GPL-3.0' => false, 'GPL-3.0 OR MIT AND ISC' => true,
        'Apache-2.0 WITH LLVM-exception OR GPL-3.0' => true, 'MIT OR GPL-3.0 AND GPL-3.0' => true,
        'GPL-3.0 AND MIT OR ISC' => true, 'GPL-3.0 AND (MIT OR ISC)' => false, '' => false,
    ] as $expression => $expected
) {
    if ($isAllowed($expression) !== $expected) {
        fwrite(STDERR, "scripts/dependencies/licences.php misreads \"{$expression}\"\n");
        exit(1);
    }
}

$wrong = 0;
foreach ($metadata['packages'] as $package) {
    $name = "{$package['name']} {$package['version']}";
    $licence = $package['license'] ?? READ[$name] ?? '';
    if (!$isAllowed($licence)) {
        $licence = $licence === '' ? 'no licence that is known' : "the licence {$licence}";
        fwrite(STDERR, "Cargo.lock: {$name} has {$licence}: use another crate, or extend the list in"
            . " scripts/dependencies/licences.php\n");
        $wrong++;
    }
}
exit($wrong === 0 ? 0 : 1);
