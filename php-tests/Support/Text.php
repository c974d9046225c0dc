<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** A value with a `__toString()` that may do anything. */
final class Text implements \Stringable
{
    /** @param string|\Closure(): string $text */
    public function __construct(private string|\Closure $text)
    {
    }

    public function __toString(): string
    {
        return $this->text instanceof \Closure ? ($this->text)() : $this->text;
    }
}
