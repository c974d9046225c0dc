<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

/**
 * What is done to the tables and to the server, and when: a function of the seed and the duration.
 * Each harm has an end, and another one of its table follows later.
 */
final class Schedule
{
    /** Harms last longer than the workers' `parkTimeoutMs` now and then. */
    public const PARK_TIMEOUT_MS = 3_000;

    private const RESTARTS_PER_S = 1 / 60;
    private const RESTARTS_MIN = 2;

    /** How each table is harmed, and how that ends. */
    private const HARMS = [
        Tables::DROPPED => ['drop', 'create'],
        Tables::REMADE => ['drop', 'create'],
        Tables::RENAMED => ['rename', 'rename back'],
        Tables::COLUMNS => ['drop column', 'add column'],
        Tables::RIGHTS => ['revoke', 'grant'],
        Tables::LOCKED => ['lock', 'unlock'],
    ];

    /**
     * @return list<array{at: float, do: string, table: string, variant: int}> by time, in seconds.
     *         The time that a restart takes is not counted
     */
    public static function of(int $seed, float $durationS): array
    {
        $random = new Draws($seed);
        $events = [];
        foreach (self::HARMS as $table => [$harm, $end]) {
            $at = $random->between(0.2, 3.0);
            while ($at < $durationS) {
                $variant = $random->below(1_000);
                $events[] = ['at' => $at, 'do' => $harm, 'table' => $table, 'variant' => $variant];
                $at += $random->below(4) === 0 ? $random->between(4.0, 6.0) : $random->between(0.3, 2.5);
                $events[] = ['at' => $at, 'do' => $end, 'table' => $table, 'variant' => $variant];
                $at += $random->between(1.0, 8.0);
            }
        }
        $restarts = (int) max(self::RESTARTS_MIN, $durationS * self::RESTARTS_PER_S);
        for ($number = 0; $number < $restarts; $number++) {
            $part = $durationS / $restarts;
            $at = $part * ($number + $random->between(0.2, 0.9));
            $do = $number % 2 === 0 ? 'kill' : 'restart';
            $events[] = ['at' => $at, 'do' => $do, 'table' => '', 'variant' => 0];
        }
        usort($events, static fn (array $a, array $b): int => $a['at'] <=> $b['at']);

        return $events;
    }
}
