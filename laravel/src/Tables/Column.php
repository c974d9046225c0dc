<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use DateTimeImmutable;

/** A column as the database describes it: its type, and what a row that leaves it out gets. */
final class Column
{
    private const INTEGERS = ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint'];

    public function __construct(
        public readonly string $name,
        /** The type's name in lower case, without its length. */
        public readonly string $type,
        /** Whether a new row must give it a value. */
        public readonly bool $isRequired,
        public readonly bool $hasDefault,
        /** Whether a row that leaves it out gets a new number, or NULL. */
        public readonly bool $isFilledUniquely,
        /** Digits after the point, of a number. */
        public readonly ?int $scale,
        /** Digits after the second, of a moment. */
        public readonly ?int $fractionDigits,
    ) {
    }

    /**
     * How many digits after the point its exact numbers have at most; null: its values are not
     * exact numbers.
     */
    public function exactScale(): ?int
    {
        if (in_array($this->type, self::INTEGERS, true)) {
            return 0;
        }

        return in_array($this->type, ['decimal', 'numeric'], true) ? $this->scale : null;
    }

    /** A moment as the column takes it: cut, since the server would round it. */
    public function moment(DateTimeImmutable $moment): string
    {
        return match ($this->type) {
            'date' => $moment->format('Y-m-d'),
            'time' => $moment->format('H:i:s') . $this->fraction($moment),
            'datetime', 'timestamp' => $moment->format('Y-m-d H:i:s') . $this->fraction($moment),
            default => $moment->format('Y-m-d H:i:s.u'),
        };
    }

    private function fraction(DateTimeImmutable $moment): string
    {
        return $this->fractionDigits > 0 ? '.' . substr($moment->format('u'), 0, $this->fractionDigits) : '';
    }
}
