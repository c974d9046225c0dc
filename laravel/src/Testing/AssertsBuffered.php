<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Testing;

use Brick\Math\BigDecimal;
use Closure;
use DateTimeImmutable;
use Illuminate\Database\Eloquent\Model;
use PHPUnit\Framework\Assert as PHPUnit;
use WriteBuffer\Laravel\Rows\KeyForm;
use WriteBuffer\Laravel\Rows\Row;

/**
 * Owns the assertions of a fake. They look in a table for any row (null), for a row with columns
 * and values (an array), for a row that a closure accepts, or for a number of rows. Deletions are
 * looked for by their key, and are no rows to the other assertions. A failure prints what was
 * buffered.
 */
trait AssertsBuffered
{
    /** @return list<Row> */
    abstract public function buffered(): array;

    /** @return list<list<Row>> */
    abstract public function groups(): array;

    abstract public function flushes(): int;

    /** @param array<string, mixed>|(Closure(array<string, mixed>): bool)|int|null $expected */
    public function assertBuffered(string $table, array|Closure|int|null $expected = null): void
    {
        $table = self::tableOf($table);
        if (is_int($expected)) {
            $this->assertBufferedCount($expected, $table);

            return;
        }
        PHPUnit::assertNotSame(
            [],
            $this->matching($table, $expected),
            "No row of the table [{$table}]" . self::describe($expected) . " was buffered.\n"
                . $this->difference($table, $expected) . $this->describeBuffered(),
        );
    }

    /** @param array<string, mixed>|(Closure(array<string, mixed>): bool)|null $unexpected */
    public function assertNotBuffered(string $table, array|Closure|null $unexpected = null): void
    {
        $table = self::tableOf($table);
        PHPUnit::assertSame(
            0,
            count($this->matching($table, $unexpected)),
            "A row of the table [{$table}]" . self::describe($unexpected) . " was buffered.\n"
                . $this->describeBuffered(),
        );
    }

    /** @param string|null $table null: all tables */
    public function assertBufferedCount(int $count, ?string $table = null): void
    {
        $table = $table === null ? null : self::tableOf($table);
        $rows = array_filter(
            $this->buffered(),
            static fn (Row $row): bool => !$row->isDeletion && ($table === null || $row->table === $table),
        );
        $found = count($rows);
        PHPUnit::assertSame(
            $count,
            $found,
            "{$found} rows" . ($table === null ? '' : " of the table [{$table}]")
                . " were buffered instead of {$count}.\n" . $this->describeBuffered(),
        );
    }

    /** No rows, and no deletions. */
    public function assertNothingBuffered(): void
    {
        $found = count($this->buffered());
        PHPUnit::assertSame(0, $found, "{$found} rows were buffered instead of 0.\n" . $this->describeBuffered());
    }

    /**
     * @param array<string, mixed>|(Closure(array<string, mixed>): bool)|int|string|null $key
     *        as for delete(); an array, by name, may have some of its columns; null: any
     */
    public function assertDeleted(string $table, array|Closure|int|string|null $key = null): void
    {
        $table = self::tableOf($table);
        PHPUnit::assertNotSame(
            [],
            $this->deletions($table, $key),
            "Nothing was deleted from the table [{$table}]" . self::describeKey($key) . ".\n" . $this->describeBuffered(),
        );
    }

    /** @param array<string, mixed>|(Closure(array<string, mixed>): bool)|int|string|null $key */
    public function assertNotDeleted(string $table, array|Closure|int|string|null $key = null): void
    {
        $table = self::tableOf($table);
        PHPUnit::assertSame(
            [],
            $this->deletions($table, $key),
            "A row of the table [{$table}]" . self::describeKey($key) . " was deleted.\n" . $this->describeBuffered(),
        );
    }

    /**
     * One group has a row of each table: what is in a group is written together, or not at all.
     *
     * @param array<string, array<string, mixed>|(Closure(array<string, mixed>): bool)|null>
     *        $expected by table
     */
    public function assertGrouped(array $expected): void
    {
        $expected = array_combine(array_map(self::tableOf(...), array_keys($expected)), $expected);
        $isWhole = fn (array $rows): bool => array_filter(
            array_keys($expected),
            fn (string $table): bool => self::rowsOf($rows, $table, $expected[$table]) === [],
        ) === [];
        PHPUnit::assertNotSame(
            [],
            array_filter($this->groups(), $isWhole),
            'No group has a row of each of the tables [' . implode(', ', array_keys($expected)) . "].\n"
                . $this->describeBuffered(),
        );
    }

    /** @param int|null $times null: at least once */
    public function assertFlushed(?int $times = null): void
    {
        $flushes = $this->flushes();
        if ($times === null) {
            PHPUnit::assertGreaterThan(0, $flushes, "The buffer was not flushed.\n" . $this->describeBuffered());

            return;
        }
        PHPUnit::assertSame(
            $times,
            $flushes,
            "The buffer was flushed {$flushes} times instead of {$times}.\n" . $this->describeBuffered(),
        );
    }

    public function assertNotFlushed(): void
    {
        $this->assertFlushed(0);
    }

    /**
     * @param array<string, mixed>|Closure|null $expected
     *
     * @return list<Row>
     */
    private function matching(string $table, array|Closure|null $expected): array
    {
        return self::rowsOf($this->buffered(), $table, $expected);
    }

    /**
     * @param array<int|string, mixed>|Closure|int|string|null $key
     *
     * @return list<Row>
     */
    private function deletions(string $table, array|Closure|int|string|null $key): array
    {
        $expected = is_int($key) || is_string($key)
            ? static fn (array $values): bool => KeyForm::isSame(reset($values), $key)
            : $key;

        return self::rowsOf($this->buffered(), $table, $expected, true);
    }

    /**
     * @param list<Row>                             $rows
     * @param array<int|string, mixed>|Closure|null $expected
     *
     * @return list<Row>
     */
    private static function rowsOf(
        array $rows,
        string $table,
        array|Closure|null $expected,
        bool $areDeletions = false,
    ): array {
        return array_values(array_filter(
            $rows,
            static fn (Row $row): bool => $row->isDeletion === $areDeletions && $row->table === $table && match (true) {
                $expected === null => true,
                $expected instanceof Closure => (bool) $expected($row->values),
                default => self::has($row, $expected),
            },
        ));
    }

    /** @param array<string, mixed> $expected */
    private static function has(Row $row, array $expected): bool
    {
        foreach ($expected as $column => $value) {
            if (!array_key_exists($column, $row->values)) {
                return false;
            }
            $found = $row->values[$column];
            if (!self::isSame($found, $value)) {
                return false;
            }
        }

        return true;
    }

    /** Whether a column has what is expected: a number as a number, JSON as what it decodes to. */
    private static function isSame(mixed $found, mixed $expected): bool
    {
        return match (true) {
            $found instanceof DateTimeImmutable && $expected instanceof \DateTimeInterface => $found == $expected,
            $expected instanceof \BackedEnum => $found === $expected->value,
            is_bool($expected) => $found === (int) $expected,
            $expected === null || $found === null => $found === $expected,
            is_array($expected) => is_string($found)
                && self::sorted(json_decode($found, true)) === self::sorted($expected),
            self::isDecimal($found) && self::isDecimal($expected) => BigDecimal::of((string) $found)
                ->isEqualTo(BigDecimal::of((string) $expected)),
            // 1 and '1' are the same to a column.
            is_int($expected) || is_int($found) => (string) $found === (string) $expected,
            default => $found === $expected,
        };
    }

    /** A number, or a text that is one as a decimal column has it: '007' is a code. */
    private static function isDecimal(mixed $value): bool
    {
        return is_int($value) || is_float($value)
            || (is_string($value) && preg_match('/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/D', $value) === 1);
    }

    /** Names in JSON have no order. */
    private static function sorted(mixed $value): mixed
    {
        if (!is_array($value)) {
            return $value;
        }
        if (!array_is_list($value)) {
            ksort($value);
        }

        return array_map(self::sorted(...), $value);
    }

    /**
     * A table by its name, or by a class of models.
     *
     * @param string|class-string<Model> $table
     */
    private static function tableOf(string $table): string
    {
        return is_a($table, Model::class, true) ? (new $table())->getTable() : $table;
    }

    /**
     * What differs in the row that is the most alike.
     *
     * @param array<string, mixed>|Closure|null $expected
     */
    private function difference(string $table, array|Closure|null $expected): string
    {
        $nearest = null;
        foreach (is_array($expected) ? $this->matching($table, null) : [] as $row) {
            $lines = [];
            foreach ($expected as $column => $value) {
                if (!array_key_exists($column, $row->values)) {
                    $lines[] = "  {$column}: expected " . self::json([$value]) . ', the row has no such column';
                } elseif (!self::isSame($row->values[$column], $value)) {
                    $found = self::json([$row->plainValues()[$column]]);
                    $lines[] = "  {$column}: expected " . self::json([$value]) . ", buffered {$found}";
                }
            }
            if ($nearest === null || count($lines) < count($nearest)) {
                $nearest = $lines;
            }
        }

        return $nearest === null ? '' : "The row that is the most alike differs:\n" . implode("\n", $nearest) . "\n";
    }

    /** @param array<int|string, mixed>|Closure|int|string|null $key */
    private static function describeKey(array|Closure|int|string|null $key): string
    {
        return is_int($key) || is_string($key) ? ' by the key ' . self::json([$key]) : self::describe($key);
    }

    /** @param array<string, mixed>|Closure|null $expected */
    private static function describe(array|Closure|null $expected): string
    {
        return match (true) {
            $expected === null => '',
            $expected instanceof Closure => ' that the callback accepts',
            default => ' with ' . self::json($expected),
        };
    }

    private function describeBuffered(): string
    {
        $rows = $this->buffered();
        if ($rows === []) {
            return 'Nothing was buffered.';
        }
        $shown = array_slice($rows, 0, 50);
        $lines = array_map(
            static fn (Row $row): string => "  {$row->table} " . ($row->isDeletion ? 'deleted ' : '')
                . self::json($row->plainValues()),
            $shown,
        );
        $more = count($rows) - count($shown);

        return "Buffered:\n" . implode("\n", $lines) . ($more > 0 ? "\n  … and {$more} more" : '');
    }

    /** @param array<string, mixed> $values */
    private static function json(array $values): string
    {
        return (string) json_encode(
            $values,
            JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE
                | JSON_PARTIAL_OUTPUT_ON_ERROR,
        );
    }
}
