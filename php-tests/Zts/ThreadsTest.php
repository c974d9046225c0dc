<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Zts;

use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * Several PHP threads in one process, each with its own requests: see threads.c and request.php.
 * Needs a thread-safe PHP: `make test-zts`.
 */
final class ThreadsTest extends DatabaseTestCase
{
    private const THREADS = 8;
    private const REQUESTS = 8;
    private const GROUPS = 25;

    /** @return array<string, array{string, int}> */
    public function modes(): array
    {
        return [
            'a buffer of its own in each request, with a native thread' => ['background', 0],
            'a buffer of its own in each request, without' => ['foreground', 0],
            'one persistent engine for all threads and requests' => ['shared', 0],
            'requests that end with a fatal error' => ['fatal', 1],
        ];
    }

    /** @dataProvider modes */
    public function testWritesWhatEveryThreadAdded(string $mode, int $status): void
    {
        $this->createTable('zts_orders', 'id VARCHAR(40) PRIMARY KEY, status VARCHAR(10), placed_at DATETIME');
        $this->createTable('zts_trades', 'id VARCHAR(40) PRIMARY KEY, order_id VARCHAR(40)');
        $this->createTable('zts_totals', 'id INT PRIMARY KEY, orders INT NOT NULL');

        [$ended, $output, $errors] = $this->runThreads($mode);

        // Here a debug PHP reports what a request leaked.
        self::assertSame('', self::beginning($errors));
        $fatal = '/^PHP Fatal error: +the end in |^\s*Fatal error: the end in .*$|^\s*$/m';
        self::assertSame('', self::beginning($status === 0 ? $output : (string) preg_replace($fatal, '', $output)));
        self::assertSame($status, $ended);
        $orders = $trades = [];
        foreach ($this->groups() as $id) {
            $orders[] = ['id' => $id, 'status' => 'filled', 'placed_at' => '2024-03-01 00:00:00'];
            $trades[] = ['id' => "{$id}-a", 'order_id' => $id];
            $trades[] = ['id' => "{$id}-b", 'order_id' => $id];
        }
        self::assertSame($orders, $this->rows('zts_orders'));
        self::assertSame($trades, $this->rows('zts_trades'));
        // No row is lost or written twice: each group added one.
        self::assertSame([['id' => '1', 'orders' => (string) count($orders)]], $this->rows('zts_totals'));
        $this->awaitNoConnections();
    }

    /** @return list<string> the ids of all groups, as the server sorts them */
    private function groups(): array
    {
        $ids = [];
        for ($thread = 0; $thread < self::THREADS; $thread++) {
            for ($request = 0; $request < self::REQUESTS; $request++) {
                for ($group = 0; $group < self::GROUPS; $group++) {
                    $ids[] = "{$thread}-{$request}-{$group}";
                }
            }
        }
        sort($ids, SORT_STRING);

        return $ids;
    }

    /** The threads may all say the same, so the message is cut. */
    private static function beginning(string $text): string
    {
        return substr(trim($text), 0, 1000);
    }

    /** @return array{int, string, string} the exit status, stdout and stderr */
    private function runThreads(string $mode): array
    {
        $settings = [
            'extension=' . self::setting('WRITE_BUFFER_EXTENSION'),
            'display_errors=1',
            'log_errors=0',
            'html_errors=0',
            'register_argc_argv=1',
            // This timer belongs to the process and not to a thread.
            'max_execution_time=0',
        ];
        $command = [
            'timeout', '--signal=KILL', (string) (int) self::TIMEOUT_S,
            self::setting('WRITE_BUFFER_THREADS'),
            implode("\n", $settings), (string) self::THREADS, (string) self::REQUESTS,
            __DIR__ . '/request.php', $mode, (string) self::GROUPS,
        ];
        $output = tmpfile();
        $errors = tmpfile();
        $process = proc_open($command, [['file', '/dev/null', 'r'], $output, $errors], $pipes);
        self::assertIsResource($process);
        $ended = proc_close($process);
        rewind($output);
        rewind($errors);

        return [$ended, (string) stream_get_contents($output), (string) stream_get_contents($errors)];
    }
}
