<?php

declare(strict_types=1);

// A deletion is in order with everything else of its key: what came before it in the batch is
// dropped, what comes after it starts from nothing. A guard decides first.

$columns = ['id' => 'INT NOT NULL', 'a' => 'INT NULL', 'b' => 'INT NOT NULL DEFAULT 7', 'n' => 'TINYINT NULL'];
$table = ['columns' => $columns, 'constraints' => ['PRIMARY KEY (id)']];
$summed = $table + ['rules' => ['merge' => ['n' => 'sum', 'b' => 'keep', 'a' => 'max']]];
$guarded = [
    'columns' => ['id' => 'INT NOT NULL', 'g' => 'INT NULL', 'a' => 'INT NULL', 'b' => 'INT NOT NULL DEFAULT 7'],
    'constraints' => ['PRIMARY KEY (id)'],
    'rules' => ['guard' => 'g'],
];
$stored = [['t', ['id' => 1, 'a' => 1, 'b' => 1, 'n' => 1]], ['t', ['id' => 2, 'a' => 2, 'b' => 2, 'n' => 2]]];
$newer = [['t', ['id' => 1, 'g' => 5, 'a' => 1, 'b' => 1]], ['t', ['id' => 2, 'g' => 5, 'a' => 2, 'b' => 2]]];
$delete = static fn (mixed ...$key): array => [['t', $key, 'delete']];
$parent = ['columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'], 'constraints' => ['PRIMARY KEY (id)']];
$child = static fn (string $action = ''): array => [
    'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NULL'],
    'constraints' => ['PRIMARY KEY (id)', "FOREIGN KEY (p) REFERENCES parent (id) {$action}"],
];
$family = [[['parent', ['id' => 1]]], [['parent', ['id' => 2]]], [['child', ['id' => 1, 'p' => 1]]], 'flush'];

return [
    'a row that is there, one that is not, and one that was' => [
        'tables' => ['t' => $table],
        'steps' => [$stored, 'flush', $delete(1), $delete(3), $delete(1), $delete(id: 2), [['t', ['id' => 2, 'a' => 3]]], 'flush', $delete('2')],
    ],
    'a row after a deletion starts from nothing' => [
        'tables' => ['t' => $summed],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'n' => 5, 'b' => 4]]], $delete(1), [['t', ['id' => 1, 'n' => 6]]], [['t', ['id' => 1, 'n' => 2, 'b' => 9, 'a' => 0]]]],
    ],
    'a row after a deletion, that was never there' => [
        'tables' => ['t' => $table],
        'steps' => [[['t', ['id' => 1, 'a' => 5]]], $delete(1), [['t', ['id' => 1, 'n' => 6]]], $delete(1), $delete(2), [['t', ['id' => 2]]]],
    ],
    'a sum that leaves its column before the row is deleted' => [
        'tables' => ['t' => $summed],
        'steps' => [[['t', ['id' => 1, 'n' => 100]]], 'flush', [['t', ['id' => 1, 'n' => 100]]], $delete(1)],
    ],
    'a value that is refused before the row is deleted' => [
        'tables' => ['t' => $table],
        'steps' => [$stored, [['t', ['id' => 1, 'n' => 1_000]]], $delete(1), [['t', ['id' => 2, 'n' => 'x']]], $delete(2)],
    ],
    'a row that can only update, before and after its deletion' => [
        'tables' => ['t' => ['columns' => ['x' => 'INT NOT NULL'] + $columns, 'constraints' => ['PRIMARY KEY (id)']]],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1]]],
            'flush',
            [['t', ['id' => 1, 'a' => 2]]],
            $delete(1),
            [['t', ['id' => 1, 'a' => 3]]],
            [['t', ['id' => 2, 'a' => 3]]],
            $delete(2),
            'retry',
            [['t', ['id' => 2, 'x' => 1]], ['t', ['id' => 2, 'a' => 3]], ['t', [2], 'delete']],
        ],
    ],
    'a CHECK over a default, before the row is deleted' => [
        'tables' => ['t' => ['columns' => $columns, 'constraints' => ['PRIMARY KEY (id)', 'CHECK (b > 7)']]],
        'steps' => [[['t', ['id' => 1, 'a' => 1]]], $delete(1), [['t', ['id' => 1, 'b' => 8]]], $delete(1)],
    ],
    'a guard decides first' => [
        'tables' => ['t' => $guarded],
        'steps' => [
            $newer,
            'flush',
            $delete(id: 1, g: 4),
            $delete(id: 2, g: 4),
            [['t', ['id' => 2, 'g' => 6, 'b' => 3]]],
            $delete(id: 2, g: 6),
            [['t', ['id' => 2, 'g' => 1, 'a' => 9]]],
            'flush',
            $delete(id: 1, g: 5),
            $delete(id: 2, g: 0),
        ],
    ],
    'a guard with spaces around it' => [
        'tables' => ['t' => $guarded],
        'steps' => [
            $newer,
            'flush',
            $delete(id: 1, g: ' 4'),
            $delete(id: 2, g: ' 5'),
            [['t', ['id' => 3, 'g' => 5]], ['t', ['id' => 4, 'g' => 5]]],
            $delete(id: 3, g: ' 5'),
            $delete(id: 4, g: '4 '),
            $delete(id: 4, g: '4 x'),
        ],
    ],
    'a guard between rows and deletions that are older and newer' => [
        'tables' => ['t' => $guarded],
        'steps' => [
            $newer,
            'flush',
            [['t', ['id' => 1, 'g' => 4, 'a' => 9]]],
            $delete(id: 1, g: 4),
            [['t', ['id' => 1, 'g' => 3, 'a' => 8]]],
            [['t', ['id' => 2, 'g' => 6, 'a' => 9]]],
            $delete(id: 2, g: 5),
            $delete(id: 2, g: 3),
            'flush',
            $delete(g: 6, id: 2),
            $delete(id: 2, g: 9),
            [['t', ['id' => 2, 'g' => 1, 'a' => 7]]],
            $delete(1),
            [['t', ['id' => 1, 'g' => 1, 'a' => 7]]],
            $delete(id: 1, g: 0),
        ],
    ],
    'a guard that is NULL in the table, and one that is no value' => [
        'tables' => ['t' => $guarded],
        'steps' => [
            $newer,
            'flush',
            'UPDATE t SET g = NULL WHERE id = 1',
            $delete(id: 1, g: 0),
            $delete(id: 2, g: 2_147_483_648),
            $delete(id: 2, g: 'abc'),
            $delete(id: 2, g: null),
            $delete(id: 2, g: '5.4'),
        ],
    ],
    'a key of two columns' => [
        'tables' => ['t' => ['columns' => ['id' => 'INT NOT NULL', 'k' => 'VARCHAR(4) NOT NULL', 'a' => 'INT'], 'constraints' => ['PRIMARY KEY (k, id)']]],
        'steps' => [
            [['t', ['id' => 1, 'k' => 'a']], ['t', ['id' => 1, 'k' => '1']], ['t', ['id' => 2, 'k' => '01']], ['t', ['id' => 2, 'k' => 'b']]],
            'flush',
            $delete('a', 1),
            $delete(id: 1, k: 1),
            $delete(k: 1, id: 2),
            $delete('b', 1),
        ],
    ],
    'keys that a server compares in its own way' => [
        'tables' => [
            't' => ['columns' => ['id' => 'VARCHAR(4) COLLATE utf8mb4_unicode_ci NOT NULL', 'a' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
            'd' => ['columns' => ['id' => 'DECIMAL(4,2) NOT NULL', 'a' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
            'b' => ['columns' => ['id' => 'BIGINT UNSIGNED NOT NULL', 'a' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
            'l' => ['columns' => ['id' => 'VARCHAR(4) CHARACTER SET latin1 NOT NULL', 'a' => 'INT'], 'constraints' => ['PRIMARY KEY (id)']],
        ],
        'steps' => [
            [['t', ['id' => 'a']], ['t', ['id' => 'ö']], ['t', ['id' => '1']], ['t', ['id' => '01']]],
            [['d', ['id' => '1.00']], ['d', ['id' => '2.5']], ['b', ['id' => '18446744073709551615']], ['b', ['id' => '18446744073709551614']]],
            [['l', ['id' => 'a']], ['l', ['id' => '€']], ['b', ['id' => '9007199254740993']], ['b', ['id' => '9007199254740992']]],
            'flush',
            $delete('Ä'),
            $delete('O '),
            $delete(1),
            [['d', ['1.004'], 'delete'], ['d', ['1'], 'delete']],
            [['d', [2.5], 'delete'], ['d', ['abc'], 'delete']],
            [['b', ['18446744073709551615'], 'delete']],
            [['b', ['9007199254740993'], 'delete']],
            [['b', [-1], 'delete']],
            [['b', ['x'], 'delete']],
            [['l', ['😀'], 'delete']],
            [['l', ['€'], 'delete']],
        ],
    ],
    'a row and its deletion in one group' => [
        'tables' => ['t' => $table],
        'steps' => [$stored, [['t', ['id' => 1, 'a' => 3]], ['t', [1], 'delete'], ['t', ['id' => 3, 'n' => 1_000]]], [...$delete(2), ['t', ['id' => 2]]]],
    ],
    'a child before its parent, and the other way round' => [
        'tables' => ['parent' => $parent, 'child' => $child()],
        'steps' => [
            ...$family,
            [['parent', [1], 'delete']],
            [['child', [1], 'delete']],
            [['parent', [1], 'delete']],
            'retry',
            [['child', ['id' => 3, 'p' => 2]]],
            [['child', ['id' => 3, 'p' => null]], ['parent', [2], 'delete']],
        ],
    ],
    'a parent that is deleted and comes again, with its children' => [
        'tables' => ['parent' => $parent, 'child' => $child('ON DELETE CASCADE')],
        'steps' => [
            ...$family,
            [['child', ['id' => 2, 'p' => 1]]],
            [['parent', [1], 'delete']],
            [['child', ['id' => 2, 'p' => 1]]],
            [['parent', ['id' => 1]]],
            [['child', ['id' => 3, 'p' => 1]]],
            [['parent', ['id' => 3]]],
            [['child', ['id' => 4, 'p' => 3]]],
            [['parent', [3], 'delete']],
        ],
    ],
    'what cascades through a table that has no rows in the batch' => [
        'tables' => [
            'grand' => $parent,
            'parent' => [
                'columns' => ['id' => 'INT NOT NULL', 'g' => 'INT NULL'],
                'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (g) REFERENCES grand (id) ON DELETE CASCADE'],
            ],
            'child' => $child('ON DELETE CASCADE'),
        ],
        'steps' => [
            [['grand', ['id' => 1]], ['parent', ['id' => 1, 'g' => 1]], ['child', ['id' => 1, 'p' => 1]]],
            'flush',
            [['child', ['id' => 2, 'p' => 1]]],
            [['grand', [1], 'delete']],
            [['child', ['id' => 1, 'p' => 1]]],
        ],
    ],
    'rows of a table that refers to itself, against the order of their keys' => [
        'tables' => ['own' => [
            'columns' => ['id' => 'INT NOT NULL', 'own' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (own) REFERENCES own (id)'],
        ]],
        'steps' => [
            [['own', ['id' => 1]], ['own', ['id' => 2, 'own' => 1]], ['own', ['id' => 3, 'own' => 2]], ['own', ['id' => 4, 'own' => 1]]],
            'flush',
            [['own', [3], 'delete']],
            [['own', [1], 'delete']],
            [['own', [2], 'delete'], ['own', [4], 'delete'], ['own', [1], 'delete']],
        ],
    ],
    'triggers see each deletion' => [
        'tables' => [
            'log_t' => ['columns' => ['what' => 'VARCHAR(200)']],
            't' => $table + ['triggers' => ["AFTER DELETE INSERT INTO log_t VALUES (CONCAT('d ', OLD.id, ' ', COALESCE(OLD.a, '-')))"]],
        ],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'a' => 8]]], $delete(1), [['t', ['id' => 1, 'a' => 9]]], $delete(1), $delete(2), $delete(2)],
    ],
    'a history keeps each version' => [
        'server' => 'mariadb',
        'tables' => ['t' => $table + ['options' => 'WITH SYSTEM VERSIONING']],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'a' => 8]]], $delete(1), [['t', ['id' => 1, 'a' => 9]]], $delete(1), $delete(2)],
    ],
    'a lenient session' => [
        'tables' => ['t' => $table],
        'sqlMode' => '',
        'steps' => [[['t', ['id' => 0]], ['t', ['id' => 1]], ['t', ['id' => 2]]], $delete('1x'), $delete('abc'), [['t', ['id' => '2x', 'a' => 5]]], $delete(2)],
    ],
    'tables whose rows are not deleted' => [
        'tables' => [
            't' => $table + ['rules' => ['mode' => 'insert']],
            's' => $table + ['rules' => ['key' => 'server']],
        ],
        'steps' => [[['t', ['id' => 1]]], $delete(1), [['s', ['id' => 1]]], [['s', ['id' => 1], 'delete']], [['t', ['id' => 3]], ['t', [1], 'delete']]],
    ],
];
