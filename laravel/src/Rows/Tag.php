<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use ValueError;

/** Owns what a tag may be, as in the extension. */
final class Tag
{
    private const BYTES_MAX = 1_000;

    /** @throws ValueError it is not UTF-8, or too long */
    public static function check(?string $tag, int $argument = 3): void
    {
        if ($tag !== null && (strlen($tag) > self::BYTES_MAX || preg_match('//u', $tag) !== 1)) {
            $bytes = self::BYTES_MAX;
            throw new ValueError("Argument #{$argument} (\$tag) must be UTF-8, and at most {$bytes} bytes long");
        }
    }
}
