<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\Given;
use WriteBuffer\Tests\Fuzz\World;

/** @implements \IteratorAggregate<int, mixed> */
final class Aggregate implements \IteratorAggregate
{
    /** @param list<mixed> $rows */
    public function __construct(private $rows)
    {
    }

    public function getIterator(): \Iterator
    {
        World::mutate();

        return World::pick(2) === 0 ? new Rows($this->rows) : Given::generator($this->rows);
    }
}
