<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\TestCase;

/** The README names a test for each of its guarantees, and files that are there. */
final class ReadmeTest extends TestCase
{
    private const ROOT = __DIR__ . '/../..';

    public function testEveryLinkedFileIsThere(): void
    {
        foreach (['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'] as $page) {
            $text = (string) file_get_contents(self::ROOT . "/{$page}");
            preg_match_all('/\]\((?!https?:)([^)#]+)\)/', $text, $links);
            foreach ($links[1] as $link) {
                self::assertFileExists(self::ROOT . "/{$link}", $page);
            }
        }
    }

    public function testEveryGuaranteeHasItsTest(): void
    {
        $text = (string) file_get_contents(self::ROOT . '/README.md');
        self::assertSame(1, preg_match('/^## Guarantees$(.*?)^## /ms', $text, $section));
        preg_match_all('/^\| (?!what happens).*$/m', $section[1], $lines);
        self::assertGreaterThan(10, count($lines[0]));
        foreach ($lines[0] as $line) {
            self::assertMatchesRegularExpression('#\]\((php-tests/\w+/\w+Test\.php|crates/core/tests/\w+\.rs)\)#', $line);
        }
    }
}
