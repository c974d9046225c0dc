<?php

declare(strict_types=1);

// A float is what PDO makes of it: its text.

$program = static fn (string $type, float ...$values): array => [
    'tables' => ['t' => ['columns' => ['id' => 'INT NOT NULL', 'v' => $type], 'constraints' => ['PRIMARY KEY (id)']]],
    'steps' => array_map(
        static fn (float $value, int $id): array => [['t', ['id' => $id, 'v' => $value]]],
        $values,
        array_keys($values),
    ),
];

return [
    'halves in an INT' => $program('INT NULL', 0.5, 1.5, 2.5, -0.5, -2.5),
    'below zero, by less than a half, in an UNSIGNED' => $program('TINYINT UNSIGNED NULL', -0.4, -0.5),
    'tenths in a DECIMAL' => $program('DECIMAL(30,10) NULL', 0.1, 0.7, 1.005),
    'a member of an ENUM' => $program("ENUM('0','1','2') NULL", 1.0, 2.0),
    'a member of a SET' => $program("SET('1','2') NULL", 1.0, 2.0),
    'a text' => $program('VARCHAR(10) NULL', 0.5, 1.0),
    'a JSON' => $program('JSON NULL', 0.5, 1.0),
    'a half as a key' => [
        'tables' => ['t' => ['columns' => ['id' => 'INT NOT NULL'], 'constraints' => ['PRIMARY KEY (id)']]],
        'steps' => [[['t', ['id' => 2.5]]], [['t', ['id' => 2]]]],
    ],
    'a half as the key of insert-only rows' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['mode' => 'insert'],
        ]],
        'steps' => [[['t', ['id' => 2.5]]], [['t', ['id' => 2]]]],
    ],
    'a half as the key of a row without a required column' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NOT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
        ]],
        'steps' => [[['t', ['id' => 3, 'v' => 1]], ['t', ['id' => 2.5]]]],
    ],
    'a half under sum' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'n' => 'INT NOT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['merge' => ['n' => 'sum']],
        ]],
        'steps' => [[['t', ['id' => 1, 'n' => 0.5]]], [['t', ['id' => 1, 'n' => 0.5]]], [['t', ['id' => 1, 'n' => -1.5]]]],
    ],
];
