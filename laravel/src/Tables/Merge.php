<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use Brick\Math\BigDecimal;
use Brick\Math\Exception\MathException;

/**
 * Owns what two rows of one key become.
 *
 * Invariant, as the extension's: writing the merged row leaves the table as writing the two rows,
 * one after the other, would. If PHP is not certain of that, there is no merged row, and the
 * database decides.
 */
final class Merge
{
    /**
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     *
     * @return array<string, mixed>|null null: the two must be written one after the other
     */
    public static function exactly(Table $table, array $earlier, array $later): ?array
    {
        $guard = $table->rules->guard;
        if ($guard !== null) {
            $guard = $table->nameOf($guard);
            $order = self::compare($table, $guard, $earlier[$guard], $later[$guard]);
            if ($order === null || ($order < 0 && !self::overwrites($table, $earlier, $later))) {
                return null;
            }
            if ($order > 0) {
                // If the table takes the earlier row, it refuses the later one; if not, it refuses
                // both.
                return $earlier;
            }
        }
        [$merged, $isCertain] = self::columns($table, $earlier, $later);

        return $isCertain ? $merged : null;
    }

    /**
     * What the row will become, for a reader who cannot wait for the database. A column that only
     * the database can merge gets the later value.
     *
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     *
     * @return array<string, mixed>
     */
    public static function forReading(Table $table, array $earlier, array $later): array
    {
        $guard = $table->rules->guard === null ? null : $table->nameOf($table->rules->guard);
        if ($guard !== null && self::compare($table, $guard, $earlier[$guard] ?? null, $later[$guard] ?? null) > 0) {
            return $earlier;
        }

        return self::columns($table, $earlier, $later)[0];
    }

    /**
     * Puts the later row's columns over the earlier row's, each by its rule. A column that only the
     * database can merge gets the later value, and the result is not certain.
     *
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     *
     * @return array{array<string, mixed>, bool} the merged row, and whether it is certain
     */
    private static function columns(Table $table, array $earlier, array $later): array
    {
        $merged = $earlier;
        $isCertain = true;
        foreach ($later as $column => $value) {
            if ($table->isInKey($column)) {
                continue;
            }
            $rule = $table->rules->rule($column);
            if (!array_key_exists($column, $earlier)) {
                $known = $table->schema?->column($column);
                // An insert by the earlier row would have set the default, and the rules go on from
                // that.
                if ($rule === 'keep' && !$known?->isRequired) {
                    continue;
                }
                $isCertain = $isCertain && !(in_array($rule, ['min', 'max'], true) && $known?->hasDefault);
                $merged[$column] = $value;
            } elseif ($rule === 'replace') {
                $merged[$column] = $value;
            } elseif ($rule !== 'keep') {
                $combined = self::combine($table, $column, $rule, $earlier[$column], $value);
                $isCertain = $isCertain && ($combined !== null || ($value === null && $earlier[$column] === null));
                $merged[$column] = $combined ?? $value;
            }
        }

        return [$merged, $isCertain];
    }

    /** @return int|float|string|null null: only the database can combine them */
    private static function combine(Table $table, string $column, string $rule, mixed $earlier, mixed $later): mixed
    {
        if ($rule !== 'sum' && ($earlier === null || $later === null)) {
            return $earlier ?? $later;
        }
        if ($rule === 'sum') {
            $scale = $table->schema === null ? PHP_INT_MAX : $table->schema->column($column)?->exactScale();
            if (is_int($earlier) && is_int($later) && is_int($earlier + $later)) {
                return $earlier + $later;
            }
            [$left, $right] = [self::number($earlier), self::number($later)];

            if ($scale === null || $left === null || $right === null) {
                return null;
            }

            // The server rounds each increment to the column's digits, so PHP adds only what needs
            // no rounding.
            return max($left->getScale(), $right->getScale()) > $scale ? null : (string) $left->plus($right);
        }
        $order = self::compare($table, $column, $earlier, $later);
        if ($order === null) {
            return null;
        }

        return ($rule === 'min' ? $order > 0 : $order < 0) ? $later : $earlier;
    }

    /** @return int|null null: only the database can compare them */
    private static function compare(Table $table, string $column, mixed $left, mixed $right): ?int
    {
        if ($table->schema !== null && $table->schema->column($column)?->exactScale() === null) {
            return null;
        }
        [$left, $right] = [self::number($left), self::number($right)];

        return $left === null || $right === null ? null : $left->compareTo($right);
    }

    private static function number(mixed $value): ?BigDecimal
    {
        if (!is_int($value) && !is_string($value)) {
            return null;
        }
        try {
            return BigDecimal::of($value);
        } catch (MathException) {
            return null;
        }
    }

    /**
     * Whether the later row replaces every column that the earlier one may have changed.
     *
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     */
    private static function overwrites(Table $table, array $earlier, array $later): bool
    {
        foreach (array_keys($earlier) as $column) {
            $rule = $table->rules->rule($column);
            $isReplaced = $rule === 'replace' && array_key_exists($column, $later);
            if (!$table->isInKey($column) && $rule !== 'keep' && !$isReplaced) {
                return false;
            }
        }
        foreach (array_keys($later) as $column) {
            if (!$table->isInKey($column) && !in_array($table->rules->rule($column), ['keep', 'replace'], true)) {
                return false;
            }
        }

        return true;
    }
}
