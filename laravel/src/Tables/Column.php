<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use DateTimeImmutable;

/** A column as the database describes it. */
final class Column
{
    private const INTEGERS = ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint'];

    public function __construct(
        public readonly string $name,
        /** The type's name in small letters, without its length. */
        public readonly string $type,
        /** Whether a new row must give it a value. */
        public readonly bool $isRequired,
        public readonly bool $hasDefault,
        /** Whether the server fills it with a fresh number, or with NULL, where a row leaves it out. */
        public readonly bool $isFilledUniquely,
        /** Digits behind the point, of a number. */
        public readonly ?int $scale,
        /** Digits behind the second, of a moment. */
        public readonly ?int $fractionDigits,
    ) {
    }

    /** Whether the column holds exact numbers, and with how many digits behind the point at most. */
    public function exactScale(): ?int
    {
        if (in_array($this->type, self::INTEGERS, true)) {
            return 0;
        }

        return in_array($this->type, ['decimal', 'numeric'], true) ? $this->scale : null;
    }

    /** A moment as the column takes it: cut, not rounded, which is what the server would do. */
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
