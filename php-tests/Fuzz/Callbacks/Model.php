<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A row by accessors, as an Eloquent model. */
class Model
{
    /** @param mixed $attributes */
    public function __construct(public $attributes)
    {
    }

    public function getTable(): string
    {
        World::mutate();

        return 't';
    }

    public function getKeyName(): string
    {
        World::mutate();

        return 'id';
    }

    public function getAttributes()
    {
        World::mutate();

        return $this->attributes;
    }
}
