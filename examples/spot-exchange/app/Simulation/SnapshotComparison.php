<?php

declare(strict_types=1);

namespace App\Simulation;

/** Compares two dumps of a table line by line, with one line of each in memory. */
final class SnapshotComparison
{
    /** @return string|null where they differ first, and how; null: they are the same */
    public static function firstDifference(string $expectedFile, string $actualFile): ?string
    {
        $expected = fopen($expectedFile, 'rb');
        $actual = fopen($actualFile, 'rb');
        try {
            for ($row = 1; true; $row++) {
                $expectedLine = fgets($expected);
                $actualLine = fgets($actual);
                if ($expectedLine !== $actualLine) {
                    return "row {$row} is " . self::describe($expectedLine) . ' and ' . self::describe($actualLine);
                }
                if ($expectedLine === false) {
                    return null;
                }
            }
        } finally {
            fclose($expected);
            fclose($actual);
        }
    }

    private static function describe(string|false $line): string
    {
        return $line === false ? 'missing' : rtrim($line);
    }
}
