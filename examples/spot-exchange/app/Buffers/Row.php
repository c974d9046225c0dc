<?php

declare(strict_types=1);

namespace App\Buffers;

/**
 * What a buffer can save. These are the methods of an Eloquent model by which the extension knows one, so that models
 * and the exchange's own light objects go the same way.
 */
interface Row
{
    public function getTable(): string;

    /** The key's column; of a composite key the first. */
    public function getKeyName(): string;

    /** @return array<string, int|string|null> the columns */
    public function getAttributes(): array;
}
