<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** @implements \Iterator<int, mixed> */
final class Rows implements \Iterator, \ArrayAccess
{
    private int $at = 0;

    /** @param list<mixed> $rows */
    public function __construct(private $rows)
    {
        World::$parts[] = &$this->rows;
    }

    public function current(): mixed
    {
        World::mutate();

        return $this[$this->at];
    }

    public function key(): mixed
    {
        World::mutate();

        return "\xff{$this->at}";
    }

    public function next(): void
    {
        World::mutate();
        $this->at++;
    }

    public function rewind(): void
    {
        World::mutate();
        $this->at = 0;
    }

    public function valid(): bool
    {
        World::mutate();

        return $this->at < 4;
    }

    public function offsetExists(mixed $offset): bool
    {
        return isset($this->rows[$offset]);
    }

    public function offsetGet(mixed $offset): mixed
    {
        World::mutate();

        return $this->rows[$offset] ?? ['id' => 1, 'a' => World::text()];
    }

    public function offsetSet(mixed $offset, mixed $value): void
    {
    }

    public function offsetUnset(mixed $offset): void
    {
    }
}
