<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** What became of a program: nothing, or a difference between the two sides. */
final class Outcome
{
    /** The buffer refuses a table by a documented rule, and the server would take the rows. */
    public const RESTRICTED = 'restricted';

    /**
     * @param ?string $kind       null: both sides are equal
     * @param string  $difference for people
     * @param int     $refused    how many groups both sides refused
     */
    public function __construct(
        public readonly ?string $kind = null,
        public readonly string $difference = '',
        public readonly int $refused = 0,
    ) {
    }
}
