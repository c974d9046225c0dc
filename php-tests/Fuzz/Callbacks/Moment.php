<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A value that PHP formats. */
final class Moment extends \DateTimeImmutable
{
    public ?string $last = null;

    public function __clone(): void
    {
        World::mutate();
    }

    #[\ReturnTypeWillChange]
    public function setTimezone($timezone)
    {
        World::mutate();

        return World::pick(9) === 0 ? World::text() : parent::setTimezone($timezone);
    }

    public function format(string $format): string
    {
        World::mutate();
        $this->last = parent::format($format);

        return $this->last;
    }
}
