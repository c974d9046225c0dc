<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use DateTimeImmutable;

/** A column as the database describes it: its type, and what a row that leaves it out gets. */
final class Column
{
    private const TEXTS = [
        'char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext', 'binary', 'varbinary', 'tinyblob', 'blob',
        'mediumblob', 'longblob', 'uuid',
    ];

    private const INTEGERS = ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint'];

    public function __construct(
        public readonly string $name,
        /** The type's name in lower case, without its length. */
        public readonly string $type,
        /** Whether a new row must give it a value. */
        public readonly bool $isRequired,
        /** Whether a row that leaves it out gets a new number, or NULL. */
        public readonly bool $isFilledUniquely,
        /** Digits after the point, of a number. */
        public readonly ?int $scale,
        /** Digits after the second, of a moment. */
        public readonly ?int $fractionDigits,
        /** Whether the database makes a number for a row that leaves it out. */
        public readonly bool $isNumbered,
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

    public function isText(): bool
    {
        return in_array($this->type, self::TEXTS, true);
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

    /**
     * The type by which CAST makes of a value what the column would hold; null: the database does
     * so where it compares the two.
     */
    public function sqlType(): ?string
    {
        $scale = $this->exactScale();
        $digits = (int) $this->fractionDigits;

        return match (true) {
            $scale !== null => "DECIMAL(65, {$scale})",
            $this->type === 'date' => 'DATE',
            $this->type === 'time' => "TIME({$digits})",
            in_array($this->type, ['datetime', 'timestamp'], true) => "DATETIME({$digits})",
            default => null,
        };
    }

    /**
     * The type by which a key is looked for as it is: as floating-point numbers, large ones are
     * equal to their neighbours.
     */
    public function sqlTypeToLookUp(): ?string
    {
        $scale = $this->exactScale();

        return $scale === null ? null : 'DECIMAL(65, ' . max(10, $scale) . ')';
    }

    private function fraction(DateTimeImmutable $moment): string
    {
        return $this->fractionDigits > 0 ? '.' . substr($moment->format('u'), 0, $this->fractionDigits) : '';
    }
}
