<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

/** What a call of group() has collected so far. */
final class OpenGroup
{
    /** @var list<Row> */
    public array $rows = [];

    /** How often rows were added, also such as wait for a transaction's end and are not here. */
    public int $parts = 0;

    /** Whether its callable still runs. */
    public bool $isOpen = true;

    /** What the rows take, as their buffer counts it. */
    public int $bytes = 0;

    /** The first tag that the group was given. */
    public ?string $tag = null;

    /** @param list<Row> $rows */
    public function add(array $rows, ?string $tag = null): void
    {
        $this->parts++;
        $this->tag ??= $tag;
        foreach ($rows as $row) {
            $this->rows[] = $row;
            $this->bytes += $row->bytes();
        }
    }

    /** Takes back the rows behind the first ones. */
    public function truncate(int $size): void
    {
        foreach (array_splice($this->rows, $size) as $row) {
            $this->bytes -= $row->bytes();
        }
    }
}
