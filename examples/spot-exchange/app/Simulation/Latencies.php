<?php

declare(strict_types=1);

namespace App\Simulation;

/** Owns how long calls took, and their percentiles. */
final class Latencies
{
    /** @var list<int> */
    private array $durationsNs = [];

    private bool $isSorted = true;

    public function add(int $durationNs): void
    {
        $this->durationsNs[] = $durationNs;
        $this->isSorted = false;
    }

    /**
     * The smallest duration that this share of calls did not exceed, in microseconds; 0: no calls.
     */
    public function percentileUs(int $percent): float
    {
        if (!$this->isSorted) {
            sort($this->durationsNs);
            $this->isSorted = true;
        }
        $rank = intdiv(count($this->durationsNs) * $percent + 99, 100);

        return ($this->durationsNs[max(0, $rank - 1)] ?? 0) / 1000;
    }
}
