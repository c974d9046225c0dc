<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use RuntimeException;

/**
 * What a worker wrote down about itself: a line a step, with the slot, the time before the call and
 * the outcome of each group. Times are hrtime()'s, which all processes of a machine share.
 */
final class WorkerLog
{
    /** The buffer has it, or has written it. */
    public const TAKEN = 't';
    /** Neither was it taken, nor is any of it in a table. */
    public const REFUSED = 'r';
    /** Only the tables know: a SyncWriteBuffer lost its server. All of it is there, or nothing. */
    public const MAYBE = 'm';

    public function __construct(private string $path)
    {
    }

    /** How many steps it has. The worker may still write. */
    public function steps(): int
    {
        $tail = (string) shell_exec('tail -n 1 ' . escapeshellarg($this->path));

        return (int) $tail;
    }

    /**
     * @return iterable<int, array<string, array{int, string}>> by step and slot: when the call
     *         began, in nanoseconds, and its outcome
     */
    public function read(): iterable
    {
        $file = fopen($this->path, 'r') ?: throw new RuntimeException("cannot read {$this->path}");
        while (($line = fgets($file)) !== false) {
            if (!str_ends_with($line, "\n")) {
                throw new RuntimeException("{$this->path} is torn: {$line}");
            }
            $parts = explode(' ', rtrim($line));
            $step = (int) array_shift($parts);
            $groups = [];
            foreach ($parts as $part) {
                [$slot, $before, $outcome] = explode(':', $part);
                $groups[$slot] = [(int) $before, $outcome];
            }
            yield $step => $groups;
        }
        fclose($file);
    }
}
