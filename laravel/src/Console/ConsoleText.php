<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Symfony\Component\Console\Formatter\OutputFormatter;
use WriteBuffer\Laravel\Messages\Words;

/**
 * Owns text that comes from elsewhere on its way to a console: from a server, a file, the
 * configuration, rows. Whatever it holds is shown as it is: it neither steers the terminal nor is
 * it a tag of the console.
 */
final class ConsoleText
{
    /** A text for line(), info(), error() and the cells of a table. */
    public static function of(mixed $text, ?int $width = null): string
    {
        $text = Words::clean(is_scalar($text) || $text instanceof \Stringable ? (string) $text : get_debug_type($text));

        return OutputFormatter::escape($width === null ? $text : mb_strimwidth($text, 0, $width, '…', 'UTF-8'));
    }

    /** A value as JSON, which stays JSON: what steers a terminal is escaped as JSON does it. */
    public static function json(mixed $value, int $flags = 0): string
    {
        $json = (string) json_encode($value, $flags | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
        $lines = array_map(
            static fn (string $line): string => (string) preg_replace_callback(
                '/[\x{7f}-\x{9f}\x{61c}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2028}\x{2029}\x{2066}-\x{2069}\x{feff}'
                    . '\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]/u',
                static fn (array $found): string => trim((string) json_encode($found[0]), '"'),
                $line,
            ),
            explode("\n", $json),
        );

        return OutputFormatter::escape(implode("\n", $lines));
    }
}
