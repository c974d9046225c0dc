<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use BackedEnum;
use DateTimeInterface;
use GMP;
use Stringable;
use TypeError;

/**
 * Owns the equality of keys, as far as PHP is certain of it for every collation and column type:
 * for whole numbers, UUIDs, ULIDs and plain words, among keys of the same kind. For other keys only
 * the database knows.
 */
final class KeyForm
{
    /**
     * @param list<mixed> $values a key's values
     *
     * @return array{string, string}|null the values' kinds, and a form that equal keys share
     */
    public static function of(array $values): ?array
    {
        $kinds = $forms = [];
        foreach ($values as $value) {
            $kind = self::kind($value);
            if ($kind === null) {
                return null;
            }
            $kinds[] = $kind;
            $forms[] = (string) $value;
        }

        return $forms === [] ? null : [implode(' ', $kinds), implode("\0", $forms)];
    }

    /** Whether two values of a key are the same for find(), as 1 and '1' are. */
    public static function isSame(mixed $left, mixed $right): bool
    {
        if ($left === null || $right === null) {
            return false;
        }
        if (is_bool($left) || is_bool($right)) {
            [$left, $right] = [(int) $left, (int) $right];
        }

        return (string) $left === (string) $right;
    }

    /**
     * The key that find() looks for, as rows have it: what a row has as a value. Alone it is
     * neither a bool nor a float, which are more likely what another call returned.
     *
     * @return array<int|string, int|float|string>
     *
     * @throws TypeError it is no key
     */
    public static function plain(mixed $key): array
    {
        $plain = [];
        foreach (is_array($key) ? $key : [$key] as $column => $value) {
            $plain[$column] = match (true) {
                is_int($value), is_string($value) => $value,
                is_bool($value) && is_array($key) => (int) $value,
                is_float($value) && is_finite($value) && is_array($key) => $value,
                $value instanceof BackedEnum => $value->value,
                $value instanceof DateTimeInterface => $value->format('Y-m-d H:i:s.u'),
                $value instanceof Stringable && !method_exists($value, 'getAttributes'), $value instanceof GMP
                    => (string) $value,
                default => throw new TypeError('find(): Argument #2 ($key) must be an int or a string,'
                    . ' or for a composite key an array of these'),
            };
        }

        return $plain;
    }

    private static function kind(mixed $value): ?string
    {
        return match (true) {
            is_int($value) => 'number',
            !is_string($value) => null,
            preg_match('/^(0|-?[1-9][0-9]{0,17})$/D', $value) === 1 => 'number',
            preg_match('/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/Di', $value) === 1 => 'uuid',
            preg_match('/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/Di', $value) === 1 => 'ulid',
            preg_match('/^[A-Za-z][A-Za-z0-9]*$/D', $value) === 1 => 'word',
            default => null,
        };
    }
}
