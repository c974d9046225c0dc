<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process\Support;

use PDO;
use RuntimeException;

/**
 * What a test's child process uses: a buffer on the test's tables, rows whose columns all follow
 * from a number, and waits for conditions.
 *
 * It is loaded by path and needs only the extension, so that a child is as small as a script can
 * be.
 */
final class Child
{
    public const ORDERS = 'wb_process_orders';
    public const TRADES = 'wb_process_trades';
    public const TRADES_PER_ORDER = 2;
    public const ROWS_PER_GROUP = 1 + self::TRADES_PER_ORDER;

    /** Nothing here takes as long, even on one slow processor with load beside. */
    private const TIMEOUT_S = 120.0;

    /**
     * A buffer on the test's tables. Unless a test says otherwise, it writes nothing because time
     * has passed.
     */
    public static function buffer(mixed ...$settings): \WriteBuffer
    {
        return new \WriteBuffer(...$settings + [
            // If many children connect at once, it may take long.
            // A test that holds a lock holds up the thread, for as long as it wants.
            'dsn' => getenv('WRITE_BUFFER_TEST_DSN') . '?connect_timeout_ms=60000&lock_wait_timeout_ms=3600000',
            'background' => true,
            'batchSize' => 6,
            'flushIntervalMs' => 3_600_000,
            // Longer than any test waits, so an end that hangs is a failure.
            'shutdownTimeoutMs' => 600_000,
            'orderTable' => self::ORDERS,
            'tradeTable' => self::TRADES,
            // A batch that is committed twice shows as n = 2.
            'tables' => [self::ORDERS => ['merge' => ['n' => 'sum']]],
        ]);
    }

    /** @return array{id: int, v: string, n: int} */
    public static function order(int $id): array
    {
        return ['id' => $id, 'v' => "order {$id}", 'n' => 1];
    }

    /** @return list<array{id: int, order_id: int}> */
    public static function trades(int $orderId): array
    {
        $trades = [];
        for ($number = 0; $number < self::TRADES_PER_ORDER; $number++) {
            $trades[] = ['id' => $orderId * 10 + $number, 'order_id' => $orderId];
        }

        return $trades;
    }

    /** Adds the groups of a range of orders. */
    public static function add(\WriteBuffer $buffer, int $first, ?int $last = null): void
    {
        for ($id = $first; $id <= ($last ?? $first); $id++) {
            $buffer->add(self::order($id), self::trades($id));
        }
    }

    /** Tells the test a line. */
    public static function say(string $line): void
    {
        fwrite(STDOUT, $line . "\n");
    }

    /** Tells the test values, under a name. */
    public static function report(string $name, mixed $value): void
    {
        self::say("{$name}=" . json_encode($value, JSON_THROW_ON_ERROR));
    }

    /** Waits for a line from the test. */
    public static function hear(): string
    {
        $line = fgets(STDIN);
        if ($line === false) {
            throw new RuntimeException('the test has gone');
        }

        return rtrim($line, "\n");
    }

    /**
     * @return array{string, string} the class and the message of what the callable throws, or empty
     *         strings
     */
    public static function thrownBy(callable $act): array
    {
        try {
            $act();
        } catch (\Throwable $thrown) {
            return [get_class($thrown), $thrown->getMessage()];
        }

        return ['', ''];
    }

    /** Waits until a condition holds. */
    public static function await(string $what, callable $condition, float $timeoutS = self::TIMEOUT_S): void
    {
        $deadline = hrtime(true) + $timeoutS * 1e9;
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                throw new RuntimeException("waited for {$timeoutS} s in vain: {$what}");
            }
            usleep(2_000);
        }
    }

    /** A connection of the child's own, as the same account. */
    public static function connect(): PDO
    {
        return new PDO(
            sprintf('mysql:host=%s;port=%s;dbname=%s', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_DATABASE')),
            (string) getenv('DB_USERNAME'),
            (string) getenv('DB_PASSWORD'),
            [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /** How many threads of this process have the flusher's name. */
    public static function flusherCount(): int
    {
        return count(self::flushers());
    }

    /** @return list<string> the folders under /proc of the flusher's threads */
    public static function flushers(): array
    {
        $found = [];
        foreach (glob('/proc/' . getmypid() . '/task/*') ?: [] as $folder) {
            // A thread may end after it was listed.
            if (@file_get_contents("{$folder}/comm") === "write_buffer\n") {
                $found[] = $folder;
            }
        }

        return $found;
    }

    /** A field of a thread's or process's status file. */
    public static function status(string $folder, string $field): string
    {
        $status = (string) file_get_contents("{$folder}/status");
        if (preg_match("/^{$field}:\s*(.*)$/m", $status, $match) !== 1) {
            throw new RuntimeException("{$folder}/status has no {$field}");
        }

        return $match[1];
    }

    /** Waits until all is written and the flusher rests. */
    public static function awaitIdle(\WriteBuffer $buffer): void
    {
        self::await('an idle flusher', static function () use ($buffer): bool {
            return count($buffer) === 0 && $buffer->getMetrics()['thread_state'] === 'idle';
        });
    }

    /**
     * Runs a callable in a forked child, which then exits, unless the callable has ended it.
     *
     * @return int its process id
     */
    public static function fork(callable $act): int
    {
        $pid = pcntl_fork();
        if ($pid === 0) {
            $act();
            exit(0);
        }
        if ($pid < 0) {
            throw new RuntimeException('cannot fork');
        }

        return $pid;
    }

    /**
     * Waits until a forked child ends. Returns how: `exit 0`, `signal 9`, or `hangs` after the
     * time, when it is killed.
     */
    public static function reap(int $pid, float $timeoutS = self::TIMEOUT_S): string
    {
        $deadline = hrtime(true) + $timeoutS * 1e9;
        while (($ended = pcntl_waitpid($pid, $status, WNOHANG)) === 0) {
            if (hrtime(true) > $deadline) {
                posix_kill($pid, SIGKILL);
                pcntl_waitpid($pid, $status);

                return 'hangs';
            }
            usleep(1_000);
        }
        if ($ended !== $pid) {
            return 'lost';
        }

        return pcntl_wifexited($status) ? 'exit ' . pcntl_wexitstatus($status) : 'signal ' . pcntl_wtermsig($status);
    }

    /**
     * Waits until forked children end, all within the same time.
     *
     * @param list<int> $pids
     *
     * @return array<string, int> how many ended in each way
     */
    public static function reapAll(array $pids, float $timeoutS = self::TIMEOUT_S): array
    {
        $deadline = hrtime(true) / 1e9 + $timeoutS;
        $ends = array_map(static fn (int $pid): string => self::reap($pid, $deadline - hrtime(true) / 1e9), $pids);

        return array_count_values($ends);
    }
}
