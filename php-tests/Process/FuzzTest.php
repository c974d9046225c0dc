<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\TestCase;

/** Callbacks change what is being read, under valgrind: no memory is used after it was freed. */
final class FuzzTest extends TestCase
{
    private const CASES = 300;

    public function testCallbacksThatChangeWhatIsReadReadNoFreedMemory(): void
    {
        exec('command -v valgrind', $found, $status);
        self::assertSame(0, $status, 'valgrind is missing: scripts/install-packages test');
        $extension = getenv('WRITE_BUFFER_EXTENSION')
            ?: dirname(__DIR__, 2) . '/target/release/libwrite_buffer.so';
        foreach ([1, random_int(2, PHP_INT_MAX >> 32)] as $seed) {
            // PHP's own allocator would hide from valgrind what is freed. Its errors are status 9.
            $command = ['env', 'USE_ZEND_ALLOC=0', 'valgrind', '-q', '--error-exitcode=9', PHP_BINARY, '-n'];
            array_push($command, '-d', "extension={$extension}", dirname(__DIR__) . '/Fuzz/mutate.php');
            array_push($command, (string) $seed, (string) self::CASES);
            $output = [];
            exec(implode(' ', array_map('escapeshellarg', $command)) . ' 2>&1', $output, $status);
            $said = "seed {$seed}:\n" . implode("\n", array_slice($output, 0, 60));
            self::assertSame(0, $status, $said);
            self::assertMatchesRegularExpression('/^(\d+) of ' . self::CASES . ' taken$/m', $said);
            preg_match('/^(\d+) of/m', $said, $match);
            // Most cases are refused after a change. Where none were taken, nothing was tried.
            self::assertGreaterThan(self::CASES / 10, (int) $match[1], $said);
        }
    }
}
