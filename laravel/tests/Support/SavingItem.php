<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** The same model, with a save() of its own. */
final class SavingItem extends Item
{
    use BuffersWrites;

    public function save(array $options = [])
    {
        $this->quantity = (int) $this->quantity + 100;

        return parent::save($options);
    }
}
