<?php

declare(strict_types=1);

// A guard takes a row or refuses it by what the table holds, which the buffer does not know.

$table = static fn (array $merge = []): array => [
    'columns' => ['id' => 'INT NOT NULL', 'g' => 'INT NULL', 'a' => 'INT NULL', 'b' => 'INT NULL', 'n' => 'INT NOT NULL DEFAULT 0'],
    'constraints' => ['PRIMARY KEY (id)'],
    'rules' => ['guard' => 'g'] + array_filter(['merge' => $merge]),
];
$stored = [['t', ['id' => 1, 'g' => 2, 'a' => 0, 'b' => 0, 'n' => 0]]];

return [
    'an earlier row that is refused, and a later one that does not overwrite it' => [
        'tables' => ['t' => $table()],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 1, 'a' => 9]]], [['t', ['id' => 1, 'g' => 3, 'b' => 7]]]],
    ],
    'a sum of rows of which one is refused' => [
        'tables' => ['t' => $table(['n' => 'sum'])],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 1, 'n' => 5]]], [['t', ['id' => 1, 'g' => 3, 'n' => 7]]]],
    ],
    'a later row that is older' => [
        'tables' => ['t' => $table()],
        'steps' => [$stored, [['t', ['id' => 1, 'g' => 5, 'a' => 1]]], [['t', ['id' => 1, 'g' => 4, 'a' => 2, 'b' => 3]]]],
    ],
    'rows that are as old as each other' => [
        'tables' => ['t' => $table(['n' => 'sum', 'a' => 'max'])],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 2, 'n' => 1, 'a' => 5]]], [['t', ['id' => 1, 'g' => '2', 'n' => 1, 'a' => 4]]]],
    ],
];
