<?php

declare(strict_types=1);

namespace App\Simulation;

/**
 * Owns a generator of random numbers (xorshift64). A seed makes the same numbers on every PHP
 * version, and no other code advances the generator, unlike mt_rand().
 */
final class Random
{
    private int $state;

    public function __construct(int $seed)
    {
        // A hash spreads similar seeds. xorshift must not begin with the state 0.
        $this->state = unpack('q', hash('sha256', (string) $seed, true))[1] ?: 1;
    }

    public function int(int $min, int $max): int
    {
        $x = $this->state;
        $x ^= $x << 13;
        // PHP's right shift keeps the sign; the mask makes it unsigned.
        $x ^= ($x >> 7) & 0x01FFFFFFFFFFFFFF;
        $x ^= $x << 17;
        $this->state = $x;

        return $min + ($x & PHP_INT_MAX) % ($max - $min + 1);
    }

    public function isChance(int $percent): bool
    {
        return $this->int(1, 100) <= $percent;
    }

    /** How many chances in a row came true: most often 0. */
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
