<?php

declare(strict_types=1);

// 'key' => 'server': the server's own unique keys decide, also those that a row cannot give.

$rules = ['key' => 'server'];

return [
    'a key that ends in a generated column' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL AUTO_INCREMENT', 'k' => 'VARCHAR(9) NOT NULL', 'm' => 'VARCHAR(20) AS (CONCAT(k, k)) STORED', 'n' => 'INT NOT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY u (m)'],
            'rules' => $rules + ['merge' => ['n' => 'sum']],
        ]],
        'steps' => [[['t', ['k' => 'a', 'n' => 1]]], [['t', ['k' => 'b', 'n' => 1]]], [['t', ['k' => 'a', 'n' => 5]]]],
    ],
    'a row that hits another by its second key' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'u' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY u (u)'],
            'rules' => $rules + ['merge' => ['id' => 'keep']],
        ]],
        'steps' => [[['t', ['id' => 3, 'u' => 7]]], [['t', ['id' => 1, 'u' => 7]]], [['t', ['id' => 3, 'u' => 8]]]],
    ],
    'an explicitly versioned table' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => [
                'id' => 'INT NOT NULL',
                'v' => 'INT NULL',
                's' => 'TIMESTAMP(6) GENERATED ALWAYS AS ROW START',
                'e' => 'TIMESTAMP(6) GENERATED ALWAYS AS ROW END',
            ],
            'constraints' => ['PRIMARY KEY (id, e)', 'PERIOD FOR SYSTEM_TIME (s, e)'],
            'options' => 'WITH SYSTEM VERSIONING',
            'rules' => $rules,
        ]],
        'steps' => [[['t', ['id' => 1, 'v' => 1]]], [['t', ['id' => 1, 'v' => 2]]], [['t', ['id' => 2, 'v' => 2]]]],
    ],
    'numbers that the server makes, and updates by them' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL AUTO_INCREMENT', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => $rules,
        ]],
        'steps' => [[['t', ['id' => 0, 'v' => 1]]], [['t', ['v' => 2]]], [['t', ['id' => null, 'v' => 3]]], [['t', ['id' => 5, 'v' => 4]]], [['t', ['id' => 5, 'v' => 5]]]],
    ],
    'a row whose every column is kept' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'u' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY u (u)'],
            'rules' => $rules + ['merge' => ['id' => 'keep', 'u' => 'keep']],
        ]],
        'steps' => [[['t', ['u' => 7, 'id' => 3]]], [['t', ['u' => 7, 'id' => 1]]], [['t', ['u' => 8, 'id' => 3]]]],
    ],
];
