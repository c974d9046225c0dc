<?php

declare(strict_types=1);

namespace App\Matching;

use InvalidArgumentException;

/**
 * Owns the form of exact decimals for bcmath: strings with exactly {@see SCALE} decimals, as a
 * DECIMAL(36,18) column returns them.
 */
final class Decimal
{
    public const SCALE = 18;

    public const ZERO = '0.000000000000000000';

    /** DECIMAL(36,18) has 18 digits before the point. */
    private const FORM = '/^(\d{1,18})(?:\.(\d+))?$/D';

    /** PHP_INT_MAX has 19 digits, so any number of 18 digits fits. */
    private const INTEGER_DIGITS_MAX = 18;

    /**
     * @param int $scale how many decimals may differ from 0
     *
     * @throws InvalidArgumentException neither zero nor a positive number, or too many decimals
     */
    public static function parse(string $number, int $scale = self::SCALE): string
    {
        [$integer, $fraction] = self::split($number, $scale);

        return $integer . '.' . str_pad($fraction, self::SCALE, '0');
    }

    /**
     * A number in units of its last decimal, as an exact integer: at scale 2, 64250.25 is 6425025.
     *
     * @throws InvalidArgumentException as parse(), or more than 18 digits
     */
    public static function toUnits(string $number, int $scale): int
    {
        [$integer, $fraction] = self::split($number, $scale);
        $digits = ltrim($integer . str_pad($fraction, $scale, '0'), '0');
        if (strlen($digits) > self::INTEGER_DIGITS_MAX) {
            throw new InvalidArgumentException("\"{$number}\" is too large for {$scale} decimals.");
        }

        return (int) $digits;
    }

    /** The inverse of toUnits(). */
    public static function fromUnits(int $units, int $scale): string
    {
        $digits = str_pad((string) $units, $scale + 1, '0', STR_PAD_LEFT);
        $integer = substr($digits, 0, strlen($digits) - $scale);

        return $integer . '.' . str_pad(substr($digits, strlen($integer)), self::SCALE, '0');
    }

    /**
     * @return array{string, string} the digits before the point; those after it, no trailing zeros
     */
    private static function split(string $number, int $scale): array
    {
        if (preg_match(self::FORM, $number, $parts) !== 1) {
            throw new InvalidArgumentException("\"{$number}\" is not a decimal number of at most 18 digits.");
        }
        $fraction = rtrim($parts[2] ?? '', '0');
        if (strlen($fraction) > $scale) {
            throw new InvalidArgumentException("\"{$number}\" has more than {$scale} decimals.");
        }

        return [ltrim($parts[1], '0') ?: '0', $fraction];
    }
}
