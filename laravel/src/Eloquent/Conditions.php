<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Eloquent;

use BackedEnum;
use WriteBuffer\Laravel\Rows\KeyForm;

/**
 * Owns what a query's conditions, such as those of scopes, say of a row that the database does not
 * have yet. Only what PHP is certain of is decided; all else is the database's to say.
 */
final class Conditions
{
    /**
     * @param list<array<string, mixed>> $wheres     a query's
     * @param array<string, mixed>       $attributes the row
     *
     * @return bool|null null: only the database can say
     */
    public static function hold(array $wheres, array $attributes): ?bool
    {
        // AND binds before OR.
        $any = $all = null;
        foreach ($wheres as $at => $where) {
            $holds = self::holds($where, $attributes);
            if ($at > 0 && ($where['boolean'] ?? 'and') === 'or') {
                $any = self::either($any ?? false, $all);
                $all = $holds;
            } elseif ($at === 0) {
                $all = $holds;
            } else {
                $all = self::both($all, $holds);
            }
        }

        return $wheres === [] ? true : self::either($any ?? false, $all);
    }

    /**
     * @param array<string, mixed> $where
     * @param array<string, mixed> $attributes
     */
    private static function holds(array $where, array $attributes): ?bool
    {
        $type = $where['type'] ?? '';
        if ($type === 'Nested') {
            return self::hold($where['query']->wheres, $attributes);
        }
        if (!is_string($where['column'] ?? null)) {
            return null;
        }
        $point = strrpos($where['column'], '.');
        $column = $point === false ? $where['column'] : substr($where['column'], $point + 1);
        $value = $attributes[$column] ?? null;
        $isKnown = array_key_exists($column, $attributes);

        return match (true) {
            // A column that a new row leaves out is NULL, as deleted_at is.
            $type === 'Null' => $value === null,
            $type === 'NotNull' => $value !== null,
            !$isKnown => null,
            $type === 'Basic' && $where['operator'] === '=' => self::isSame($value, $where['value']),
            $type === 'Basic' && in_array($where['operator'], ['!=', '<>'], true) && $value !== null
                => self::not(self::isSame($value, $where['value'])),
            $type === 'In', $type === 'InRaw' => self::isOneOf($value, $where['values']),
            default => null,
        };
    }

    /** @param array<mixed> $values */
    private static function isOneOf(mixed $value, array $values): ?bool
    {
        $any = false;
        foreach ($values as $one) {
            $any = self::either($any, self::isSame($value, $one));
        }

        return $any;
    }

    private static function isSame(mixed $left, mixed $right): ?bool
    {
        [$left, $right] = array_map(
            static fn (mixed $value): mixed => $value instanceof BackedEnum ? $value->value : $value,
            [$left, $right],
        );
        if ($left === null || (!is_scalar($left) || !is_scalar($right))) {
            return $left === null ? false : null;
        }
        if (KeyForm::isSame($left, $right)) {
            return true;
        }
        [$leftForm, $rightForm] = [KeyForm::of([self::plain($left)]), KeyForm::of([self::plain($right)])];

        // Two words may be equal to a collation.
        return $leftForm !== null && $rightForm !== null && $leftForm[0] === 'number' && $rightForm[0] === 'number' ? false : null;
    }

    private static function plain(bool|int|float|string $value): int|float|string
    {
        return is_bool($value) ? (int) $value : $value;
    }

    private static function both(?bool $left, ?bool $right): ?bool
    {
        return $left === false || $right === false ? false : ($left === null || $right === null ? null : true);
    }

    private static function either(?bool $left, ?bool $right): ?bool
    {
        return $left === true || $right === true ? true : ($left === null || $right === null ? null : false);
    }

    private static function not(?bool $value): ?bool
    {
        return $value === null ? null : !$value;
    }
}
