<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use WriteBuffer\Tests\Process\Support\Child;

/**
 * What a writer adds, step by step. Each row follows from the writer's and the step's number, so
 * the tables' content follows from how many steps each writer took.
 *
 * Each step adds:
 * - a new order, and the order of ten steps ago once more: `v` says which came last, `n` counts
 *   both (`sum`);
 * - its trades, inserted without a key, so one that is written twice is there twice;
 * - a transfer between two of the accounts that all writers share: `available` and `transfers` are
 *   sums;
 * - a price: its highest version stays, whoever writes last (`guard`);
 * - if the test asks for it, now and then a group that the server refuses, which leaves no row.
 *
 * It is loaded by path and needs only the extension and `Child`.
 */
final class Load
{
    public const ACCOUNTS = 'wb_chaos_accounts';
    public const PRICES = 'wb_chaos_prices';
    public const ACCOUNT_COUNT = 50;
    public const ROWS_PER_STEP = 6 + Child::TRADES_PER_ORDER - 1;

    /** How many orders a writer may have. The second half is for refused ones. */
    private const ORDERS_PER_WRITER = 1_000_000;
    private const STEPS_UNTIL_AGAIN = 10;
    /**
     * A writer rests while this many rows wait, so that the end of a test is short after an outage.
     */
    private const PENDING_MAX = 6_000;
    private const END_TIMEOUT_S = 180.0;

    /** @return array<string, string> the tables beside Child's, and their definitions */
    public static function definitions(): array
    {
        return [
            self::ACCOUNTS => 'id INT PRIMARY KEY, available DECIMAL(20,4) NOT NULL DEFAULT 0,'
                . ' transfers BIGINT NOT NULL DEFAULT 0',
            self::PRICES => 'id INT PRIMARY KEY, version BIGINT NOT NULL, v VARCHAR(40) NOT NULL',
        ];
    }

    /** @return array<string, array<string, mixed>> the tables' rules */
    public static function rules(): array
    {
        return [
            Child::ORDERS => ['merge' => ['n' => 'sum']],
            self::ACCOUNTS => ['merge' => ['available' => 'sum', 'transfers' => 'sum']],
            self::PRICES => ['guard' => 'version'],
        ];
    }

    public static function buffer(mixed ...$settings): \WriteBuffer
    {
        return Child::buffer(...$settings + [
            'batchSize' => 12,
            'flushIntervalMs' => 5,
            // In the foreground nobody waits for room.
            'overflowTimeoutMs' => ($settings['background'] ?? true) ? 120_000 : null,
            'shutdownTimeoutMs' => 120_000,
            'tables' => self::rules(),
        ]);
    }

    public static function orderId(int $writer, int $step): int
    {
        return $writer * self::ORDERS_PER_WRITER + $step;
    }

    public static function refusedId(int $writer, int $step): int
    {
        return self::orderId($writer, $step) + intdiv(self::ORDERS_PER_WRITER, 2);
    }

    /** @return list<array{id: int, v: string, n: int}> */
    public static function orders(int $writer, int $step): array
    {
        $orders = [['id' => self::orderId($writer, $step), 'v' => 'new', 'n' => 1]];
        if ($step > self::STEPS_UNTIL_AGAIN) {
            $orders[] = ['id' => self::orderId($writer, $step - self::STEPS_UNTIL_AGAIN), 'v' => "at {$step}", 'n' => 1];
        }

        return $orders;
    }

    /**
     * The order is too long for its column, and no later row replaces it. The trades beside it are
     * good.
     *
     * @return array{array{id: int, v: string, n: int}, list<array{id: int, order_id: int}>}
     */
    public static function refusedGroup(int $writer, int $step): array
    {
        $id = self::refusedId($writer, $step);

        return [['id' => $id, 'v' => str_repeat('x', 21), 'n' => 1], Child::trades($id)];
    }

    /** @return array{int, int, int} from, to, how many ten-thousandths */
    public static function transfer(int $writer, int $step): array
    {
        $from = ($step * 7 + $writer) % self::ACCOUNT_COUNT;
        $to = ($from + 1 + $step % (self::ACCOUNT_COUNT - 1)) % self::ACCOUNT_COUNT;

        return [$from, $to, 1 + $step * 31 % 99_991];
    }

    /** @return list<array{id: int, available: string, transfers: int}> */
    public static function accounts(int $writer, int $step): array
    {
        [$from, $to, $amount] = self::transfer($writer, $step);
        $rows = [
            ['id' => $from, 'available' => self::decimal(-$amount), 'transfers' => 1],
            ['id' => $to, 'available' => self::decimal($amount), 'transfers' => 1],
        ];

        // Two writers name the same accounts in opposite orders.
        return $writer % 2 === 0 ? $rows : array_reverse($rows);
    }

    /** @return array{id: int, version: int, v: string} */
    public static function price(int $writer, int $step): array
    {
        return [
            'id' => $step % self::ACCOUNT_COUNT,
            // Now one writer is ahead, now the other.
            'version' => ($step + ($writer * 37 + $step) % 50) * 10 + $writer,
            'v' => "of {$writer} at {$step}",
        ];
    }

    public static function decimal(int $tenThousandths): string
    {
        $digits = str_pad((string) abs($tenThousandths), 5, '0', STR_PAD_LEFT);

        return ($tenThousandths < 0 ? '-' : '') . substr($digits, 0, -4) . '.' . substr($digits, -4);
    }

    /**
     * Takes steps until the test says `stop`, but at least $stepsMin. Then waits until all is
     * written.
     */
    public static function run(
        \WriteBuffer $buffer,
        int $writer,
        int $stepsMin,
        int $pauseUs = 200,
        int $refusedEvery = 0,
        bool $repeatsRefused = false,
    ): void {
        $stopping = false;
        for ($step = 0; !$stopping || $step < $stepsMin;) {
            $stopping = self::obey($buffer) || $stopping;
            if (count($buffer) > self::PENDING_MAX) {
                usleep(1_000);
                self::poke($buffer);
                continue;
            }
            $step++;
            foreach (self::calls($buffer, $writer, $step) as $call) {
                self::takeAtLast($call, $repeatsRefused);
            }
            if ($refusedEvery > 0 && $step % $refusedEvery === 0) {
                self::take(static fn () => $buffer->add(...self::refusedGroup($writer, $step)));
            }
            usleep($pauseUs);
        }
        Child::await('all written', static function () use ($buffer): bool {
            self::obey($buffer);
            self::poke($buffer);

            return count($buffer) === 0;
        }, self::END_TIMEOUT_S);
        $failures = $buffer->takeFailures();
        Child::report('failures', array_map(self::summary(...), $failures));
        Child::report('given up', array_map(self::rows(...), $failures));
        Child::report('metrics', $buffer->getMetrics());
        Child::report('steps', $step);
        $buffer->close();
    }

    /**
     * @param array{rows: list<array{table: string, row: array<string, mixed>}>, code: int} $failure
     *
     * @return array{int, int, int} the server's code, the order's number, how many rows
     */
    private static function summary(array $failure): array
    {
        return [$failure['code'], $failure['rows'][0]['row']['id'], count($failure['rows'])];
    }

    /**
     * @param array{rows: list<array{table: string, row: array<string, mixed>}>} $failure
     *
     * @return array{string, list<array<string, mixed>>} the table of the first row, and all rows
     */
    private static function rows(array $failure): array
    {
        return [$failure['rows'][0]['table'], array_column($failure['rows'], 'row')];
    }

    /** @return list<callable(): void> */
    private static function calls(\WriteBuffer $buffer, int $writer, int $step): array
    {
        $calls = [
            static fn () => $buffer->add(self::orders($writer, $step), Child::trades(self::orderId($writer, $step))),
            static fn () => $buffer->put(self::ACCOUNTS, self::accounts($writer, $step)),
            static fn () => $buffer->put(self::PRICES, self::price($writer, $step)),
        ];

        // A transaction writes its tables in the order of their first use. Half of the writers have
        // another order.
        return $writer % 2 === 0 ? $calls : array_reverse($calls);
    }

    /**
     * Makes a call that takes rows. In the foreground it may flush, and throw although it took
     * them.
     */
    private static function take(callable $call): void
    {
        try {
            $call();
        } catch (\WriteBuffer\ConnectionException | \WriteBuffer\FlushException | \WriteBuffer\TimeoutException) {
            // Taken, and still buffered: a later flush writes them.
        }
    }

    /** The same. If the rows were not taken, the call is repeated, if the test wants it. */
    private static function takeAtLast(callable $call, bool $repeats): void
    {
        $deadline = hrtime(true) + self::END_TIMEOUT_S * 1e9;
        while (true) {
            try {
                self::take($call);

                return;
            } catch (\WriteBuffer\ConfigException $refused) {
                if (!$repeats || hrtime(true) > $deadline) {
                    throw $refused;
                }
                usleep(1_000);
            }
        }
    }

    /** In the foreground only a call writes. */
    private static function poke(\WriteBuffer $buffer): void
    {
        if ($buffer->getMetrics()['thread_state'] === 'none' && count($buffer) > 0) {
            self::take($buffer->flush(...));
        }
    }

    /** Does what the test says, if it says anything. Returns whether it said `stop`. */
    private static function obey(\WriteBuffer $buffer): bool
    {
        $read = [STDIN];
        $write = $except = null;
        if (stream_select($read, $write, $except, 0) !== 1) {
            return false;
        }
        $word = Child::hear();
        if ($word === 'stop') {
            return true;
        }
        Child::report("metrics {$word}", $buffer->getMetrics());

        return false;
    }
}
