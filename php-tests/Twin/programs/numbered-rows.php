<?php

declare(strict_types=1);

// A row without its AUTO_INCREMENT key is a new one, beside rows with keys, in their order.

$columns = ['id' => 'INT NOT NULL AUTO_INCREMENT', 'v' => 'INT NULL', 'n' => 'INT NOT NULL DEFAULT 0'];
$table = static fn (array $more = []): array => ['t' => $more + [
    'columns' => $columns,
    'constraints' => ['PRIMARY KEY (id)'],
]];
$groups = static fn (array ...$rows): array => array_map(static fn (array $row): array => [['t', $row]], $rows);

return [
    'alone' => [
        'tables' => $table(),
        'steps' => $groups(['v' => 3], ['v' => 1], ['v' => 2], ['v' => 1]),
    ],
    'before and behind rows with keys' => [
        'tables' => $table(),
        'steps' => $groups(
            ['v' => 1],
            ['id' => 3_000_000, 'v' => 2],
            ['v' => 3],
            ['id' => 7, 'v' => 4],
            ['id' => 3_000_001, 'v' => 5],
            ['v' => 6],
            ['id' => 7, 'v' => 8],
        ),
    ],
    'a number that was given out is the key of a later row' => [
        'tables' => $table(['rules' => ['merge' => ['n' => 'sum']]]),
        'steps' => $groups(
            ['v' => 1, 'n' => 1],
            ['id' => 1_000, 'v' => 2, 'n' => 1],
            ['v' => 3, 'n' => 1],
            ['id' => 1_001, 'n' => 1],
            ['n' => 1],
        ),
    ],
    'with a guard, and with sums' => [
        'tables' => $table(['rules' => ['guard' => 'v', 'merge' => ['n' => 'sum']]]),
        'steps' => $groups(['v' => 5, 'n' => 1], ['v' => 4, 'n' => 1], ['id' => 2, 'v' => 1, 'n' => 1], ['n' => 7], ['v' => null]),
    ],
    'several in one group, one of which is refused' => [
        'tables' => $table(['columns' => ['v' => 'TINYINT NULL'] + $columns]),
        'steps' => [
            [['t', ['v' => 1]], ['t', ['v' => 2]], ['t', ['id' => 2, 'v' => 3]]],
            [['t', ['v' => 4]], ['t', ['v' => 1_000]]],
            [['t', ['v' => 5]]],
        ],
    ],
    'whose other unique key is there already' => [
        'tables' => $table(['constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY u (v)']]),
        'steps' => $groups(['v' => 1], ['v' => 2, 'n' => 1], ['v' => 1, 'n' => 9], ['v' => null], ['v' => null]),
    ],
    'whose other unique key is there already, where an upsert may hit it' => [
        'tables' => $table([
            'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY u (v)'],
            'rules' => ['allowSecondUnique' => true],
        ]),
        'steps' => $groups(['v' => 1], ['id' => 9, 'v' => 1, 'n' => 2], ['v' => 1, 'n' => 9], ['id' => 9, 'v' => 3], ['v' => 1]),
    ],
    'a required column is missing' => [
        'tables' => $table(['columns' => ['n' => 'INT NOT NULL'] + $columns]),
        'steps' => $groups(['n' => 1], ['v' => 1], ['n' => 2, 'v' => 2]),
    ],
    'null and zero are no key' => [
        'tables' => $table(),
        'steps' => $groups(['id' => null, 'v' => 1], ['id' => 0, 'v' => 2], ['v' => 3]),
    ],
    'every version, and a trigger' => [
        'tables' => $table([
            'rules' => ['coalesce' => false],
            'triggers' => ['BEFORE INSERT SET NEW.n = NEW.n + 1'],
        ]),
        'steps' => $groups(['v' => 1], ['v' => 1], ['id' => 4, 'v' => 2], ['id' => 4, 'v' => 3], ['v' => 1]),
    ],
    'a part of a key' => [
        'tables' => $table(['constraints' => ['PRIMARY KEY (id, v)'], 'columns' => ['v' => 'INT NOT NULL'] + $columns]),
        'steps' => $groups(['v' => 1], ['v' => 1], ['id' => 3, 'v' => 1], ['id' => 3, 'n' => 1], ['n' => 4]),
    ],
    'parents whose first has no key, and their children' => [
        'tables' => $table() + ['u' => [
            'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (p) REFERENCES t (id)'],
        ]],
        'steps' => [
            [['t', ['v' => 1]]],
            [['u', ['id' => 1, 'p' => 5]]],
            [['t', ['id' => 5, 'v' => 2]]],
            [['u', ['id' => 2, 'p' => 5]]],
            [['t', ['v' => 3]]],
        ],
    ],
    'deletions between them' => [
        'tables' => $table(),
        'steps' => [
            [['t', ['v' => 1]]],
            [['t', ['id' => 1_000], 'delete']],
            [['t', ['v' => 2]]],
            [['t', ['id' => 2, 'v' => 3]]],
            [['t', ['id' => 2], 'delete']],
            [['t', ['v' => 4]]],
        ],
    ],
];
