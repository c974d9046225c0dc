<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use RuntimeException;

/** The engine's table of error codes, as it stands in its source: crates/core/src/error/codes. */
final class ErrorCodes
{
    private const FEWEST = 500;

    /** @var array<int, string>|null */
    private static ?array $classes = null;

    /** The class of a code: `Data`, `Blocked`, `Retry`, `Reconnect` or `Unlisted`. */
    public static function classOf(int $code): string
    {
        return self::classes()[$code] ?? 'Unlisted';
    }

    /** @return list<int> all codes of the table */
    public static function listed(): array
    {
        return array_keys(self::classes());
    }

    /** @return array<int, string> the class of each code */
    private static function classes(): array
    {
        if (self::$classes !== null) {
            return self::$classes;
        }
        $classes = [];
        foreach (glob(dirname(__DIR__, 2) . '/crates/core/src/error/codes/*.rs') ?: [] as $file) {
            $class = null;
            foreach ((array) file($file) as $line) {
                if (preg_match('/^    [A-Z]+: (\w+);$/', $line, $match) === 1) {
                    $class = $match[1];
                } elseif ($class !== null && preg_match('/^    [A-Z0-9_]+ = (\d+), \w+, "/', $line, $match) === 1) {
                    $classes[(int) $match[1]] = $class;
                }
            }
        }
        if (count($classes) < self::FEWEST) {
            throw new RuntimeException('the table of error codes looks different now: ' . count($classes) . ' found');
        }

        return self::$classes = $classes;
    }
}
