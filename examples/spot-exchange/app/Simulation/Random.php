<?php

declare(strict_types=1);

namespace App\Simulation;

/**
 * A generator of random numbers (xorshift64) that gives the same numbers for the same seed on every PHP version, and
 * that no other code advances, unlike mt_rand().
 */
final class Random
{
    private int $state;

    public function __construct(int $seed)
    {
        // A hash spreads seeds that differ little, and is not the one state that xorshift must not have, 0.
        $this->state = unpack('q', hash('sha256', (string) $seed, true))[1] ?: 1;
    }

    public function int(int $min, int $max): int
    {
        $x = $this->state;
        $x ^= $x << 13;
        // PHP shifts the sign in from the left; the mask makes the shift unsigned.
        $x ^= ($x >> 7) & 0x01FFFFFFFFFFFFFF;
        $x ^= $x << 17;
        $this->state = $x;

        return $min + ($x & PHP_INT_MAX) % ($max - $min + 1);
    }

    public function isChance(int $percent): bool
    {
        return $this->int(1, 100) <= $percent;
    }

    /** How often a chance came true before it first did not: 0 is the most frequent. */
    public function streak(int $percent, int $max): int
    {
        $length = 0;
        while ($length < $max && $this->isChance($percent)) {
            $length++;
        }

        return $length;
    }

    /**
     * @template T
     *
     * @param non-empty-list<T> $choices
     *
     * @return T
     */
    public function oneOf(array $choices): mixed
    {
        return $choices[$this->int(0, count($choices) - 1)];
    }
}
