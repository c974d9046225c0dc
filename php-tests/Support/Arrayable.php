<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** An object whose row is its `toArray()`. */
final class Arrayable
{
    public function __construct(private mixed $array)
    {
    }

    public function toArray(): mixed
    {
        return $this->array instanceof \Closure ? ($this->array)() : $this->array;
    }
}
