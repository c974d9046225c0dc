<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** A model whose row is there, and which does not say what of it has changed. */
final class StoredModel
{
    public bool $exists = true;

    /** @param array<string, mixed> $attributes */
    public function __construct(private readonly array $attributes)
    {
    }

    /** @return array<string, mixed> */
    public function getAttributes(): array
    {
        return $this->attributes;
    }
}
