<?php

declare(strict_types=1);

namespace App\Matching;

/**
 * What the exchange saves. These are the methods of an Eloquent model by which a buffer knows one, so that models and the
 * exchange's own light objects go the same way.
 */
interface Row
{
    public function getTable(): string;

    /** The key's column; of a composite key the first. */
    public function getKeyName(): string;

    /** @return array<string, int|string|null> the columns */
    public function getAttributes(): array;
}
