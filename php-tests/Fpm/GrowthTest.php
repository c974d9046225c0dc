<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Fpm\Support\FpmServer;
use WriteBuffer\Tests\Fpm\Support\FpmTestCase;

/** After thousands of objects and requests a worker and the server use no more than before. */
final class GrowthTest extends FpmTestCase
{
    private const RESIDENT_BYTES_MAX = 8 * 1024 * 1024;

    /**
     * As many statements as the two tables need for all row counts. One for each request would be
     * thousands.
     */
    private const PREPARED_STATEMENTS_MAX = 100;

    public function testPersistentBuffersOverThousandsOfRequests(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(flushIntervalMs: 20);
        $pid = $this->makeRequests($fpm, $settings, 1, 200);
        $this->awaitExpectedOrders();
        $before = $this->footprint($pid);
        $bytesBefore = self::residentBytes($pid);

        $this->makeRequests($fpm, $settings, 201, 2_000);
        $this->awaitExpectedOrders();
        self::assertSame([$pid], $this->answeringWorkers());
        $this->assertNotGrown($before, $pid);
        self::assertLessThan(self::RESIDENT_BYTES_MAX, self::residentBytes($pid) - $bytesBefore);
        self::assertLessThan(self::PREPARED_STATEMENTS_MAX, $this->status('Prepared_stmt_count'));
    }

    /** @return iterable<string, array{0: string, 1?: int}> */
    public static function fatalErrors(): iterable
    {
        yield 'add()' => ['fatal error in add'];
        yield 'retry()' => ['fatal error in retry'];
        yield 'group()' => ['fatal error in group'];
        // PHP itself leaves the stack of a fiber that sleeps, of which 20 kB are in use.
        yield 'a fiber that sleeps in group()' => ['fatal error beside a fiber in group', 30_000];
    }

    /**
     * A fatal error in a callback jumps over what the extension was doing. What a request left
     * behind would be 100 kB. WRITE_BUFFER_TEST_FATAL_REQUESTS says how many there are.
     *
     * @dataProvider fatalErrors
     */
    #[DataProvider('fatalErrors')]
    public function testFatalErrorsInUserCodeLeaveNothingBehind(string $end, int $bytesOfPhp = 0): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings();
        $pid = $this->makeRequests($fpm, $settings, 1, 10);
        $count = (int) (getenv('WRITE_BUFFER_TEST_FATAL_REQUESTS') ?: 300);
        $fail = function (int $times) use ($fpm, $settings, $pid, $end): void {
            for (; $times > 0; $times--) {
                // No order of its own: it ends in the middle of one that is not taken.
                $answer = $this->send($fpm, $settings, 1_000, 999, end: $end)->answer();
                self::assertSame([500, $pid], [$answer->status, $answer->pid], $answer->describe());
            }
        };
        $fail(50);
        $bytesBefore = self::residentBytes($pid);
        $fail($count);
        $most = self::RESIDENT_BYTES_MAX + $count * $bytesOfPhp;
        self::assertLessThan($most, self::residentBytes($pid) - $bytesBefore);
        $this->awaitExpectedOrders();
    }

    public function testABufferPerRequestIsWrittenAtTheRequestsEnd(): void
    {
        $fpm = $this->startFpm();
        $settings = $this->settings(persistent: null, batchSize: 1_000, flushIntervalMs: self::NEVER_MS);
        $pid = $this->makeRequests($fpm, $settings, 1, 50);
        $this->awaitExpectedOrders();
        $this->awaitEndOfFlushers($pid);
        $before = $this->footprint($pid);
        $bytesBefore = self::residentBytes($pid);

        $this->makeRequests($fpm, $settings, 51, 300);
        $this->awaitExpectedOrders();
        self::assertSame([$pid], $this->answeringWorkers());
        $this->awaitEndOfFlushers($pid);
        $this->assertNotGrown($before, $pid);
        self::assertLessThan(self::RESIDENT_BYTES_MAX, self::residentBytes($pid) - $bytesBefore);
        self::await('no prepared statement', fn (): bool => $this->status('Prepared_stmt_count') === 0);
    }

    /**
     * Makes a request for each of the orders of a range.
     *
     * @param array<string, mixed> $settings
     *
     * @return int the worker
     */
    private function makeRequests(FpmServer $fpm, array $settings, int $first, int $last): int
    {
        $pid = 0;
        for ($id = $first; $id <= $last; $id++) {
            $pid = $this->request($fpm, $settings, $id)->pid;
        }

        return $pid;
    }

    /** A thread and a connection end a little after they were told to. */
    private function awaitEndOfFlushers(int $pid): void
    {
        self::awaitFlushers($pid, 0);
        $this->awaitNoConnections();
    }

    /**
     * What is closed ends a little later, in the worker and in the server.
     *
     * @param array<string, int> $before
     */
    private function assertNotGrown(array $before, int $pid): void
    {
        foreach (array_keys($before) as $name) {
            self::await("no more {$name} than before, {$before[$name]}", function () use ($before, $pid, $name): bool {
                return $this->footprint($pid)[$name] <= $before[$name];
            });
        }
    }

    /** @return array<string, int> */
    private function footprint(int $pid): array
    {
        return [
            'threads' => self::threadCount($pid),
            'descriptors' => self::descriptorCount($pid),
            'connections' => count($this->bufferConnections()),
            'Threads_connected' => $this->status('Threads_connected'),
        ];
    }

    /** A counter of the server. */
    private function status(string $name): int
    {
        $row = $this->admin()->query('SHOW GLOBAL STATUS LIKE ' . $this->admin()->quote($name))->fetch();

        return (int) $row[1];
    }
}
