<?php

declare(strict_types=1);

namespace Structure;

/** A line of comment, with its indentation, has at most 100 characters. */
final class CommentLines
{
    private const LENGTH_MAX = 100;

    /** A link alone in its line; a dash, a label or `@see` may precede it. */
    private const LINK_ALONE = '~^\W*(?:@see\s+|\[[^]]*\]:?\s*)?[<(]?https?://\S+$~';

    /** @return list<string> */
    public static function findings(Tree $tree): array
    {
        $findings = [];
        foreach ($tree->files as $path => $text) {
            $code = Language::of($path, $text)?->code($text) ?? [];
            foreach (explode("\n", $text) as $index => $line) {
                $isComment = trim($code[$index] ?? $line) === '';
                $length = iconv_strlen($line, 'UTF-8');
                if ($isComment && $length > self::LENGTH_MAX && !self::isExcused($line)) {
                    $findings[] = sprintf(
                        '%s:%d: a comment line of %d characters: wrap it at %d',
                        $path,
                        $index + 1,
                        $length,
                        self::LENGTH_MAX
                    );
                }
            }
        }

        return $findings;
    }

    /** A link can't be wrapped. In a table's row, links are not counted. */
    private static function isExcused(string $line): bool
    {
        if (preg_match('~^[\s/!*#]*\|~', $line)) {
            return iconv_strlen(preg_replace('~https?://[^\s)>|]+~', '', $line), 'UTF-8') <= self::LENGTH_MAX;
        }

        return preg_match(self::LINK_ALONE, $line) === 1;
    }
}
