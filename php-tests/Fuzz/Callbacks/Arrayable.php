<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** Rows by `toArray()`, which are the object's own. */
final class Arrayable
{
    /** @param mixed $rows */
    public function __construct(private $rows)
    {
    }

    public function &toArray()
    {
        World::$parts[] = &$this->rows;
        World::mutate();

        return $this->rows;
    }
}
