<?php

declare(strict_types=1);

// The row of a model that exists only updates: if its row is gone, it is refused, and no row of
// what has changed comes into being. Here no column is required, so an INSERT would do.

$columns = ['id' => 'INT NOT NULL', 'a' => 'INT NULL', 'b' => 'INT NOT NULL DEFAULT 7', 'n' => 'TINYINT NULL'];
$table = ['columns' => $columns, 'constraints' => ['PRIMARY KEY (id)']];
$guarded = [
    'columns' => ['id' => 'INT NOT NULL', 'g' => 'INT NULL', 'a' => 'INT NULL', 'b' => 'INT NOT NULL DEFAULT 7'],
    'constraints' => ['PRIMARY KEY (id)'],
    'rules' => ['guard' => 'g'],
];
$put = static fn (mixed ...$row): array => [['t', $row]];
$update = static fn (mixed ...$row): array => [['t', $row, 'update']];
$delete = static fn (int $id): array => [['t', [$id], 'delete']];

return [
    'one whose row is there, one whose row is gone, one whose row never was' => [
        'tables' => ['t' => $table],
        'steps' => [$put(id: 1, a: 1), $put(id: 2, a: 2), 'flush', 'DELETE FROM t WHERE id = 2', $update(id: 1, a: 3), $update(id: 2, a: 4), $update(id: 3, a: 5)],
    ],
    'behind its insert, its deletion, and an insert again' => [
        'tables' => ['t' => $table],
        'steps' => [
            $put(id: 1, a: 1), $update(id: 1, b: 2), $delete(1), $update(id: 1, a: 9), $put(id: 1, n: 3), $update(id: 1, a: 4),
            $update(id: 2, a: 1), $put(id: 2), $update(id: 2, b: 8),
        ],
    ],
    'before the whole row, in the same group' => [
        'tables' => ['t' => $table],
        'steps' => [[...$update(id: 1, a: 1), ...$put(id: 1, a: 2)], $put(id: 2), [...$put(id: 3), ...$update(id: 3, a: 1)]],
    ],
    'that is put back when its row is there again' => [
        'tables' => ['t' => $table],
        'steps' => [$update(id: 1, a: 1), 'flush', 'retry', $put(id: 1, b: 2), 'flush', 'retry'],
    ],
    'many, of several sets of columns, some of them refused' => [
        'tables' => ['t' => $table],
        'steps' => [
            ...array_map(static fn (int $id): array => $put(id: $id, a: $id), range(1, 20)),
            'flush',
            'DELETE FROM t WHERE id % 7 = 0',
            ...array_map(static fn (int $id): array => $update(id: $id, a: -$id), range(1, 20)),
            ...array_map(static fn (int $id): array => $update(id: $id, n: $id * 10), range(1, 20)),
            ...array_map(static fn (int $id): array => [...$update(id: $id, b: 1), ...$update(id: $id + 1, n: 1)], range(1, 20)),
        ],
    ],
    'rules: sums, the least, the greatest, the first' => [
        'tables' => ['t' => $table + ['rules' => ['merge' => ['n' => 'sum', 'b' => 'keep', 'a' => 'max']]]],
        'steps' => [
            $put(id: 1, a: 1, b: 1, n: 100),
            'flush',
            $update(id: 1, n: 20), $update(id: 1, n: 20), $update(id: 1, b: 5, a: 9), $update(id: 2, n: 1), $put(id: 2, n: 1), $update(id: 2, n: 1),
        ],
    ],
    'a guard turns it away, and a row that is gone is refused all the same' => [
        'tables' => ['t' => $guarded],
        'steps' => [
            $put(id: 1, g: 5, a: 1), $put(id: 2, g: 5, a: 1),
            'flush',
            'DELETE FROM t WHERE id = 2',
            $update(id: 1, g: 4, a: 2), $update(id: 1, g: 6, a: 3), $update(id: 1, g: 5, b: 3), $update(id: 2, g: 9, a: 1), $update(id: 1, a: 1),
        ],
    ],
    "'coalesce' => false" => [
        'tables' => ['t' => $table + ['rules' => ['coalesce' => false]]],
        'steps' => [$put(id: 1, a: 1), $update(id: 1, a: 2), $update(id: 1, a: 3), $update(id: 2, a: 1), $put(id: 2), $update(id: 2, a: 4)],
    ],
    'a table whose rows are only inserted, and one whose key the server knows: it is written' => [
        'tables' => [
            't' => $table + ['rules' => ['mode' => 'insert']],
            'u' => ['columns' => $columns, 'constraints' => ['PRIMARY KEY (id)'], 'rules' => ['key' => 'server']],
        ],
        'steps' => [$update(id: 1, a: 1), $update(id: 2, a: 2), [['u', ['id' => 1, 'a' => 1], 'update']], [['u', ['id' => 1, 'b' => 1], 'update']]],
    ],
    'a key that is numbered, and not given' => [
        'tables' => ['t' => ['columns' => ['id' => 'INT NOT NULL AUTO_INCREMENT'] + $columns, 'constraints' => ['PRIMARY KEY (id)']]],
        'steps' => [$put(a: 1), $update(a: 2), $update(id: 5, a: 3), $put(id: 5), $update(id: 5, a: 4)],
    ],
];
