<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A row whose attributes are the model's own. */
final class ModelByReference extends Model
{
    public function &getAttributes()
    {
        World::$parts[] = &$this->attributes;
        World::mutate();

        return $this->attributes;
    }
}
