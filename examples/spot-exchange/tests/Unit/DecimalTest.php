<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Matching\Decimal;
use InvalidArgumentException;
use PHPUnit\Framework\TestCase;

/** The form of exact decimals. */
final class DecimalTest extends TestCase
{
    public function testParse(): void
    {
        $cases = [
            '0' => '0.000000000000000000',
            '1' => '1.000000000000000000',
            '001.50' => '1.500000000000000000',
            '0.000000000000000001' => '0.000000000000000001',
            '999999999999999999.999999999999999999' => '999999999999999999.999999999999999999',
            '1.0000000000000000000000' => '1.000000000000000000',
        ];
        foreach ($cases as $number => $expected) {
            self::assertSame($expected, Decimal::parse((string) $number), "case {$number}");
        }
    }

    public function testParseRefuses(): void
    {
        $cases = [
            ['', 18], ['-1', 18], ['1e3', 18], ['1.', 18], ['.5', 18], [' 1', 18], ["1\n", 18], ['NaN', 18],
            ['1234567890123456789', 18], ['0.0000000000000000001', 18], ['1.005', 2],
        ];
        foreach ($cases as [$number, $scale]) {
            $isRefused = false;
            try {
                Decimal::parse($number, $scale);
            } catch (InvalidArgumentException) {
                $isRefused = true;
            }
            self::assertTrue($isRefused, 'case ' . json_encode($number));
        }
    }

    public function testUnitsGoBothWays(): void
    {
        $cases = [
            ['64250.25', 2, 6425025],
            ['64250', 2, 6425000],
            ['0.000001', 6, 1],
            ['0', 5, 0],
            ['7', 0, 7],
            ['9999999999999999.99', 2, 999999999999999999],
        ];
        foreach ($cases as [$number, $scale, $units]) {
            self::assertSame($units, Decimal::toUnits($number, $scale), "case {$number}");
            self::assertSame(Decimal::parse($number), Decimal::fromUnits($units, $scale), "case {$number}");
        }
    }

    public function testUnitsThatNoIntHoldsAreRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        Decimal::toUnits('99999999999999999', 2);
    }
}
