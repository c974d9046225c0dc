<?php

declare(strict_types=1);

namespace Structure;

use RuntimeException;

/** A piece of a Rust file: a comment, literal, lifetime, space, word, or a mark such as `::`. */
final class RustToken
{
    private const PATTERN = <<<'REGEX'
        ~ //[^\n]* (*:comment)
        | (?<block> /\* (?: [^*/]++ | \*(?!/) | /(?!\*) | (?&block) )*+ \*/ ) (*:comment)
        | [bc]?r(?<hashes>\#*)" .*? "\k<hashes> (*:literal)
        | [bc]?" (?: [^"\\]++ | \\. )*+ " (*:literal)
        | b?' (?: [^'\\\n] | \\u\{[^}]*\} | \\x[[:xdigit:]]{2} | \\. ) ' (*:literal)
        | '\w+ (*:lifetime)
        | \s+ (*:space)
        | (?: r\# )? [A-Za-z_]\w* (*:word)
        | (?: \d\w* | :: | . ) (*:mark)
        ~xsu
        REGEX;

    public function __construct(
        public readonly string $kind,
        public readonly string $text,
        public readonly int $line
    ) {
    }

    /** @return list<self> together they are the whole text */
    public static function lex(string $text): array
    {
        if (preg_match_all(self::PATTERN, $text, $matches, PREG_SET_ORDER) === false) {
            throw new RuntimeException(preg_last_error_msg());
        }
        $tokens = [];
        $line = 1;
        foreach ($matches as $match) {
            $tokens[] = new self($match['MARK'], $match[0], $line);
            $line += substr_count($match[0], "\n");
        }

        return $tokens;
    }

    /**
     * The text without comments. Their line ends stay.
     *
     * @param list<self> $tokens
     */
    public static function text(array $tokens): string
    {
        $text = '';
        foreach ($tokens as $token) {
            $isComment = $token->kind === 'comment';
            $text .= $isComment ? str_repeat("\n", substr_count($token->text, "\n")) : $token->text;
        }

        return $text;
    }

    /**
     * Drops comments, spaces and tests.
     *
     * @param list<self> $tokens
     *
     * @return list<self>
     */
    public static function significant(array $tokens): array
    {
        return array_values(array_filter(
            self::withoutTests($tokens),
            static fn (self $token): bool => !in_array($token->kind, ['comment', 'space'], true)
        ));
    }

    /**
     * Drops the items that are compiled for tests only.
     *
     * @param list<self> $tokens
     *
     * @return list<self>
     */
    public static function withoutTests(array $tokens): array
    {
        $kept = [];
        for ($i = 0; $i < count($tokens); $i++) {
            if ($tokens[$i]->text === '#' && ($tokens[$i + 1]->text ?? '') === '[') {
                $end = self::endOfBrackets($tokens, $i + 1);
                $attribute = self::text(array_slice($tokens, $i, $end + 1 - $i));
                if (preg_match('/^#\[cfg\((all\()?test\b/', $attribute)) {
                    $i = self::endOfItem($tokens, $end + 1);
                    continue;
                }
            }
            $kept[] = $tokens[$i];
        }

        return $kept;
    }

    /**
     * Where the bracket at the place is closed.
     *
     * @param list<self> $tokens
     */
    private static function endOfBrackets(array $tokens, int $begin): int
    {
        $depth = 0;
        for ($i = $begin; $i < count($tokens); $i++) {
            if (in_array($tokens[$i]->text, ['(', '[', '{'], true)) {
                $depth++;
            } elseif (in_array($tokens[$i]->text, [')', ']', '}'], true)) {
                $depth--;
            }
            if ($depth === 0) {
                return $i;
            }
        }

        return count($tokens) - 1;
    }

    /**
     * Where the item that begins at the place ends: with `}`, `;` or `};`.
     *
     * @param list<self> $tokens
     */
    private static function endOfItem(array $tokens, int $begin): int
    {
        for ($i = $begin; $i < count($tokens); $i++) {
            $text = $tokens[$i]->text;
            if ($text === '(' || $text === '[' || $text === '{') {
                $i = self::endOfBrackets($tokens, $i);
            }
            if ($text === ';' || ($text === '{' && ($tokens[$i + 1]->text ?? '') !== ';')) {
                return $i;
            }
        }

        return count($tokens) - 1;
    }
}
