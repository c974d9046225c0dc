<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

/** Numbers that follow from a seed, whatever the PHP. */
final class Draws
{
    private int $number = 0;

    public function __construct(private int $seed)
    {
    }

    public function below(int $count): int
    {
        return crc32("{$this->seed}/" . $this->number++) % $count;
    }

    public function between(float $least, float $most): float
    {
        return $least + ($most - $least) * $this->below(1_000_000) / 1_000_000;
    }
}
