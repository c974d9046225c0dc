<?php

// Reads the advisories of RustSec as a tar archive from stdin, and prints each one that is about a
// version in Cargo.lock.

declare(strict_types=1);

// What is known, and why it does no harm here. An entry that is about nothing any more is an error.
const ACCEPTED = [];

$compare = static function (string $version, string $requirement): bool {
    if (preg_match('/^(>=|<=|>|<|=|\^|~)?\s*(\d[\w.+-]*)$/', trim($requirement), $found) !== 1) {
        // Whatever is not understood does not exclude anything.
        return false;
    }
    [, $operator, $bound] = $found;
    // A missing part of a version is 0.
    $full = static fn (string $text): string => implode('.', array_pad(explode('.', $text), 3, '0'));
    $bound = $full($bound);
    if (!in_array($operator, ['', '^', '~'], true)) {
        return version_compare($version, $bound, $operator);
    }
    $parts = array_map('intval', explode('.', $bound));
    // The first part that is not 0 must not grow; with "~" the second.
    $fixed = $operator === '~' ? 2 : (int) array_key_first(array_filter($parts) ?: [2 => 1]) + 1;
    $same = array_slice(explode('.', $version), 0, $fixed) === array_slice(explode('.', $bound), 0, $fixed);

    return $same && version_compare($version, $bound, '>=');
};
$isIn = static fn (string $version, array $ranges): bool => array_filter($ranges, static fn (string $range): bool => array_filter(
    explode(',', $range),
    static fn (string $requirement): bool => !$compare($version, $requirement),
) === []) !== [];

// This script's own test.
foreach (
    [
        ['1.2.3', '>= 1.2.3', true], ['1.2.2', '>= 1.2.3', false], ['1.10.0', '> 1.9', true], ['0.3.1', '^0.3.0', true],
        ['0.4.0', '^0.3.0', false], ['1.9.0', '^1.2', true], ['2.0.0', '^1.2', false], ['1.2.9', '~1.2.3', true],
        ['1.3.0', '~1.2.3', false], ['0.9.5', '>= 0.9.3, < 0.10.0', true], ['0.10.0', '>= 0.9.3, < 0.10.0', false],
        ['1.0.0', '?', false],
    ] as [$version, $range, $expected]
) {
    if ($isIn($version, [$range]) !== $expected) {
        fwrite(STDERR, "scripts/dependencies/advisories.php misreads {$version} in {$range}\n");
        exit(1);
    }
}

preg_match_all('/^name = "(.*)"\nversion = "(.*)"$/m', (string) file_get_contents('Cargo.lock'), $locked, PREG_SET_ORDER);
$versions = [];
foreach ($locked as [, $name, $version]) {
    $versions[$name][] = $version;
}
// Each member: a header of 512 bytes with its name and, in octal, its size; then its text.
$archive = (string) stream_get_contents(STDIN);
$seen = $wrong = 0;
$accepted = ACCEPTED;
for ($at = 0; $at + 512 <= strlen($archive); $at += 512 + (int) ceil($size / 512) * 512) {
    $size = (int) octdec(trim(substr($archive, $at + 124, 12), "\0 "));
    $name = rtrim(substr($archive, $at, 100), "\0");
    if (preg_match('~^crates/([^/]+)/(RUSTSEC-[\d-]+)\.md$~', $name, $found) !== 1) {
        continue;
    }
    $seen++;
    [, $crate, $id] = $found;
    $text = substr($archive, $at + 512, $size);
    $list = static function (string $key) use ($text): array {
        preg_match('/^' . $key . '\s*=\s*\[(.*?)\]/ms', $text, $found);
        preg_match_all('/"([^"]*)"/', $found[1] ?? '', $ranges);

        return $ranges[1];
    };
    foreach (preg_match('/^withdrawn\s*=/m', $text) === 1 ? [] : $versions[$crate] ?? [] as $version) {
        if ($isIn($version, [...$list('patched'), ...$list('unaffected')])) {
            continue;
        }
        if (isset($accepted[$id])) {
            unset($accepted[$id]);
            continue;
        }
        preg_match('/^# (.*)$/m', $text, $title);
        fwrite(STDERR, "Cargo.lock: {$crate} {$version}: {$id}: " . ($title[1] ?? '') . "\n");
        $wrong++;
    }
}
foreach (array_keys($accepted) as $id) {
    fwrite(STDERR, "scripts/dependencies/advisories.php: {$id} is about no locked version any more: remove it\n");
    $wrong++;
}
if ($seen < 500) {
    fwrite(STDERR, "only {$seen} advisories were read: this is no copy of the database\n");
    $wrong++;
}
echo "{$seen} advisories compared with ", count($locked), " crates\n";
exit($wrong === 0 ? 0 : 1);
