<?php

declare(strict_types=1);

// A row that lacks a required column changes the row that is there, and is refused if there is
// none: also if the whole row comes after it in the same batch.

$table = ['columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'k' => 'INT NULL'], 'constraints' => ['PRIMARY KEY (id)']];

return [
    'before the whole row' => [
        'tables' => ['t' => $table],
        'steps' => [[['t', ['id' => 2]]], [['t', ['id' => 2, 'x' => 1]]]],
    ],
    'before the whole row, in a group' => [
        'tables' => ['t' => $table],
        'steps' => [[['t', ['id' => 2]], ['t', ['id' => 2, 'x' => 1]]]],
    ],
    'with a value that is given again' => [
        'tables' => ['t' => $table],
        'steps' => [[['t', ['id' => 2, 'k' => 1]]], [['t', ['id' => 2, 'x' => 1, 'k' => 7]]]],
    ],
    'before a whole row that keeps' => [
        'tables' => ['t' => $table + ['rules' => ['merge' => ['k' => 'keep']]]],
        'steps' => [[['t', ['id' => 1]]], [['t', ['id' => 1, 'x' => 1, 'k' => 7]]]],
    ],
    'after the whole row' => [
        'tables' => ['t' => $table],
        'steps' => [[['t', ['id' => 2, 'x' => 1]]], [['t', ['id' => 2, 'k' => 5]]], [['t', ['id' => 3, 'k' => 5]]]],
    ],
    'max over a TIME of more than two digits' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 't' => 'TIME NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['merge' => ['t' => 'max']],
        ]],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1, 't' => '99:00:00']]],
            'flush',
            [['t', ['id' => 1, 't' => '100:00:00']]],
        ],
    ],
    'min over a TIME' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 't' => 'TIME NOT NULL DEFAULT \'00:00:00\''],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['merge' => ['t' => 'min']],
        ]],
        'steps' => [[['t', ['id' => 3, 'x' => 0, 't' => '100:00:00']]], [['t', ['id' => 3, 't' => '10:00:00']]]],
    ],
    'max over an UNSIGNED, below zero by less than a half' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'v' => 'SMALLINT UNSIGNED NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['merge' => ['v' => 'max']],
        ]],
        'steps' => [[['t', ['id' => 2, 'x' => 3]]], [['t', ['id' => 2, 'v' => '-0.4']]]],
    ],
    'a guard of TIME' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'g' => 'TIME(6) NOT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'],
        ]],
        'steps' => [[['t', ['id' => 2, 'x' => 1, 'g' => '99:00:00']]], [['t', ['id' => 2, 'g' => '100:00:00']]]],
    ],
    'a guard refuses a value that its column would refuse, too' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'g' => 'INT NOT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'],
        ]],
        'steps' => [
            [['t', ['id' => 3, 'x' => 3, 'g' => 2]], ['t', ['id' => 3, 'g' => 0, 'v' => 2_147_483_648]]],
            'flush',
            [['t', ['id' => 3, 'g' => 0, 'v' => 2_147_483_648]]],
        ],
    ],
    'two spellings of a key, of which one finds no row' => [
        'tables' => ['t' => ['columns' => ['id' => 'DECIMAL(4,2) NOT NULL', 'x' => 'INT NOT NULL', 'k' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']]],
        'steps' => [
            [['t', ['id' => '1.00', 'x' => 1]]],
            'flush',
            [['t', ['id' => '1', 'k' => 1]]],
            [['t', ['id' => '1.004', 'k' => 2]]],
        ],
    ],
    'a key of DECIMAL or BIGINT' => [
        'tables' => [
            'd' => ['columns' => ['id' => 'DECIMAL(4,2) NOT NULL', 'x' => 'INT NOT NULL', 'k' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
            'b' => ['columns' => ['id' => 'BIGINT NOT NULL', 'x' => 'INT NOT NULL', 'k' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
        ],
        'steps' => [
            [['d', ['id' => '1.00', 'x' => 1]], ['b', ['id' => '9007199254740993', 'x' => 1]], ['b', ['id' => '9007199254740992', 'x' => 1]]],
            'flush',
            [['d', ['id' => '1', 'k' => 1]]],
            [['b', ['id' => '9007199254740993', 'k' => 1]]],
        ],
    ],
    'a key of BINARY(n) that an insert pads, and an update does not' => [
        'tables' => ['t' => ['columns' => ['id' => 'BINARY(3) NOT NULL', 'x' => 'INT NOT NULL', 'k' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']]],
        'steps' => [
            [['t', ['id' => 'a', 'x' => 1]]],
            [['t', ['id' => 'a', 'k' => 1]]],
            [['t', ['id' => 'abc', 'x' => 1]]],
            [['t', ['id' => 'abc', 'k' => 1]]],
            [['t', ['id' => 'b', 'x' => 1]], ['t', ['id' => 'b', 'k' => 1]]],
            'flush',
            [['t', ['id' => 'a']]],
            [['t', ['id' => 'abc', 'k' => 2]]],
        ],
    ],
    'a character that a latin1 column lacks, where MariaDB cannot compare it' => [
        'tables' => [
            't' => [
                'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'm' => 'VARCHAR(4) CHARACTER SET latin1'],
                'constraints' => ['PRIMARY KEY (id)'],
                'rules' => ['merge' => ['m' => 'max']],
            ],
            'k' => [
                'columns' => ['id' => 'VARCHAR(4) CHARACTER SET latin1 NOT NULL', 'x' => 'INT NOT NULL', 'v' => 'INT'],
                'constraints' => ['PRIMARY KEY (id)'],
            ],
        ],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1, 'm' => 'a']], ['k', ['id' => '€', 'x' => 1]]],
            [['t', ['id' => 1, 'm' => '😀']]],
            [['t', ['id' => 2, 'm' => '😀']]],
            [['t', ['id' => 1, 'm' => '€']], ['k', ['id' => '€', 'v' => 1]]],
            'flush',
            [['k', ['id' => '😀', 'v' => 1]]],
            [['k', ['id' => "a\x80", 'v' => 1]]],
            [['k', ['id' => '€', 'v' => 2]]],
        ],
    ],
    'a character that a latin1 column lacks, beside a guard' => [
        'tables' => ['t' => [
            'columns' => [
                'id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'm' => 'VARCHAR(4) CHARACTER SET latin1', 'g' => 'INT NULL',
            ],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'],
        ]],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1, 'g' => 1]]],
            'flush',
            [['t', ['id' => 1, 'm' => "a\x80", 'g' => 2]]],
            [['t', ['id' => 1, 'm' => '😀', 'g' => 2]]],
            [['t', ['id' => 1, 'm' => 'é', 'g' => 2]]],
        ],
    ],
    'what is no number, beside a guard and for it' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'g' => 'BIGINT NULL', 's' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g', 'merge' => ['s' => 'max']],
        ]],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1, 'g' => 1, 's' => 1]]],
            'flush',
            [['t', ['id' => 1, 'g' => '3x']]],
            [['t', ['id' => 1, 'g' => '']]],
            [['t', ['id' => 1, 'g' => 2, 's' => '7 apples']]],
            [['t', ['id' => 1, 'g' => ' 2', 's' => ' 8']]],
        ],
    ],
];
