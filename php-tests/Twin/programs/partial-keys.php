<?php

declare(strict_types=1);

use WriteBuffer\Tests\Twin\Support\ColumnType;

// A key of each type in each spelling: a row that can only update finds the row that it finds
// alone, or is refused. An insert may make another value of a key than a WHERE compares with.

$programs = [];
foreach (['mariadb', 'mysql'] as $of) {
    foreach (ColumnType::all($of === 'mysql') as $type) {
        if (in_array($type->family, ['json', 'blob'], true)) {
            continue;
        }
        // MariaDB finds no row by more digits than a column can have, if the column has an index.
        // The judge's copy of the row has none.
        $isTooFine = static fn (mixed $key): bool => $of === 'mariadb' && str_ends_with((string) $key, '.9999999');
        $keys = array_values(array_filter([...$type->usual, ...$type->edges], static fn (mixed $key): bool => !$isTooFine($key)));
        $rows = static fn (array $more): array => array_map(
            static fn (mixed $key, int $at): array => [['t', ['id' => $key] + array_map(static fn (int $base): int => $base + $at, $more)]],
            $keys,
            array_keys($keys),
        );
        [$whole, $partial] = [$rows(['x' => 100]), $rows(['k' => 1])];
        $program = [
            'server' => $of,
            'tables' => ['t' => [
                'columns' => ['id' => "{$type->sql} NOT NULL", 'x' => 'INT NOT NULL', 'k' => 'INT'],
                'constraints' => ['PRIMARY KEY (id)'],
            ]],
        ];
        $programs["{$of}, {$type->sql}, in one buffer"] = $program + ['steps' => [...$whole, ...$partial]];
        $programs["{$of}, {$type->sql}, in another one"] = $program + ['steps' => [...$whole, 'flush', ...$partial]];
        $programs["{$of}, {$type->sql}, each beside its row"]
            = $program + ['steps' => array_merge(...array_map(null, $whole, $partial))];
    }
}

return $programs;
