<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

/**
 * Makes random programs of whole rows, and then of many rows that lack a required column: a batch
 * has many of them, of few column sets, over any type of column and key. Some find no row, and some
 * have a value that their column refuses.
 *
 * A program is wholly determined by its seed and its number.
 */
final class PartialRows
{
    private const PROGRAMS_FOR_TABLES = 4;

    /** @var array<string, mixed> */
    private array $table = [];

    /** @var array<string, ColumnType> */
    private array $types = [];

    /** @var array<string, list<int|string>> by column, the values of the key */
    private array $keys = [];

    private ?int $made = null;

    public function __construct(private readonly bool $isMySql)
    {
    }

    public function program(int $seed, int $number): Program
    {
        $tablesSeed = crc32("partial {$seed} " . intdiv($number, self::PROGRAMS_FOR_TABLES));
        if ($this->made !== $tablesSeed) {
            Dice::seed($tablesSeed);
            $this->makeTable();
            $this->made = $tablesSeed;
        }
        Dice::seed(crc32("partial rows {$seed} {$number}"));
        $settings = Dice::percent(30) ? ['batchSize' => Dice::pick([2, 7, 20])] : [];
        if (Dice::percent(30)) {
            $settings['background'] = true;
        }
        $sqlMode = Program::STRICT . Dice::pick(['', '', ',NO_ZERO_DATE,NO_ZERO_IN_DATE']);

        return new Program(['t' => $this->table], $this->steps(), $sqlMode, $settings);
    }

    private function makeTable(): void
    {
        $this->types = [];
        $this->keys = $this->randomKeys();
        $columns = [];
        foreach (array_keys($this->keys) as $column) {
            [$type] = explode('|', $column);
            $columns['k' . count($columns)] = "{$type} NOT NULL";
        }
        $this->keys = array_combine(array_keys($columns), array_values($this->keys));
        $list = implode(', ', array_keys($columns));
        $columns['x'] = 'INT NOT NULL';
        $rules = [];
        $all = ColumnType::all($this->isMySql);
        for ($number = mt_rand(2, 5); $number > 0; $number--) {
            $type = Dice::pick($all);
            $this->types["c{$number}"] = $type;
            $columns["c{$number}"] = $type->sql . (Dice::percent(70) ? ' NULL' : ' NOT NULL DEFAULT ' . self::literal($type));
            $rule = Dice::weighted(['replace' => 60, 'keep' => 8, 'sum' => 16, 'min' => 8, 'max' => 8]);
            $canSum = $type->isExactNumber() && !str_contains($columns["c{$number}"], 'DEFAULT');
            $canCompare = in_array($type->family, ['integer', 'decimal', 'float', 'moment', 'text'], true);
            if ($rule === 'keep' || ($rule === 'sum' && $canSum) || (in_array($rule, ['min', 'max'], true) && $canCompare)) {
                $rules['merge']["c{$number}"] = $rule;
            }
        }
        if (Dice::percent(20)) {
            $columns['stamp'] = 'TIMESTAMP(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6)';
        }
        if (Dice::percent(20)) {
            $this->types['g'] = Dice::pick(array_filter($all, static fn (ColumnType $type): bool
                => in_array($type->family, ['integer', 'decimal', 'moment'], true)));
            $columns['g'] = "{$this->types['g']->sql} NULL";
            $rules['guard'] = 'g';
        }
        $this->table = ['columns' => $columns, 'constraints' => ["PRIMARY KEY ({$list})"]];
        if (Dice::percent(12)) {
            $this->table['constraints'] = ["UNIQUE KEY `the key` ({$list})"];
            $rules['key'] = array_keys($this->keys);
        }
        if (Dice::percent(15)) {
            $column = Dice::pick(array_keys($this->types));
            if (in_array($this->types[$column]->family, ['integer', 'decimal'], true)) {
                $this->table['constraints'][] = "CHECK ({$column} <> 2)";
            }
        }
        if (Dice::percent(15)) {
            $column = Dice::pick(array_keys($this->types));
            if ($this->types[$column]->family === 'integer') {
                $this->table['columns']['made'] = "INT AS ({$column} % 10) " . Dice::pick(['STORED', 'VIRTUAL']);
                $this->table['constraints'][] = 'KEY made (made)';
            }
        }
        if ($rules !== []) {
            $this->table['rules'] = $rules;
        }
    }

    private static function literal(ColumnType $type): string
    {
        $usual = $type->usual[0];

        return match ($type->family) {
            'json', 'blob' => "('{$usual}')",
            default => is_string($usual) ? "'{$usual}'" : (string) $usual,
        };
    }

    /** @return array<string, list<int|string>> by the key's type */
    private function randomKeys(): array
    {
        $words = ['a', 'B', 'c-1', '01ARZ3NDEK', 'zz', 'k9', 'x_y', '7', 'Foo', 'a.b'];
        $days = ['2024-01-01', '2024-02-29', '1999-12-31', '2030-06-15', '2001-09-09'];
        $moments = array_map(static fn (string $day): string => "{$day} 12:34:56", $days);
        $keys = [
            'INT' => [1, 2, 3, '4', 5, 6, -7, 8, 9, '010'],
            'TINYINT UNSIGNED' => [0, 1, '255', 254, 5, 6, 7, 8],
            'BIGINT' => ['-9223372036854775808', '9223372036854775807', '9007199254740993', '9007199254740992', 1, 0, -1, '12'],
            'BIGINT UNSIGNED' => ['18446744073709551615', '18446744073709551614', '9223372036854775808', '9007199254740993', 0, 3],
            'DECIMAL(4,2)' => ['1.00', '1.01', '-1', '2.5', 3, '99.99', '-0.01', '7'],
            'DECIMAL(65,30)' => [
                '12345678901234567890123456789012345.123456789012345678901234567891',
                '12345678901234567890123456789012345.123456789012345678901234567892', '1', '1.5', '-2', 7,
            ],
            'VARCHAR(36) COLLATE utf8mb4_bin' => [...$words, 'ä', 'Ä', '😀', 'A'],
            'VARCHAR(36) COLLATE utf8mb4_general_ci' => [...$words, 12],
            'CHAR(26) CHARACTER SET ascii' => $words,
            'VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin' => $words,
            'VARCHAR(20) CHARACTER SET latin1' => $words,
            'VARCHAR(200) COLLATE utf8mb4_unicode_ci' => $words,
            'BINARY(3)' => ['abc', 'abd', "\xff\xfe\x01", "\0\0\1", 'ABC'],
            'VARBINARY(9)' => ['a', 'ab', "\xff\xfe", "\0", "a\0", 'A', 'abcdefghi'],
            'DATE' => $days,
            'DATETIME' => [...$moments, ...$days],
            'DATETIME(6)' => [...$moments, '2024-01-01 12:34:56.000001', '2024-01-01 12:34:56.5'],
            'TIMESTAMP(3)' => [...$moments, '2024-01-01 12:34:56.001'],
            $this->isMySql ? 'VARCHAR(36) COLLATE utf8mb4_0900_ai_ci' : 'VARCHAR(36) COLLATE utf8mb4_uca1400_ai_ci' => $words,
        ];
        $types = array_keys($keys);
        $type = Dice::pick($types);
        $found = [$type => $keys[$type]];
        if (Dice::percent(25)) {
            $second = Dice::pick($types);
            $found["{$second}|"] = $keys[$second];
        }

        return $found;
    }

    /** @return array<string, int|string> */
    private function key(): array
    {
        return array_map(static fn (array $values): int|string => Dice::pick($values), $this->keys);
    }

    /** @return list<string|list<array{string, array<string, mixed>}>> */
    private function steps(): array
    {
        // How many values in a hundred are odd, and how many rows have a key that may not be there.
        $odd = Dice::pick([0, 0, 0, 2, 6]);
        $absent = Dice::pick([0, 0, 3, 10]);
        // How many of the whole ones in a hundred only update, too.
        $updates = Dice::pick([0, 50]);
        $steps = $there = [];
        for ($rows = mt_rand(3, 14); $rows > 0; $rows--) {
            $there[] = $key = $this->key();
            $steps[] = [['t', $key + ['x' => $rows] + $this->values(array_keys($this->types), 0)]];
        }
        $steps[] = Program::FLUSH;
        for ($batches = mt_rand(1, 3); $batches > 0; $batches--) {
            $sets = [];
            for ($number = mt_rand(1, 2); $number > 0; $number--) {
                $sets[] = array_filter(array_keys($this->types), static fn (string $column): bool
                    => $column === 'g' || Dice::percent(70));
            }
            for ($groups = mt_rand(2, 25); $groups > 0; $groups--) {
                $group = [];
                for ($rows = (int) Dice::weighted(['1' => 85, '2' => 10, '3' => 5]); $rows > 0; $rows--) {
                    $key = Dice::percent($absent) ? $this->key() : Dice::pick($there);
                    $whole = Dice::percent(6) ? ['x' => 1] : [];
                    $row = ['t', $key + $whole + $this->values(Dice::pick($sets), $odd)];
                    $group[] = $whole !== [] && Dice::percent($updates) ? [...$row, Program::UPDATE] : $row;
                }
                $steps[] = $group;
            }
            $steps[] = Program::FLUSH;
        }

        return $steps;
    }

    /**
     * @param array<string> $columns
     *
     * @return array<string, mixed>
     */
    private function values(array $columns, int $odd): array
    {
        $values = [];
        foreach ($columns as $column) {
            $rules = $this->table['rules'] ?? [];
            // What an UPDATE computes with is refused only as far as that is certain, see
            // docs/guarantees.md.
            $isComputed = isset($rules['guard']) || !in_array($rules['merge'][$column] ?? 'keep', ['keep', 'replace'], true);
            $mayBeNull = ($rules['merge'][$column] ?? null) !== 'sum' && $column !== 'g' && str_ends_with($this->table['columns'][$column], ' NULL');
            if ($mayBeNull && Dice::percent(10)) {
                $values[$column] = null;
                continue;
            }
            $type = $this->types[$column];
            $values[$column] = Dice::pick(!$isComputed && Dice::percent($odd) ? $type->edges : $type->usual);
        }

        return $values;
    }
}
