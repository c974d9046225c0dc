<?php

declare(strict_types=1);

namespace Tests\Unit;

use PHPUnit\Framework\TestCase;

/** The READMEs show the difference of the services as `diff -u` prints it. */
final class ReadmeTest extends TestCase
{
    private const PROJECT = __DIR__ . '/../..';

    private const READMES = [self::PROJECT . '/README.md', self::PROJECT . '/../../laravel/README.md'];

    public function testTheDifferenceOfTheServicesIsShownAsItIs(): void
    {
        $difference = self::difference('app/Services/EloquentOrderService.php', 'app/Services/OrderService.php');

        self::assertLessThan(20, preg_match_all('/^[-+](?![-+])/m', $difference), 'a few lines');
        foreach (self::READMES as $readme) {
            $count = preg_match('/^```diff\n(.*?)^```$/ms', (string) file_get_contents($readme), $shown);
            self::assertSame(1, $count, "{$readme} shows a difference");
            self::assertSame($difference, $shown[1], $readme);
        }
    }

    /** The difference of two files, without times in its head and spaces at the ends of lines. */
    private static function difference(string $before, string $after): string
    {
        $pipes = [];
        $diff = proc_open(['diff', '-u', $before, $after], [1 => ['pipe', 'w']], $pipes, self::PROJECT);
        self::assertIsResource($diff);
        $lines = explode("\n", (string) stream_get_contents($pipes[1]));
        self::assertSame(1, proc_close($diff), 'they differ');

        return implode("\n", array_map(
            static fn (string $line): string => rtrim((string) preg_replace('/^(---|\+\+\+) ([^\t]+)\t.*/', '$1 $2', $line)),
            $lines,
        ));
    }
}
