<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\Row;

/**
 * A group that waits for the end of its transaction, and the buffer that held it. Or a part of a
 * group that group() collects, which is released with the other parts.
 */
final class HeldGroup
{
    /** The part's number in its group. */
    private readonly int $part;

    /** @param list<Row> $rows */
    public function __construct(
        public readonly HeldGroupOwner $buffer,
        public readonly array $rows,
        private readonly ?OpenGroup $whole = null,
        private readonly ?string $tag = null,
    ) {
        $this->part = $whole === null ? 0 : $whole->parts++;
    }

    /** Whether it is a part of a group, from a number on. */
    public function isPartOf(OpenGroup $whole, int $from): bool
    {
        return $this->whole === $whole && $this->part >= $from;
    }

    /**
     * The groups of a transaction that was committed: the parts of one become one, in the place of
     * the first.
     *
     * @param list<self> $groups
     *
     * @return list<self>
     */
    public static function whole(array $groups): array
    {
        $whole = [];
        foreach ($groups as $group) {
            $id = $group->whole === null ? null : spl_object_id($group->whole);
            if ($id === null || !isset($whole["of {$id}"])) {
                $whole[$id === null ? count($whole) : "of {$id}"] = $group;
                continue;
            }
            $first = $whole["of {$id}"];
            $rows = [...$first->rows, ...$group->rows];
            $whole["of {$id}"] = new self($first->buffer, $rows, $first->whole, $first->tag ?? $group->tag);
        }

        return array_values($whole);
    }

    public function release(): void
    {
        if ($this->whole?->isOpen) {
            // The transaction ended before the group did.
            $this->whole->add($this->rows, $this->tag);
        } else {
            $this->buffer->addCommitted($this->rows, $this->whole?->tag ?? $this->tag);
        }
    }
}
