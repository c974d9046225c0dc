<?php

declare(strict_types=1);

namespace Structure;

/**
 * A file has at most 400 lines of code, or a reason in scripts/long-files.txt. Blank lines,
 * comments and Rust's unit tests do not count.
 */
final class FileLengths
{
    private const LINES_MAX = 400;

    private const LIST = 'scripts/long-files.txt';

    /** @return list<string> */
    public static function findings(Tree $tree): array
    {
        $findings = [];
        $excused = [];
        foreach (explode("\n", $tree->files[self::LIST] ?? '') as $index => $line) {
            if ($line === '' || $line[0] === '#') {
                continue;
            }
            if (!preg_match('/^(\S+): +\S/', $line, $match)) {
                $findings[] = sprintf('%s:%d: write "path: reason"', self::LIST, $index + 1);
            } elseif (!isset($tree->files[$match[1]]) || self::lines($tree, $match[1]) <= self::LINES_MAX) {
                $findings[] = sprintf('%s:%d: %s is no long file: delete the line', self::LIST, $index + 1, $match[1]);
            } else {
                $excused[$match[1]] = true;
            }
        }
        foreach (array_diff_key($tree->files, $excused) as $path => $_) {
            $lines = self::lines($tree, $path);
            if ($lines > self::LINES_MAX) {
                $findings[] = sprintf(
                    '%s:1: %d lines of code: split the file, or give the reason in %s; %d are allowed',
                    $path,
                    $lines,
                    self::LIST,
                    self::LINES_MAX
                );
            }
        }

        return $findings;
    }

    private static function lines(Tree $tree, string $path): int
    {
        $text = $tree->files[$path];
        $language = Language::of($path, $text);
        $code = $language === Language::Rust
            ? explode("\n", RustToken::text(RustToken::withoutTests(RustToken::lex($text))))
            : $language?->code($text);

        return count(array_filter($code ?? [], static fn (string $line): bool => trim($line) !== ''));
    }
}
