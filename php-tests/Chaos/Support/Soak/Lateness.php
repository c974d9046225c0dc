<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use RuntimeException;

/**
 * How late rows of healthy tables were: the time from the call that added them to their COMMIT.
 *
 * A COMMIT lies between two looks of the {@see Watcher}, so each figure has a least and a most. All
 * times are of one clock, hrtime()'s. Rows that met an outage of the server stand apart: they count
 * from its return. An outage lasts from the signal to the first answer of the server to the
 * watcher. A row that was added shortly after it has met it, too: its buffer may not have noticed
 * yet that the server is back.
 */
final class Lateness
{
    public const UP = 'the server up';
    public const AFTER_RESTART = 'after a restart';

    /** The tables that the watcher looks at, and the slots of their rows. */
    public const TABLES = [Tables::ORDERS => 'order', Tables::TRADES => 'order', Tables::TICKS => 'tick'];

    /** What docs/guarantees.md promises: connected again within two seconds. */
    private const RECONNECT_NS = 2_000_000_000;

    /** Up to so long after a lock rows may be late because of it. */
    private const NEAR_NS = 5_000_000_000;

    /** @var array<string, array<int, array<int, int>>> by slot, worker, step: when it was added */
    private array $added = [];

    /** @var list<array{int, int}> from the signal to the first answer */
    private array $outages = [];

    /** @var array<string, list<array{int, int}>> by kind: least and most, in nanoseconds */
    private array $found = [];

    /** @var list<int> the times between two looks, in nanoseconds */
    private array $errors = [];

    /** @var list<int> how long a COMMIT by plain PDO took, in nanoseconds */
    private array $beats = [];

    /** @var array<string, int> rows that were later than the mark, by what went on then */
    private array $late = [];

    /**
     * @param array<int, WorkerLog> $workers  by number
     * @param string                $watcher  its log
     * @param list<int>             $restarts when the server got a signal
     */
    public function __construct(array $workers, string $watcher, array $restarts, private Harm $harm, private int $markMs)
    {
        foreach ($workers as $worker => $log) {
            foreach ($log->read() as $step => $groups) {
                foreach (array_unique(self::TABLES) as $slot) {
                    $this->added[$slot][$worker][$step] = $groups[$slot][0];
                }
            }
        }
        $lines = file($watcher, FILE_IGNORE_NEW_LINES) ?: throw new RuntimeException("{$watcher} is empty");
        foreach ($restarts as $from) {
            $this->outages[] = [$from, self::return($lines, $from)];
        }
        foreach ($lines as $line) {
            $words = explode(' ', $line);
            if ($words[0] === 'beat') {
                $this->beats[] = (int) $words[2] - (int) $words[1];
            } elseif ($words[0] !== 'up') {
                $this->take($words[0], (int) $words[1], (int) $words[2], (int) $words[3], (int) $words[4]);
            }
        }
    }

    /** @param list<string> $lines */
    private static function return(array $lines, int $from): int
    {
        foreach ($lines as $line) {
            if (str_starts_with($line, 'up ') && (int) substr($line, 3) > $from) {
                return (int) substr($line, 3);
            }
        }
        throw new RuntimeException('the watcher has not seen the server again');
    }

    private function take(string $table, int $worker, int $step, int $least, int $most): void
    {
        $added = $this->added[self::TABLES[$table]][$worker][$step];
        $kind = self::UP;
        $from = $added;
        foreach ($this->outages as [$down, $up]) {
            if ($most >= $down && $added <= $up + self::RECONNECT_NS) {
                $kind = self::AFTER_RESTART;
                // It may have been committed after the signal, and before the server went.
                $from = $most > $up ? max($from, $up) : $from;
            }
        }
        $this->found[$kind][] = [max(0, $least - $from), $most - $from];
        if ($kind === self::UP) {
            $isNearLock = preg_grep('/^lock/', $this->harm->during($added - self::NEAR_NS, $most)) !== [];
            $this->found[$isNearLock ? '  near a lock' : '  far from locks'][] = [max(0, $least - $from), $most - $from];
            $this->found["  worker {$worker}"][] = [max(0, $least - $from), $most - $from];
            $this->errors[] = $most - $least;
            if ($most - $from > $this->markMs * 1e6) {
                $during = implode(' + ', $this->harm->during($added, $most)) ?: 'nothing';
                $this->late[$during] = ($this->late[$during] ?? 0) + 1;
            }
        }
    }

    /** How many rows there were. */
    public function count(string $kind): int
    {
        return count($this->found[$kind] ?? []);
    }

    /**
     * A percentile in milliseconds, of the most that the times may be, or of the least.
     *
     * @param float $part from 0 to 1
     */
    public function percentile(string $kind, float $part, bool $least = false): float
    {
        return self::of(array_column($this->found[$kind] ?? [], $least ? 0 : 1), $part);
    }

    /** @param list<int> $times in nanoseconds */
    private static function of(array $times, float $part): float
    {
        sort($times);

        return $times === [] ? 0.0 : $times[(int) ceil((count($times) - 1) * $part)] / 1e6;
    }

    /** @param list<int> $times in nanoseconds */
    private function figures(array $times): string
    {
        $figures = array_map(static fn (float $part): float => self::of($times, $part), [0.5, 0.99, 0.999, 1.0]);

        return vsprintf('p50 %.0f, p99 %.0f, p99.9 %.0f, max %.0f', $figures);
    }

    public function report(): string
    {
        $text = "how late rows of healthy tables were, in ms (a COMMIT is placed between two looks; the later counts)\n";
        $text .= sprintf("  %-16s %9s %8s %8s %8s %8s\n", '', 'rows', 'p50', 'p99', 'p99.9', 'max');
        krsort($this->found);
        foreach (array_keys($this->found) as $kind) {
            $text .= sprintf("  %-16s %9d", $kind, $this->count($kind));
            foreach ([0.5, 0.99, 0.999, 1.0] as $part) {
                $text .= sprintf(' %8.0f', $this->percentile($kind, $part));
            }
            $text .= "\n";
        }
        $text .= sprintf(
            "  between two looks: %s; by the earlier look p99.9 is %.0f\n",
            $this->figures($this->errors),
            $this->percentile(self::UP, 0.999, true),
        );
        $text .= "  a COMMIT of one row by plain PDO: {$this->figures($this->beats)}\n";
        $away = array_map(static fn (array $outage): int => $outage[1] - $outage[0], $this->outages);
        $text .= sprintf("  the server was away %d times, for %.0f ms at most\n", count($away), self::of($away, 1.0));
        arsort($this->late);
        foreach (array_slice($this->late, 0, 12) as $during => $count) {
            $text .= "  over {$this->markMs} ms: {$count} rows during {$during}\n";
        }

        return $text;
    }
}
