<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * How a process of artisan ends: by its command's own status, unless it lost rows, or gave some up,
 * and nobody was told. Laravel makes an exception of PHP's warning then. Since PHP 8.3 that goes to
 * the exception handler. Before, nobody catches it, and the status is 255.
 */
final class ExitStatusTest extends TestCase
{
    private const REFUSED = "Column 'v' cannot be null";

    private const OF_EXCEPTION = PHP_VERSION_ID < 80300 ? 255 : 3;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
    }

    /**
     * @param array<string, mixed> $work as in command.php
     *
     * @return array{int, string}
     */
    private function runCommand(array $work): array
    {
        $command = [PHP_BINARY, '-d', 'extension=' . self::setting('WRITE_BUFFER_EXTENSION'), '-d', 'display_errors=stdout',
            dirname(__DIR__) . '/Support/command.php', (string) json_encode($work + [
                'connection' => self::server(),
                'flush' => true,
                'table' => 'orders',
                'rows' => [['id' => 1, 'v' => 1], ['id' => 2, 'v' => null], ['id' => 3, 'v' => 3]],
                'transaction' => false,
            ])];
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['redirect', 1]], $pipes);
        self::assertIsResource($process);
        $output = (string) stream_get_contents($pipes[1]);

        return [proc_close($process), $output];
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function drivers(): iterable
    {
        yield 'native' => [['driver' => 'native', 'flush_interval_ms' => 3_600_000]];
        yield 'foreground' => [['driver' => 'native', 'background' => false, 'flush_interval_ms' => 3_600_000]];
        yield 'php' => [['driver' => 'php', 'flush_interval_ms' => 3_600_000]];
    }

    /**
     * @param array<string, mixed> $buffer
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testARefusedRowThatWasReportedIsNoErrorOfTheProcess(array $buffer): void
    {
        [$status, $output] = $this->runCommand(['buffer' => $buffer]);
        self::assertSame(3, $status, $output);
        self::assertSame([1, 1], [substr_count($output, 'reported: '), substr_count($output, self::REFUSED)], $output);
        self::assertSame([1, 3], array_column($this->rows('orders'), 'id'));
    }

    /**
     * @param array<string, mixed> $buffer
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testNorIsOneThatStandsInTheFile(array $buffer): void
    {
        $file = sys_get_temp_dir() . '/write-buffer-' . bin2hex(random_bytes(6));
        try {
            [$status, $output] = $this->runCommand(['buffer' => $buffer + ['dead_letter_file' => $file], 'flush' => false]);
            self::assertSame([3, ''], [$status, $output]);
            self::assertSame(1, substr_count((string) file_get_contents($file), "\n"));
            self::assertSame([1, 3], array_column($this->rows('orders'), 'id'));

            [$status, $output] = $this->runCommand([
                'buffer' => $buffer + ['dead_letter_file' => $file], 'flush' => false, 'table' => 'wb_no_table',
            ]);
            self::assertSame([3, ''], [$status, $output], 'left, and in the file');
            self::assertSame(4, substr_count((string) file_get_contents($file), "\n"));
        } finally {
            @unlink($file);
        }
    }

    /**
     * @param array<string, mixed> $buffer
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testOneThatNobodyWasToldOfIsAnException(array $buffer): void
    {
        [$status, $output] = $this->runCommand(['buffer' => $buffer, 'flush' => false]);
        self::assertSame(self::OF_EXCEPTION, $status, $output);
        self::assertSame(PHP_VERSION_ID < 80300 ? 0 : 1, substr_count($output, 'reported: '), $output);
        self::assertMatchesRegularExpression('/gave up 1 rows?, and nobody called takeFailures\(\)/', $output);
        self::assertStringContainsString(self::REFUSED, $output);
        self::assertSame([1, 3], array_column($this->rows('orders'), 'id'), 'the others are written');

        [$status, $output] = $this->runCommand(['buffer' => $buffer, 'flush' => false, 'table' => 'wb_no_table']);
        self::assertSame(self::OF_EXCEPTION, $status, $output);
        self::assertSame(PHP_VERSION_ID < 80300 ? 0 : 1, substr_count($output, 'reported: '), $output);
        self::assertMatchesRegularExpression('/lost 3 buffered rows|3 rows could not be written and are lost/', $output);
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function driversThatWriteAtTheCommit(): iterable
    {
        yield 'foreground' => [['driver' => 'native', 'background' => false, 'batch_size' => 1]];
        yield 'sync' => [['driver' => 'sync']];
        yield 'php' => [['driver' => 'php', 'batch_size' => 1]];
    }

    /**
     * @param array<string, mixed> $buffer
     *
     * @dataProvider driversThatWriteAtTheCommit
     */
    #[DataProvider('driversThatWriteAtTheCommit')]
    public function testWhatACommitHasThrownOrReportedIsNone(array $buffer): void
    {
        [$status, $output] = $this->runCommand([
            'buffer' => $buffer,
            'transaction' => true,
            'rows' => [['id' => 1, 'v' => null], ['id' => 2, 'v' => 2], ['id' => 3, 'v' => null]],
        ]);
        self::assertSame(3, $status, $output);
        self::assertSame([1, 1], [substr_count($output, 'caught: '), substr_count($output, 'reported: ')], $output);
        self::assertSame([2], array_column($this->rows('orders'), 'id'));
    }
}
