<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** Random choices that a seed repeats. */
final class Dice
{
    public static function seed(int $seed): void
    {
        mt_srand($seed);
    }

    public static function percent(int $chance): bool
    {
        return mt_rand(1, 100) <= $chance;
    }

    /**
     * @template T
     *
     * @param non-empty-array<T> $choices
     *
     * @return T
     */
    public static function pick(array $choices): mixed
    {
        return array_values($choices)[mt_rand(0, count($choices) - 1)];
    }

    /**
     * The values that stand beside the weights, each as likely as its weight says.
     *
     * @param non-empty-array<string, int> $weights
     */
    public static function weighted(array $weights): string
    {
        $left = mt_rand(1, array_sum($weights));
        foreach ($weights as $choice => $weight) {
            $left -= $weight;
            if ($left <= 0) {
                return (string) $choice;
            }
        }
        throw new \LogicException('no weights');
    }
}
