<?php

declare(strict_types=1);

// A value that the server refuses alone is refused, whatever a later row of its key brings.

$program = static fn (string $type, mixed $bad, mixed $good, array $rules = [], array $more = []): array => [
    'tables' => ['t' => array_filter([
        'columns' => ['id' => 'INT NOT NULL', 'v' => $type],
        'constraints' => ['PRIMARY KEY (id)', ...$more],
        'rules' => $rules,
    ])],
    'steps' => [[['t', ['id' => 2, 'v' => $bad]]], [['t', ['id' => 2, 'v' => $good]]]],
];
$keep = ['merge' => ['v' => 'keep']];

return [
    'TINYINT above its range, replaced' => $program('TINYINT NULL', 128, 1),
    'UNSIGNED below zero, replaced' => $program('BIGINT UNSIGNED NULL', '-1.5', 100),
    'digits and a letter, replaced' => $program('BIGINT UNSIGNED NULL', '3x', 100),
    'a BIT too wide, replaced' => $program('BIT(8) NULL', 256, 1),
    'no JSON, replaced' => $program('JSON NULL', '{bad', '[1, 2]'),
    'DECIMAL above its range, replaced' => $program('DECIMAL(4,2) NULL', '99.995', '1.00'),
    'a text too long, replaced' => $program('VARCHAR(4) NULL', 'abcde', 'a'),
    'bytes that are no UTF-8, replaced' => $program('VARCHAR(4) NULL', "a\x80", 'a'),
    'no date, replaced' => $program('DATE NULL', '2023-02-29', '2024-01-01'),
    'no member of an ENUM, replaced' => $program("ENUM('a','b') NULL", 'd', 'a'),
    'no member of a SET, replaced' => $program("SET('x','y') NULL", 'w', 'x'),
    'no year, replaced' => $program('YEAR NULL', 1900, 2024),
    'NULL for NOT NULL, replaced' => $program('INT NOT NULL DEFAULT 0', null, 1),
    'a CHECK, replaced' => $program('INT NULL', 2, 1, [], ['CHECK (v <> 2)']),
    'no member of an ENUM, where the first value is kept' => $program("ENUM('a','b') NULL", 'a', 'd', $keep),
    'no time, where the first value is kept' => $program('TIME(3) NOT NULL', '10:00:00', 'abc', $keep),
    'a value too large for max' => $program('TINYINT NULL', 300, 1, ['merge' => ['v' => 'max']]),
    'a value too small for min' => $program('TINYINT UNSIGNED NULL', -1, 1, ['merge' => ['v' => 'min']]),
    'no year, where the first value is kept' => $program('YEAR NULL', 2024, 2156, $keep),
    'no number, where the default is kept' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'BIGINT NULL DEFAULT 2'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => $keep,
        ]],
        'steps' => [[['t', ['id' => 3]]], [['t', ['id' => 3, 'v' => '']]]],
    ],
    'no year, where NULL is kept' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'YEAR NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => $keep,
        ]],
        'steps' => [[['t', ['id' => 3]]], [['t', ['id' => 3, 'v' => 2156]]]],
    ],
    'a default that a CHECK refuses, where the row has a value' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)', 'CHECK (v <> 0)'],
        ]],
        'steps' => [[['t', ['id' => 1, 'v' => 3]]], [['t', ['id' => 1]]]],
    ],
    'a default that refers to nobody, where the row has a value' => [
        'tables' => [
            'parent' => ['columns' => ['id' => 'INT NOT NULL'], 'constraints' => ['PRIMARY KEY (id)']],
            't' => [
                'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NULL DEFAULT 9'],
                'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (p) REFERENCES parent (id)'],
            ],
        ],
        'steps' => [[['parent', ['id' => 1]]], [['t', ['id' => 1, 'p' => 1]]], [['t', ['id' => 1]]]],
    ],
    'a row that its guard would refuse' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'c' => 'TIME(6) NOT NULL', 'g' => 'INT NOT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'],
        ]],
        'steps' => [
            [['t', ['id' => 2, 'c' => '100:00:00', 'g' => 2]]],
            [['t', ['id' => 2, 'c' => 'abc', 'g' => 1]]],
        ],
    ],
];
