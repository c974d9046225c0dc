<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

/** A model with a save() of its own, without the trait by which a buffer could call it. */
final class ClosedItem extends Item
{
    public function save(array $options = [])
    {
        return parent::save($options);
    }
}
