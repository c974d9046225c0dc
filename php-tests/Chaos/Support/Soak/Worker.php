<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use RuntimeException;
use WriteBuffer\Tests\Process\Support\Child;

/**
 * A process that adds the groups of a worker, at its pace, until the test says `stop`. Then its
 * script ends, and so does its buffer. What it added stands in a log of its own:
 * {@see WorkerLog}.
 */
final class Worker
{
    private const TAKE_FAILURES_EVERY = 100;
    private const FLUSH_TIMEOUT_MS = 200;

    /** @var resource */
    private $log;

    /** @param int $flushEvery steps between two calls of flush(); 0: none */
    public function __construct(
        private \WriteBuffer\Buffer $buffer,
        private Groups $groups,
        string $log,
        private int $stepMs,
        private int $flushEvery = 0,
    ) {
        $this->log = fopen($log, 'a') ?: throw new RuntimeException("cannot write to {$log}");
    }

    public function run(): void
    {
        Child::say('ready');
        Child::hear();
        $start = hrtime(true);
        for ($step = 1; !self::isStopped(); $step++) {
            $due = $start + $step * $this->stepMs * 1_000_000;
            usleep((int) max(0, ($due - hrtime(true)) / 1_000));
            $this->step($step);
        }
        Child::report('metrics', $this->buffer->getMetrics());
        Child::report('stopped', hrtime(true));
    }

    private function step(int $step): void
    {
        $line = (string) $step;
        foreach ($this->groups->at($step) as $slot => $group) {
            $before = hrtime(true);
            $outcome = $this->outcome($group);
            $line .= " {$slot}:{$before}:{$outcome}";
        }
        if (fwrite($this->log, "{$line}\n") !== strlen($line) + 1) {
            throw new RuntimeException('the log is not whole');
        }
        if ($step % self::TAKE_FAILURES_EVERY === 0) {
            $this->buffer->takeFailures();
        }
        if ($this->flushEvery > 0 && $step % $this->flushEvery === 0) {
            try {
                $this->buffer->flush(self::FLUSH_TIMEOUT_MS);
            } catch (\WriteBuffer\ConnectionException | \WriteBuffer\FlushException | \WriteBuffer\TimeoutException) {
                // The rows are buffered still, or in the file.
            }
        }
    }

    /**
     * Adds a group.
     *
     * @param list<array{table: string, row: array<string, int|string>}> $group
     *
     * @return string what the contract says of it, from {@see WorkerLog}
     */
    private function outcome(array $group): string
    {
        $isSync = $this->buffer instanceof \SyncWriteBuffer;
        try {
            Groups::add($this->buffer, $group);
        } catch (\WriteBuffer\RefusedException $e) {
            $isUncertain = array_column($e->getFailures(), 'status') === ['uncertain'];

            return $isSync ? ($isUncertain ? WorkerLog::MAYBE : WorkerLog::REFUSED) : WorkerLog::TAKEN;
        } catch (\WriteBuffer\NotTaken) {
            return WorkerLog::REFUSED;
        } catch (\WriteBuffer\Retryable) {
            return WorkerLog::TAKEN;
        }

        return WorkerLog::TAKEN;
    }

    private static function isStopped(): bool
    {
        $read = [STDIN];
        $write = $except = null;

        return stream_select($read, $write, $except, 0) === 1 && Child::hear() === 'stop';
    }
}
