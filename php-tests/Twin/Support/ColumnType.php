<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/** A column's type, values that it takes as they are, and values at its edges and beyond. */
final class ColumnType
{
    /**
     * @param non-empty-list<int|float|string> $usual
     * @param non-empty-list<int|float|string> $edges
     */
    public function __construct(
        public readonly string $sql,
        public readonly array $usual,
        public readonly array $edges,
        public readonly string $family = 'other',
    ) {
    }

    public function isExactNumber(): bool
    {
        return in_array($this->family, ['integer', 'decimal'], true);
    }

    /** @return list<self> */
    public static function all(bool $isMySql): array
    {
        return [
            ...self::integers(),
            ...self::decimals(),
            ...self::texts($isMySql),
            ...self::moments(),
            ...self::others($isMySql),
        ];
    }

    public static function int(): self
    {
        return new self('INT', [1, 2, 3], ['1', '01', '2.0', 1.4, 2.5, -1, 0, 2_147_483_648, '3 ', 'abc'], 'integer');
    }

    /** @return list<self> */
    private static function integers(): array
    {
        $ranges = [
            'TINYINT' => ['-128', '127', '255'],
            'SMALLINT' => ['-32768', '32767', '65535'],
            'MEDIUMINT' => ['-8388608', '8388607', '16777215'],
            'INT' => ['-2147483648', '2147483647', '4294967295'],
            'BIGINT' => ['-9223372036854775808', '9223372036854775807', '18446744073709551615'],
        ];
        $odd = ['1.5', '2.5', -0.5, 1.4, 'abc', '', ' 2', '007', '1e1', '2 ', '3x', 2.0, '-1.5'];
        $types = [self::int(), self::int()];
        foreach ($ranges as $type => [$least, $most, $mostUnsigned]) {
            $types[] = new self(
                $type,
                [0, 1, 2, '3', -1],
                [...$odd, $least, $most, bcsub($least, '1'), bcadd($most, '1'), (int) $most, (int) $least],
                'integer',
            );
            $types[] = new self(
                "{$type} UNSIGNED",
                [0, 1, 2, '3', 100],
                [...$odd, -1, '-1', '-0.4', $most, $mostUnsigned, bcadd($mostUnsigned, '1')],
                'integer',
            );
        }

        return $types;
    }

    /** @return list<self> */
    private static function decimals(): array
    {
        $odd = ['0.005', '-0.005', '1e1', '12.345', 'abc', '', ' 1', '0.30', '-0', 0.1];

        return [
            new self('DECIMAL(4,2)', ['1.00', '2.5', 3, 0.25, '-1'], [...$odd, '99.99', '99.995', '100', '-99.99', 99], 'decimal'),
            new self('DECIMAL(4,2) UNSIGNED', ['1.00', '2.5', 3, 0.25], [...$odd, -1, '99.99', '100', '-0.01'], 'decimal'),
            new self('DECIMAL(3,0)', ['1', 2, '3', '-4'], [...$odd, 999, '999.5', '0.5', '1.5', '2.5'], 'decimal'),
            new self('DECIMAL(30,10)', ['1', 2, '0.0000000001'], [...$odd, '12345678901234567890.1234567891', 0.1], 'decimal'),
            new self('FLOAT', [0.5, 1.25, '2.5', 3], ['1e38', '1e39', -1.5, 'abc', 0.1, 16_777_217, '0.1', '-0'], 'float'),
            new self('DOUBLE', [0.5, 1.25, '2.5', 3], ['1e308', '1e309', -1.5, 'abc', 0.1, '0.30000000000000004'], 'float'),
        ];
    }

    /** @return list<self> */
    private static function texts(bool $isMySql): array
    {
        $collations = [
            'utf8mb4_general_ci',
            'utf8mb4_unicode_ci',
            'utf8mb4_bin',
            'utf8mb4_swedish_ci',
            ...$isMySql ? ['utf8mb4_0900_ai_ci', 'utf8mb4_0900_bin'] : ['utf8mb4_nopad_bin', 'utf8mb4_uca1400_ai_ci'],
        ];
        $odd = ['', 'a ', ' a', 'ä', 'Ä', 'ß', 'ss', 'ab  ', '😀', '1', 1, '01', 'abcde', "a\x80", "a\t", 0.5, 'B'];
        $types = [];
        foreach ($collations as $collation) {
            $types[] = new self("VARCHAR(4) COLLATE {$collation}", ['a', 'b', 'c', 'A'], $odd, 'text');
        }
        $types[] = new self('CHAR(3)', ['a', 'b', 'c', 'A'], $odd, 'text');
        $types[] = new self('VARCHAR(4) CHARACTER SET latin1', ['a', 'b', 'c', 'A'], $odd, 'text');
        $types[] = new self('BINARY(3)', ['a', 'b', 'abc'], ["\0", "a\0", "\xff\xfe", 'abcd', '', 'a ', 1, 'A'], 'binary');
        $types[] = new self('VARBINARY(3)', ['a', 'b', 'abc'], ["\0", "a\0", "\xff\xfe", 'abcd', '', 'a ', 1, 'A'], 'binary');

        return $types;
    }

    /** @return list<self> */
    private static function moments(): array
    {
        $days = ['2023-02-29', '2024-1-2', '20240102', '2024-00-10', '0000-00-00', '9999-12-31', '24-01-02', '', 'abc', 20_240_102];
        $odd = [...$days, '2024-01-01', '2024-01-01T00:00:00', '2024-1-1 1:2:3', '2024-01-01 00:00:00.5',
            '2024-01-01 00:00:00.0004', '2024-01-01 00:00:00.0006', '2023-12-31 23:59:59.9', '2023-12-31 23:59:59.9999999'];
        $usual = ['2024-01-01 00:00:00', '2024-01-01 12:30:00', '2023-12-31 23:59:59'];
        $times = ['1:2:3', '10:00', 10_000, '10000', '10:00:00.5', '-838:59:59', '838:59:59', '839:00:00', '23:59:60', 'abc', '9:00:00'];
        $types = [new self(
            'DATE',
            ['2024-01-01', '2024-02-29', '2023-12-31'],
            [...$days, '2024-01-02 10:00:00', '2024-01-02 23:59:59.9', '10000-01-01'],
            'moment',
        )];
        foreach (['', '(3)', '(6)'] as $precision) {
            $types[] = new self("DATETIME{$precision}", $usual, $odd, 'moment');
            $types[] = new self(
                "TIMESTAMP{$precision}",
                $usual,
                [...$odd, '1970-01-01 00:00:01', '1970-01-01 00:00:00', '1969-12-31 00:00:00'],
                'moment',
            );
            $types[] = new self("TIME{$precision}", ['10:00:00', '99:00:00', '100:00:00'], $times, 'moment');
        }

        return $types;
    }

    /** @return list<self> */
    private static function others(bool $isMySql): array
    {
        return [
            new self("ENUM('a','b','c')", ['a', 'b', 'c'], ['A', 'd', '', 1, 2, 0, '2', 'a ', 4, 1.0], 'enum'),
            new self("ENUM('0','1','2')", ['0', '1', '2'], ['3', '', 1, 0, 1.0, 4], 'enum'),
            new self("SET('x','y','z')", ['x', 'x,y', 'z'], ['y,x', 'w', '', 1, 3, 8, 'x,x', 'X', '3'], 'set'),
            new self('JSON', ['{"a":1}', '[1, 2]', '1'], ['{"a": 1}', '{bad', 'null', '"x"', 1, 0.5, ''], 'json'),
            new self('BIT(1)', [0, 1], ["\x01", 2, '1', "\0"], 'bit'),
            new self('BIT(8)', [0, 1, 200], ["\x01", 255, 256, '1', "\xff"], 'bit'),
            new self('YEAR', [2024, '2023', 2000], [0, '0', '0000', 1901, 1900, 2155, 2156, 70, '69', 'abc'], 'year'),
            new self($isMySql ? 'TINYTEXT' : 'TEXT', ['a', 'b', 'A'], ['', 'a ', 'ä', 1, str_repeat('x', 256)], 'blob'),
        ];
    }
}
