<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Messages;

/**
 * Owns what a database says, as logs, exceptions and consoles may show it: clean, bounded, and
 * without values of rows. The rules are the extension's (`crates/core/src/error/redaction.rs`), and
 * so are the cases that the tests of both use.
 */
final class Words
{
    /** The most bytes that are kept of what a database says. */
    public const MAX_BYTES = 1_024;

    private const HIDDEN = '…';

    /** What SIGNAL has for a trigger's own errors. */
    private const SIGNALLED = '45000';

    /**
     * Control characters (C0, DEL, C1), other line ends, what turns the direction of text, and what
     * is not seen at all.
     */
    private const STEERING = '/[\x00-\x1f\x7f-\x{9f}\x{61c}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2066}-\x{2069}'
        . '\x{2028}\x{2029}\x{200b}\x{feff}\x{fff9}-\x{fffb}\x{e0000}-\x{e007f}]/u';

    /** What SQLite says of constraints, tables and locks. It quotes no values. */
    private const SQLITE = '/\A(?:(?:UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: [^\'"]*)?'
        . '|no such (?:table|column): [^\'"]*|table \S+ has no column named [^\'"]*'
        . '|database (?:table |schema )?is locked[^\'"]*|attempt to write a readonly database|disk I\/O error'
        . '|database or disk is full|unable to open database file)\z/';

    /** A text without characters that do something when they are printed. */
    public static function clean(string $text): string
    {
        return (string) preg_replace_callback(
            self::STEERING,
            static fn (array $found): string => match ($found[0]) {
                "\n", "\r", "\t" => ' ',
                "\0" => '\\0',
                default => sprintf('\\u{%x}', mb_ord($found[0], 'UTF-8')),
            },
            mb_scrub($text, 'UTF-8'),
        );
    }

    public static function bounded(string $text, int $maxBytes = self::MAX_BYTES): string
    {
        return strlen($text) <= $maxBytes
            ? $text
            : mb_strcut($text, 0, $maxBytes - strlen(self::HIDDEN), 'UTF-8') . self::HIDDEN;
    }

    /** What MySQL or MariaDB says, without values of rows. */
    public static function redacted(int $code, string $state, string $said): string
    {
        if ($said === '') {
            return '';
        }
        $isSignalled = $state === self::SIGNALLED;
        foreach ($isSignalled ? [] : Templates::OF_CODE[$code] ?? [] as $template) {
            $redacted = self::byTemplate($template, $said);
            if ($redacted !== null) {
                return $redacted;
            }
        }
        if (!$isSignalled && in_array($code, Templates::ABOUT_NO_ROW, true)) {
            $length = strcspn($said, '\'"');

            return $length === strlen($said) ? $said : substr($said, 0, $length) . self::HIDDEN;
        }

        return "error {$code}; its text may hold values of rows, so redactValues hides it";
    }

    /** What SQLite says, without what a trigger may have put into it. */
    public static function redactedOfSqlite(int $code, string $said): string
    {
        return preg_match(self::SQLITE, $said) === 1
            ? $said
            : "error {$code} of SQLite; its text may hold values of rows, so redact_values hides it";
    }

    /**
     * The message of a failure, as takeFailures() returns it, without values of rows. Before the
     * server's words it has ours, or PDO's.
     */
    public static function redactedFailure(int $code, string $message): string
    {
        $message = self::bounded(self::clean($message));
        if ($code === 0) {
            // The extension's or this package's own words, which quote no value.
            return $message;
        }
        $prefix = '/\A(?:table [^\'"]{1,200}?: |SQLSTATE\[\w*\](?: \[\d+\])?: (?:[^\'"]{1,100}?: )?\d+ )/';
        $ours = preg_match($prefix, $message, $found) === 1 ? $found[0] : '';
        $said = substr($message, strlen($ours));

        return $ours . ($code < 1_000 ? self::redactedOfSqlite($code, $said) : self::redacted($code, '', $said));
    }

    /** @return string|null null: the text does not have the template's form */
    private static function byTemplate(string $template, string $said): ?string
    {
        $pattern = '';
        $parts = (array) preg_split('/(\{[vnkd]\})/', $template, -1, PREG_SPLIT_DELIM_CAPTURE);
        foreach ($parts as $part) {
            // The longest value and the shortest name are tried first.
            $pattern .= match ($part) {
                '{v}' => '.*',
                '{n}' => '([^\'"`]*?)',
                '{k}' => '([^\'"]*?)',
                '{d}' => '([0-9]*?)',
                default => preg_quote((string) $part, '/'),
            };
        }
        if (preg_match("/\\A{$pattern}\\z/s", $said, $names) !== 1) {
            return null;
        }
        $at = 1;

        return implode('', array_map(static function (mixed $part) use ($names, &$at): string {
            return match ($part) {
                '{v}' => self::HIDDEN,
                '{n}', '{k}', '{d}' => $names[$at++],
                default => (string) $part,
            };
        }, $parts));
    }
}
