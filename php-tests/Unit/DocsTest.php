<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use ReflectionMethod;
use ReflectionParameter;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\AssertsExceptions;

/** The documentation tells the truth, as far as a machine can know it. */
final class DocsTest extends TestCase
{
    use AssertsExceptions;

    private const ROOT = __DIR__ . '/../..';

    private const README_WORDS_MAX = 900;

    /** The pages with measured figures. */
    private const FIGURES = ['README.md', 'docs/benchmark.md', 'bench/README.md'];

    public function testTheSettingsAreThoseOfTheConstructorAndOfPhpIni(): void
    {
        $ini = ini_get_all('write_buffer');
        $expected = array_map(
            static function (ReflectionParameter $parameter) use ($ini): array {
                $key = 'write_buffer.' . strtolower((string) preg_replace('/[A-Z]/', '_$0', $parameter->getName()));
                $hasKey = array_key_exists($key, $ini);
                // Null takes php.ini's value, which is the default that a reader sees.
                self::assertSame($hasKey ? null : [], $parameter->getDefaultValue(), $parameter->getName());

                return [
                    'parameter' => $parameter->getName(),
                    'type' => (string) $parameter->getType(),
                    'php.ini' => $hasKey ? $key : '',
                    'default' => $hasKey ? (string) $ini[$key]['global_value'] : '[]',
                ];
            },
            (new ReflectionMethod(\WriteBuffer::class, '__construct'))->getParameters(),
        );
        $shown = array_map(
            static fn (array $row): array => array_intersect_key($row, $expected[0]),
            self::settings(),
        );
        self::assertSame($expected, $shown);
        self::assertEqualsCanonicalizing(array_keys($ini), array_values(array_filter(array_column($shown, 'php.ini'))));
    }

    public function testTheBoundsOfTheSettingsAreThoseOfTheConstructor(): void
    {
        $numbers = 0;
        $words = 0;
        foreach (self::settings() as ['parameter' => $name, 'type' => $type, 'allowed' => $allowed]) {
            if ($type === '?int') {
                self::assertSame(1, preg_match('/^(\d+) to (\d+)( (rows|bytes|ms))?$/', $allowed, $bounds), $name);
                [, $min, $max] = $bounds;
                $wrong = (int) $min - 1;
                $message = "{$name} must be from {$min} to {$max}, not {$wrong}";
                $numbers++;
            } elseif (str_contains($type, 'string') && preg_match('/^\w+(, \w+)* or \w+$/', $allowed) === 1) {
                $choices = preg_split('/, | or /', $allowed);
                $last = array_pop($choices);
                $wrong = 'no such word';
                $message = "{$name} must be '" . implode("', '", $choices) . "' or '{$last}', not \"{$wrong}\"";
                $words++;
            } else {
                continue;
            }
            self::assertThrows(
                ConfigException::class,
                $message,
                static fn () => new \WriteBuffer('memory:', ...['background' => true, $name => $wrong]),
            );
        }
        self::assertSame([12, 3], [$numbers, $words], 'numbers, and choices of words');
    }

    /** The page and the stub name those that it heeds, and those that it ignores. */
    public function testTheSettingsOfTheSynchronousBuffer(): void
    {
        $given = [
            'dsn' => 'memory:', 'background' => true, 'tables' => ['t' => ['key' => 'id']], 'ledgerTable' => 'l', 'timeZone' => 'UTC',
            'deadLetterFile' => sys_get_temp_dir() . '/never-made.jsonl', 'routeBy' => 'c', 'persistent' => 'p', 'overflow' => 'block',
        ];
        $shown = (new \SyncWriteBuffer(...$given))->__debugInfo();
        $heeded = $ignored = [];
        foreach ((new ReflectionMethod(\SyncWriteBuffer::class, '__construct'))->getParameters() as $parameter) {
            if (array_key_exists($parameter->getName(), $shown)) {
                $heeded[] = $parameter->getName();
            } else {
                $ignored[] = $parameter->getName();
            }
        }
        $stub = self::page('stubs/write_buffer.stub.php');
        $stub = (string) preg_replace('/\s*\n\s*\*/', '', substr($stub, (int) strpos($stub, 'final class SyncWriteBuffer')));
        foreach (['docs/settings.md' => self::page('docs/settings.md'), 'the stub' => $stub] as $where => $text) {
            foreach (['heeds' => $heeded, 'ignores' => $ignored] as $what => $parameters) {
                self::assertSame(1, preg_match("/\\bIt {$what} (.+?)\\./s", $text, $sentence), "{$where}: {$what}");
                preg_match_all('/\b[a-z]\w*\b/', $sentence[1], $names);
                self::assertEqualsCanonicalizing(
                    $parameters,
                    array_values(array_intersect($names[0], [...$heeded, ...$ignored])),
                    "{$where}: {$what}",
                );
            }
        }
    }

    public function testTheRulesOfTables(): void
    {
        $rules = array_column(self::table('docs/settings.md', 'Table rules'), 'rule');
        $merges = array_column(self::table('docs/settings.md', 'Merge rules'), 'rule');
        $last = array_pop($merges);
        foreach (
            [
                'tables["t"]["other"] is no rule; there are: ' . implode(', ', $rules) => ['other' => 1],
                "tables[\"t\"][\"merge\"][\"c\"] must be '" . implode("', '", $merges) . "' or '{$last}'"
                    => ['merge' => ['c' => 'other']],
            ] as $message => $wrong
        ) {
            self::assertThrows(
                ConfigException::class,
                $message,
                static fn () => new \WriteBuffer('memory:', tables: ['t' => $wrong]),
            );
        }
    }

    public function testTheOptionsOfTheDsn(): void
    {
        $options = self::table('docs/dsn.md', 'Options');
        self::assertThrows(
            ConfigException::class,
            'option 1 of the DSN is not known; there are: ' . implode(', ', array_column($options, 'option')),
            static fn () => new \WriteBuffer('mysql://user@host/database?other=1'),
        );
        $times = 0;
        foreach ($options as ['option' => $name, 'allowed' => $allowed]) {
            if (preg_match('/^(\d+) to (\d+)$/', $allowed, $bounds) === 1) {
                $wrong = (int) $bounds[2] + 1;
                self::assertThrows(
                    ConfigException::class,
                    "the DSN's {$name} must be a number of milliseconds from {$bounds[1]} to {$bounds[2]}",
                    static fn () => new \WriteBuffer("mysql://user@host/database?{$name}={$wrong}"),
                );
                $times++;
            }
        }
        self::assertSame(4, $times);
    }

    public function testTheMetrics(): void
    {
        self::assertSame(
            array_keys((new \WriteBuffer('memory:'))->getMetrics()),
            array_column(self::table('docs/operations.md', 'Metrics'), 'metric'),
        );
    }

    public function testTheMethods(): void
    {
        $shown = array_map(
            static fn (string $call): string => strtok($call, '('),
            array_column(self::table('docs/usage.md', 'Methods'), 'method'),
        );
        self::assertEqualsCanonicalizing(get_class_methods(\WriteBuffer\Buffer::class), $shown);
    }

    public function testEveryGuaranteeHasItsTest(): void
    {
        $lines = self::table('docs/guarantees.md', 'What happens to buffered rows');
        self::assertGreaterThan(15, count($lines));
        foreach ($lines as $line) {
            self::assertMatchesRegularExpression(
                '#\]\(\.\./(php-tests/\w+/\w+Test\.php|crates/core/tests/\w+(/main)?\.rs)\)#',
                $line['test'],
                $line['what happens'],
            );
        }
    }

    /** @return list<array{string}> */
    public static function sectionsOfPromises(): array
    {
        return [
            ['What all of them need'], ['What all of them promise'], ['Acknowledged'], ['Buffered'], ['Persistent in php-fpm'],
        ];
    }

    /**
     * @dataProvider sectionsOfPromises
     */
    #[DataProvider('sectionsOfPromises')]
    public function testEachPromiseNamesTestsThatAreThere(string $section): void
    {
        $page = 'docs/guarantees.md';
        foreach (self::table($page, $section) as $line) {
            $count = preg_match_all('#\[(test\w+)\]\(\.\./(php-tests/\w+/\w+Test\.php)\)#', $line['test'], $tests, PREG_SET_ORDER);
            self::assertGreaterThan(0, $count, reset($line));
            foreach ($tests as [, $test, $file]) {
                self::assertStringContainsString("public function {$test}(", self::page($file), reset($line));
            }
        }
    }

    /** Where the profiles say `name`, 500 ms, that is the setting's default. */
    public function testTheNumbersOfTheProfilesAreTheDefaults(): void
    {
        $defaults = array_column(self::settings(), 'default', 'parameter');
        $count = preg_match_all('/`(\w+)`, ([\d,]+) (ms|s|rows)\b/', self::page('docs/guarantees.md'), $found, PREG_SET_ORDER);
        self::assertGreaterThanOrEqual(5, $count);
        foreach ($found as [$text, $name, $number, $unit]) {
            $value = (int) str_replace(',', '', $number) * ($unit === 's' ? 1_000 : 1);
            self::assertSame($defaults[$name], (string) $value, $text);
        }
        self::assertStringContainsString('100,000 rows and 64 MiB a group', self::page('docs/guarantees.md'));
        self::assertSame(['100000', '67108864'], [$defaults['maxPendingRows'], $defaults['maxPendingBytes']]);
    }

    /** @return array<string, array{string}> */
    public static function pages(): array
    {
        $pages = [
            'README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md',
            'laravel/README.md', 'examples/spot-exchange/README.md', 'examples/plain/README.md',
        ];
        foreach (glob(self::ROOT . '/docs/*.md') as $file) {
            $pages[] = 'docs/' . basename($file);
        }

        return array_combine($pages, array_map(static fn (string $page): array => [$page], $pages));
    }

    /**
     * @dataProvider pages
     */
    #[DataProvider('pages')]
    public function testEveryLinkLeadsSomewhere(string $page): void
    {
        $text = (string) preg_replace('/`[^`\n]*`/', '`', self::withoutFences(self::page($page)));
        preg_match_all('/\]\(([^)\s]+)\)/', $text, $links);
        foreach ($links[1] as $link) {
            if (preg_match('/^[a-z]+:/', $link) === 1) {
                continue;
            }
            [$path, $anchor] = explode('#', $link, 2) + [1 => null];
            $target = $path === '' ? $page : self::resolved(dirname($page) . '/' . $path);
            self::assertFileExists(self::ROOT . "/{$target}", "{$page} links to {$link}");
            if ($anchor !== null) {
                self::assertContains($anchor, self::anchors($target), "{$page} links to {$link}");
            }
        }
        self::assertNotSame('', $text, $page);
    }

    public function testTheReadmeLeadsToEveryPage(): void
    {
        foreach (array_keys(self::pages()) as $page) {
            if (str_starts_with($page, 'docs/') || !str_contains($page, '/')) {
                $isThere = $page === 'README.md' || str_contains(self::page('README.md'), "]({$page})");
                self::assertTrue($isThere, "README.md links to {$page}");
            }
        }
    }

    public function testTheReadmeIsShort(): void
    {
        $words = preg_split('/\s+/', self::page('README.md'), -1, PREG_SPLIT_NO_EMPTY);
        self::assertLessThanOrEqual(self::README_WORDS_MAX, count($words));
    }

    /** @return list<array{string}> */
    public static function pagesWithPrograms(): array
    {
        return [['README.md'], ['docs/symfony.md']];
    }

    /**
     * What these pages show in PHP stands in a program, whose indentation may differ. And
     * PlainProgramsTest runs them.
     *
     * @dataProvider pagesWithPrograms
     */
    #[DataProvider('pagesWithPrograms')]
    public function testWhatAPageShowsStandsInAProgram(string $page): void
    {
        $plain = static fn (string $code): string => (string) preg_replace('/^ +/m', '', trim($code, "\n"));
        $programs = '';
        foreach ([...glob(self::ROOT . '/examples/plain/*.php'), ...glob(self::ROOT . '/examples/plain/*/*.php')] as $file) {
            $programs .= "\n" . $plain((string) file_get_contents($file)) . "\n";
        }
        self::assertGreaterThanOrEqual(5, preg_match_all('/^```php\n(.*?)^```$/ms', self::page($page), $blocks));
        foreach ($blocks[1] as $block) {
            self::assertStringContainsString("\n" . $plain($block) . "\n", $programs, $page);
        }
    }

    public function testEachProgramIsListed(): void
    {
        foreach (glob(self::ROOT . '/examples/plain/*.php') as $file) {
            $name = basename($file);
            if ($name !== 'bootstrap.php') {
                self::assertStringContainsString("]({$name})", self::page('examples/plain/README.md'));
            }
        }
    }

    public function testEveryTableOfFiguresNamesItsCommandAndDate(): void
    {
        $makefile = self::page('Makefile');
        $tables = 0;
        foreach (self::FIGURES as $page) {
            $blocks = preg_split('/\n{2,}/', self::withoutFences(self::page($page)));
            foreach ($blocks as $at => $block) {
                if (!self::hasFigures($block)) {
                    continue;
                }
                $tables++;
                $beside = ($blocks[$at - 1] ?? '') . "\n" . ($blocks[$at + 1] ?? '');
                $where = "{$page}: " . strtok($block, "\n");
                self::assertSame(1, preg_match('/`make ([\w-]+)[^`]*`/', $beside, $command), $where);
                self::assertMatchesRegularExpression("/^{$command[1]}:/m", $makefile, $where);
                self::assertMatchesRegularExpression('/\b20\d\d-\d\d-\d\d\b/', $beside, $where);
            }
        }
        self::assertGreaterThanOrEqual(5, $tables);
    }

    /** Whether a block is a table that has a figure in another column than the first. */
    private static function hasFigures(string $block): bool
    {
        return str_starts_with($block, '|') && preg_match('/^\|[^|\n]*\|.*?(?<=\|) ?\**[≤≥]? ?\d/mu', $block) === 1;
    }

    /** @return list<array<string, string>> */
    private static function settings(): array
    {
        return self::table('docs/settings.md', 'All settings');
    }

    /**
     * The first table below a heading: its rows, by the columns' heads. Cells have no backquotes,
     * a first cell no link, and `\|` in a cell is `|`.
     *
     * @return list<array<string, string>>
     */
    private static function table(string $page, string $heading): array
    {
        $pattern = '/^#+ ' . preg_quote($heading, '/') . '\n(?:(?!#).*\n)*?((?:\|.*\n)+)/m';
        self::assertSame(1, preg_match($pattern, self::withoutFences(self::page($page)), $found), "{$page}: {$heading}");
        $rows = array_map(
            static fn (string $line): array => str_replace(
                '\|',
                '|',
                array_map('trim', (array) preg_split('/(?<!\\\\)\|/', trim(str_replace('`', '', $line), '|'))),
            ),
            explode("\n", rtrim($found[1])),
        );
        $heads = array_shift($rows);
        array_shift($rows);
        self::assertNotSame([], $rows, "{$page}: {$heading}");

        return array_map(
            static function (array $row) use ($heads): array {
                $row[0] = preg_replace('/^\[(.*)\]\(.*\)$/', '$1', $row[0]);

                return array_combine($heads, $row);
            },
            $rows,
        );
    }

    /** @return list<string> the anchors of a page's headings, as GitHub makes them */
    private static function anchors(string $page): array
    {
        preg_match_all('/^#{1,6} +(.+?) *$/m', self::withoutFences(self::page($page)), $headings);
        $anchors = [];
        foreach ($headings[1] as $heading) {
            $text = mb_strtolower((string) preg_replace('/\[([^\]]*)\]\([^)]*\)/', '$1', $heading));
            $anchor = str_replace(' ', '-', (string) preg_replace('/[^\p{L}\p{N} _-]/u', '', $text));
            $nth = count(array_keys(array_column($anchors, 0), $anchor, true));
            $anchors[] = [$anchor, $nth === 0 ? $anchor : "{$anchor}-{$nth}"];
        }

        return array_column($anchors, 1);
    }

    private static function withoutFences(string $text): string
    {
        return (string) preg_replace('/^ *```.*?^ *```$/ms', '', $text);
    }

    /** A path without its `..`. */
    private static function resolved(string $path): string
    {
        $parts = [];
        foreach (explode('/', $path) as $part) {
            if ($part === '..') {
                array_pop($parts);
            } elseif ($part !== '.') {
                $parts[] = $part;
            }
        }

        return implode('/', $parts);
    }

    private static function page(string $page): string
    {
        $text = file_get_contents(self::ROOT . "/{$page}");
        self::assertIsString($text, $page);

        return $text;
    }
}
