<?php

declare(strict_types=1);

// Each sum along the way must fit its column, as it would row by row.

$program = static fn (string $type, mixed ...$values): array => [
    'tables' => ['t' => [
        'columns' => ['id' => 'INT NOT NULL', 'n' => $type],
        'constraints' => ['PRIMARY KEY (id)'],
        'rules' => ['merge' => ['n' => 'sum']],
    ]],
    'steps' => array_map(static fn (mixed $value): array => [['t', ['id' => 1, 'n' => $value]]], $values),
];

return [
    'an UNSIGNED that a negative value would not reach' => $program('INT UNSIGNED NOT NULL DEFAULT 0', 100, 10, -5),
    'an UNSIGNED below zero in between' => $program('INT UNSIGNED NOT NULL DEFAULT 0', 5, '-1', 3),
    'a TINYINT above its range in between' => $program('TINYINT NOT NULL DEFAULT 0', 100, 100, -100),
    'a value beyond the range, and one that takes it back' => $program('TINYINT NOT NULL DEFAULT 0', 200, -100),
    'a DECIMAL above its range in between' => $program('DECIMAL(4,2) NOT NULL DEFAULT 0', '99.99', '1', '-2'),
    'digits that the column rounds away' => $program('DECIMAL(4,2) NOT NULL DEFAULT 0', '0.005', '0.005', '-0.005', '0.004'),
    'a CHECK that a sum along the way does not pass' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'n' => 'INT NOT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)', 'CHECK (n < 100)'],
            'rules' => ['merge' => ['n' => 'sum']],
        ]],
        'steps' => [[['t', ['id' => 1, 'n' => 60]]], [['t', ['id' => 1, 'n' => 60]]], [['t', ['id' => 1, 'n' => -60]]]],
    ],
    'halves in an INT' => $program('INT NOT NULL DEFAULT 0', '0.5', '0.5', '-0.5', '1.4'),
];
