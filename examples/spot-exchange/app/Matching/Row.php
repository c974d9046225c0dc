<?php

declare(strict_types=1);

namespace App\Matching;

/**
 * What the exchange saves. A buffer knows an Eloquent model by these methods, so it takes the
 * exchange's small objects in the same way.
 */
interface Row
{
    public function getTable(): string;

    /** The key's column, or the first one of a composite key. */
    public function getKeyName(): string;

    /** @return array<string, int|string|null> the columns */
    public function getAttributes(): array;
}
