<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use WriteBuffer\Tests\Process\Support\Child;

/**
 * A process that writes until it is killed, and what it writes. After add() has returned it says so
 * in a log of its own, with one write: what stands there was taken.
 */
final class JournalWriter
{
    public const SUMS = 'wb_journal_sums';
    public const LAST = 'wb_journal_last';
    public const FLAKY = 'wb_journal_flaky';
    public const SUM_ROWS = 7;
    public const KEYS = 10;
    /** Numbers of one writer. */
    public const SPAN = 1_000_000;

    /** @return array<string, string> */
    public static function definitions(): array
    {
        return [
            self::SUMS => 'id INT PRIMARY KEY, n BIGINT NOT NULL',
            self::LAST => 'id INT PRIMARY KEY, step INT NOT NULL',
            // The only key is the order of arrival, so a row that is written twice is there twice.
            self::FLAKY => 'seq BIGINT AUTO_INCREMENT PRIMARY KEY, id BIGINT NOT NULL',
        ];
    }

    /** @return array<string, array<string, mixed>> */
    public static function rules(): array
    {
        return [
            Child::ORDERS => ['merge' => ['n' => 'sum']],
            self::SUMS => ['merge' => ['n' => 'sum']],
            self::FLAKY => ['mode' => 'insert'],
        ];
    }

    public static function buffer(mixed ...$settings): \WriteBuffer
    {
        return Child::buffer(...$settings + [
            'batchSize' => 20,
            'flushIntervalMs' => 5,
            'tables' => self::rules(),
            // Whatever the machine's speed: it waits for room.
            'overflowTimeoutMs' => 3_600_000,
            // A table that is away is waited for until it is back.
            'parkTimeoutMs' => 0,
        ]);
    }

    /** Writes until it is killed. */
    public static function run(\WriteBuffer $buffer, int $writer, string $log): never
    {
        $file = fopen($log, 'ab');
        stream_set_write_buffer($file, 0);
        Child::say('writing');
        for ($step = 1; true; $step++) {
            $id = $writer * self::SPAN + $step;
            $buffer->group(static function () use ($buffer, $writer, $step, $id): void {
                Child::add($buffer, $id);
                $buffer->put(self::LAST, ['id' => $writer * self::KEYS + $step % self::KEYS, 'step' => $step]);
                $buffer->put(self::SUMS, ['id' => $step % self::SUM_ROWS, 'n' => 1]);
                if ($step % 5 === 0) {
                    $buffer->put(self::FLAKY, ['id' => $id]);
                }
            });
            fwrite($file, pack('V', $step));
            if ($step % 20 === 0) {
                usleep(500);
            }
        }
    }

    /** Up to which step a writer has said that all was taken. */
    public static function saidSteps(string $log): int
    {
        return intdiv((int) @filesize($log), 4);
    }
}
