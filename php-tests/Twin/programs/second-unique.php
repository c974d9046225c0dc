<?php

declare(strict_types=1);

// With `allowSecondUnique` a row may update another row. Which one depends on the order: nothing is
// sorted or merged.

$table = static fn (string $type = 'INT NULL'): array => [
    'columns' => ['id' => 'INT NOT NULL', 'u' => $type],
    'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY second (u)'],
    'rules' => ['allowSecondUnique' => true],
];

return [
    'a later row with a smaller key' => [
        'tables' => ['t' => $table()],
        'steps' => [[['t', ['id' => 3, 'u' => 7]]], [['t', ['id' => 1, 'u' => 7]]]],
    ],
    'a row that would collide is merged away' => [
        'tables' => ['t' => $table("ENUM('a','b') NULL DEFAULT 'a'")],
        'steps' => [[['t', ['id' => 3, 'u' => 'b']]], [['t', ['id' => 2]]], [['t', ['id' => 2, 'u' => 'b']]]],
    ],
    'a value that is free again' => [
        'tables' => ['t' => $table()],
        'steps' => [[['t', ['id' => 1, 'u' => 7]]], [['t', ['id' => 1, 'u' => 8]]], [['t', ['id' => 2, 'u' => 7]]]],
    ],
    'a child of a row that went into another' => [
        'tables' => [
            't' => [
                'columns' => ['id' => 'INT NOT NULL', 'u' => "VARCHAR(4) NOT NULL DEFAULT 'c'"],
                'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY second (u)'],
                'rules' => ['allowSecondUnique' => true],
            ],
            'child' => [
                'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NULL'],
                'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (p) REFERENCES t (id)'],
            ],
        ],
        'steps' => [
            [['t', ['id' => 3]]],
            [['t', ['id' => 1]], ['child', ['id' => 3, 'p' => 1]]],
            [['t', ['id' => 1, 'u' => 'a']]],
        ],
    ],
    'insert-only rows keep their order' => [
        'tables' => ['t' => array_replace($table(), ['rules' => ['mode' => 'insert']])],
        'steps' => [[['t', ['id' => 3, 'u' => 7]]], [['t', ['id' => 1, 'u' => 7]]], [['t', ['id' => 2, 'u' => 8]]]],
    ],
];
