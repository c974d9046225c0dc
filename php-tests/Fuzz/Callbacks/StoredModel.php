<?php

namespace WriteBuffer\Tests\Fuzz\Callbacks;

use WriteBuffer\Tests\Fuzz\World;

/** A model that says what has changed, if it has a mind to. */
class StoredModel extends Model
{
    /** @var mixed */
    public $exists = true;

    public function getDirty()
    {
        World::mutate();
        $this->exists = World::pick(3) > 0;
        if (!is_array($this->attributes)) {
            return $this->attributes;
        }
        $dirty = $this->attributes;
        unset($dirty['id'], $dirty['a']);
        World::mutate();

        return $dirty;
    }
}
