<?php

declare(strict_types=1);

// A lenient sql_mode changes values, but not those of a single row's NULL: INSERT of one row
// refuses it, of several not.

$table = static fn (string $type): array => [
    'columns' => ['id' => 'INT NOT NULL', 'v' => $type],
    'constraints' => ['PRIMARY KEY (id)'],
];
$steps = static fn (mixed ...$values): array => array_map(
    static fn (mixed $value, int $id): array => [['t', ['id' => $id, 'v' => $value]]],
    $values,
    array_keys($values),
);

return [
    'NULL for NOT NULL, beside another row' => [
        'tables' => ['t' => $table('INT NOT NULL')],
        'sqlMode' => '',
        'steps' => $steps(null, 5),
    ],
    'NULL for NOT NULL, in a group' => [
        'tables' => ['t' => $table('INT NOT NULL')],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 1, 'v' => 5]], ['t', ['id' => 2, 'v' => null]]]],
    ],
    'NULL for NOT NULL, where the row is there' => [
        'tables' => ['t' => $table('INT NOT NULL')],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 1, 'v' => 5]]], 'flush', [['t', ['id' => 1, 'v' => null]]], [['t', ['id' => 2, 'v' => 1]]]],
    ],
    'values beyond a range' => ['tables' => ['t' => $table('TINYINT NOT NULL')], 'sqlMode' => '', 'steps' => $steps(300, 'abc', '')],
    'sums that are cut to the range' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'n' => 'TINYINT NOT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['merge' => ['n' => 'sum']],
        ]],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 1, 'n' => 100]]], [['t', ['id' => 1, 'n' => 100]]], [['t', ['id' => 1, 'n' => -100]]]],
    ],
    'keys that are cut to the same' => [
        'tables' => ['t' => ['columns' => ['id' => 'VARCHAR(2) NOT NULL', 'v' => 'INT NULL'], 'constraints' => ['PRIMARY KEY (id)']]],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 'ab1', 'v' => 1]]], [['t', ['id' => 'ab2', 'v' => 2]]], [['t', ['id' => 'ab', 'v' => 3]]]],
    ],
    'a row without a required column' => [
        'tables' => ['t' => $table('INT NOT NULL')],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 1]]], [['t', ['id' => 1, 'v' => 1]]], [['t', ['id' => 2]]]],
    ],
];
