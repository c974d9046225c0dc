<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use Brick\Math\BigDecimal;
use Brick\Math\Exception\MathException;

/**
 * Owns what two rows of one key become, for a reader who cannot wait for the database. What only
 * the database can compare or merge is taken from the later row.
 */
final class Merge
{
    /**
     * Puts the later row over the earlier one, each column by its rule.
     *
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     *
     * @return array<string, mixed>
     */
    public static function forReading(Table $table, array $earlier, array $later): array
    {
        if (self::isOutdated($table, $earlier, $later)) {
            return $earlier;
        }
        $merged = $earlier;
        foreach ($later as $column => $value) {
            if ($table->isInKey($column)) {
                continue;
            }
            $rule = $table->rules->rule($column);
            if (!array_key_exists($column, $earlier)) {
                // An insert by the earlier row would have set the default, which stays.
                if ($rule !== 'keep' || $table->schema?->column($column)?->isRequired) {
                    $merged[$column] = $value;
                }
            } elseif ($rule === 'replace') {
                $merged[$column] = $value;
            } elseif ($rule !== 'keep') {
                $merged[$column] = self::combine($table, $column, $rule, $earlier[$column], $value) ?? $value;
            }
        }

        return $merged;
    }

    /**
     * Whether the guard leaves a row as it is, before a later row or deletion. One without the
     * guard decides nothing.
     *
     * @param array<string, mixed> $earlier
     * @param array<string, mixed> $later
     */
    public static function isOutdated(Table $table, array $earlier, array $later): bool
    {
        $guard = $table->rules->guard === null ? null : $table->nameOf($table->rules->guard);

        return $guard !== null && self::compare($table, $guard, $earlier[$guard] ?? null, $later[$guard] ?? null) > 0;
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
}
