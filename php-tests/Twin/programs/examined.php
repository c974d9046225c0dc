<?php

declare(strict_types=1);

// Two rows of a key are two to the server if it looks at what they change: by a CHECK, a generated
// column, another column's default, a period, or an index over an expression.

use WriteBuffer\Tests\Twin\Support\Program;

$table = static fn (array $columns, string ...$constraints): array => ['t' => [
    'columns' => ['id' => 'INT NOT NULL'] + $columns + ['v' => 'INT NULL'],
    'constraints' => ['PRIMARY KEY (id)', ...$constraints],
]];
$twice = static fn (array $first, array $second): array => [
    [['t', ['id' => 1, 'v' => 1] + $first]],
    [['t', ['id' => 1] + $second]],
];

$programs = [
    'a default looks at another column' => [
        'tables' => $table(['a' => 'INT NULL', 'b' => 'INT DEFAULT (a + 1)']),
        'steps' => $twice(['a' => 1], ['a' => 5]),
    ],
    'a default looks at a column that comes later' => [
        'tables' => $table(['a' => 'INT NULL', 'b' => 'INT DEFAULT (a * 10)']),
        'steps' => $twice([], ['a' => 5]),
    ],
    'a default by a function' => [
        'tables' => $table(['a' => 'VARCHAR(9) NULL', 'b' => 'VARCHAR(9) DEFAULT (LOWER(a))']),
        'steps' => $twice(['a' => 'A'], ['a' => 'B']),
    ],
    'a default that does not fit' => [
        'tables' => $table(['a' => 'INT NULL', 'b' => 'TINYINT DEFAULT (a * 10)']),
        'steps' => $twice(['a' => 100], ['a' => 5]),
    ],
    'a CHECK in another letter case' => [
        'tables' => $table(['aB' => 'INT NULL'], 'CHECK (AB < 10)'),
        'steps' => $twice(['aB' => 20], ['aB' => 5]),
    ],
    'an index over an expression that refuses' => [
        'server' => 'mysql',
        'tables' => $table(['a' => 'VARCHAR(9) NULL'], 'KEY ((CAST(a AS SIGNED)))'),
        'steps' => $twice(['a' => 'x'], ['a' => '5']),
    ],
    'an index that ends in an expression' => [
        'server' => 'mysql',
        'tables' => $table(['a' => 'VARCHAR(9) NULL'], 'KEY (v, (CAST(a AS SIGNED)))'),
        'steps' => $twice(['a' => 'x'], ['a' => '5']),
    ],
    'a period' => [
        'server' => 'mariadb',
        'tables' => $table(['s' => 'DATE NOT NULL', 'e' => 'DATE NOT NULL'], 'PERIOD FOR p (s, e)'),
        'steps' => $twice(['s' => '2024-05-01', 'e' => '2024-04-01'], ['s' => '2024-03-01', 'e' => '2024-04-01']),
    ],
];
foreach (['ANSI_QUOTES', 'ANSI'] as $mode) {
    $programs["a CHECK under {$mode}"] = [
        'sqlMode' => Program::STRICT . ",{$mode}",
        'tables' => $table(['a' => 'INT NULL'], 'CHECK (a < 10)'),
        'steps' => $twice(['a' => 20], ['a' => 5]),
    ];
    $programs["a generated column under {$mode}"] = [
        'sqlMode' => Program::STRICT . ",{$mode}",
        'tables' => $table(['a' => 'INT NULL', 'b' => 'TINYINT AS (a * 10) STORED']),
        'steps' => $twice(['a' => 20], ['a' => 5]),
    ];
}

return $programs;
