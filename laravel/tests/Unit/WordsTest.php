<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use Symfony\Component\Console\Formatter\OutputFormatter;
use WriteBuffer\Laravel\Console\ConsoleText;
use WriteBuffer\Laravel\Messages\Templates;
use WriteBuffer\Laravel\Messages\Words;

/** What databases say: clean, without values, and as a console may show it. */
final class WordsTest extends TestCase
{
    private const ENGINE = __DIR__ . '/../../../crates/core/src/error';

    /** @return iterable<string, array{int, string, string, string}> the cases of the engine */
    public static function cases(): iterable
    {
        foreach ((array) file(self::ENGINE . '/redaction_cases.tsv', FILE_IGNORE_NEW_LINES) as $at => $line) {
            if (!str_starts_with($line, '#')) {
                [$code, $state, $said, $expected] = explode("\t", $line);
                yield "{$at}: {$line}" => [(int) $code, $state, $said, $expected];
            }
        }
    }

    /** @dataProvider cases */
    #[DataProvider('cases')]
    public function testNamesAreKeptAndValuesAreNot(int $code, string $state, string $said, string $expected): void
    {
        self::assertSame($expected, Words::redacted($code, $state, $said));
        if ($state === '45000') {
            return;
        }
        // As failures have it: without the state, and after words of ours or of PDO's.
        foreach (['', 'table db.t: ', "SQLSTATE[{$state}]: Some words: {$code} ", "SQLSTATE[{$state}]: {$code} "] as $before) {
            self::assertSame($before . $expected, Words::redactedFailure($code, $before . $said), $before);
        }
    }

    public function testTheTablesAreTheEngines(): void
    {
        $rust = (string) file_get_contents(self::ENGINE . '/templates.rs');
        preg_match_all('/\(\s*(\d+),\s*"((?:[^"\\\\]|\\\\.)*)",?\s*\)/s', strstr($rust, 'pub const TEMPLATES'), $found, PREG_SET_ORDER);
        $templates = [];
        foreach ($found as [, $code, $template]) {
            $template = (string) preg_replace('/\\\\\n\s*/', '', $template);
            $templates[(int) $code][] = str_replace('\\"', '"', $template);
        }
        self::assertSame($templates, Templates::OF_CODE);

        $codes = [];
        foreach (['retry', 'reconnect', 'settings', 'definition'] as $name) {
            $table = explode('PROGRAM: Blocked', (string) file_get_contents(self::ENGINE . "/codes/{$name}.rs"))[0];
            preg_match_all('/^    [A-Z0-9_]+ = (\d+), /m', $table, $found);
            array_push($codes, ...array_map(intval(...), $found[1]));
        }
        self::assertEqualsCanonicalizing(array_values(array_unique($codes)), Templates::ABOUT_NO_ROW);
    }

    public function testNoValueIsLeftWhateverItHolds(): void
    {
        $fill = static fn (string $template, string $value): string => strtr(
            $template,
            ['{v}' => $value, '{n}' => 'name', '{k}' => '`a`', '{d}' => '12'],
        );
        foreach (Templates::OF_CODE as $code => $templates) {
            foreach ($templates as $template) {
                self::assertSame($fill($template, '…'), Words::redacted($code, '', $fill($template, 'v')), $template);
                $values = ["it's \"SECRET", 'SECRET', "x{$fill($template, 'x')}SECRET{$fill($template, 'x')}", "SECRET\n'"];
                foreach (str_contains($template, '{v}') ? $values : [] as $value) {
                    $redacted = Words::redacted($code, '', $fill($template, $value));
                    self::assertStringNotContainsString('SECRET', $redacted, $template);
                }
            }
        }
    }

    public function testSqliteQuotesNoValuesButItsTriggersMay(): void
    {
        foreach (
            ['UNIQUE constraint failed: users.email', 'NOT NULL constraint failed: orders.v', 'database is locked',
                'no such table: orders', 'table orders has no column named x'] as $said
        ) {
            self::assertSame($said, Words::redactedOfSqlite(19, $said));
        }
        self::assertStringNotContainsString('SECRET', Words::redactedOfSqlite(19, 'SECRET is no customer'));
        self::assertStringNotContainsString('SECRET', Words::redactedFailure(19, 'SQLSTATE[23000]: Integrity: 19 SECRET'));
    }

    public function testWhatSteersATerminalIsSpelledOut(): void
    {
        foreach (
            [
                'plain ünïcode 👩‍👧' => 'plain ünïcode 👩‍👧',
                "a\r\n\tb\0" => 'a   b\\0',
                "\e]0;title\x07\x7f" => '\\u{1b}]0;title\\u{7}\\u{7f}',
                "\u{9b}31m\u{85}\u{2028}\u{2029}" => '\\u{9b}31m\\u{85}\\u{2028}\\u{2029}',
                "\u{202e}\u{2066}\u{feff}\u{200b}\u{e0041}" => '\\u{202e}\\u{2066}\\u{feff}\\u{200b}\\u{e0041}',
            ] as $text => $expected
        ) {
            self::assertSame($expected, Words::clean($text));
            self::assertSame(
                $text,
                json_decode((new OutputFormatter())->format(ConsoleText::json($text)), false, 2, JSON_THROW_ON_ERROR),
            );
        }
        self::assertSame('a?b', Words::clean("a\xffb"));
        self::assertSame(Words::MAX_BYTES, strlen(Words::bounded(str_repeat('a', 5_000))));
        self::assertTrue(mb_check_encoding(Words::bounded(str_repeat('é', 5_000)), 'UTF-8'));
    }

    public function testAConsoleShowsTagsAsTheyAre(): void
    {
        $evil = "<fg=red>x</> <error>y\e[2J\u{9b}\u{202e}<href=https://example.org>z\\";
        foreach ([false, true] as $isDecorated) {
            $formatter = new OutputFormatter($isDecorated);
            $shown = $formatter->format('<info>' . ConsoleText::of($evil) . '</info>');
            self::assertStringContainsString('<fg=red>x</> <error>y\\u{1b}[2J', $shown);
            self::assertStringContainsString('<href=https://example.org>z', $shown);
            self::assertSame($isDecorated ? 2 : 0, substr_count($shown, "\e"), 'those of info alone');
            $json = $formatter->format(ConsoleText::json(['<error>' => $evil], JSON_PRETTY_PRINT));
            self::assertSame(0, preg_match('/[\e\x{80}-\x{9f}\x{202e}]/u', $json), $json);
            self::assertSame(['<error>' => $evil], json_decode($json, true));
        }
        self::assertSame('abc…', ConsoleText::of('abcdef', 4));
        self::assertSame('array', ConsoleText::of(['x']));
    }
}
