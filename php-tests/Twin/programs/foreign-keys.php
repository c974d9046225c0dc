<?php

declare(strict_types=1);

// A row that refers to a row which comes later is refused alone. Writing tables or keys in another
// order than the rows came in makes it pass, or refuses what would have passed.

$parent = ['columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'], 'constraints' => ['PRIMARY KEY (id)']];
$child = [
    'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NULL'],
    'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (p) REFERENCES parent (id)'],
];
$own = [
    'columns' => ['id' => 'INT NOT NULL', 'own' => 'INT NULL'],
    'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (own) REFERENCES own (id)'],
];

return [
    'a child whose parent comes in a later group' => [
        'tables' => ['parent' => $parent, 'child' => $child],
        'steps' => [[['parent', ['id' => 2]]], [['child', ['id' => 2, 'p' => 3]]], [['parent', ['id' => 3]]]],
    ],
    'a child before its parent in a group' => [
        'tables' => ['parent' => $parent, 'child' => $child],
        'steps' => [[['parent', ['id' => 1]]], [['child', ['id' => 1, 'p' => 3]], ['parent', ['id' => 3]]]],
    ],
    'a child of nobody, replaced by a child without a parent' => [
        'tables' => ['parent' => $parent, 'child' => $child],
        'steps' => [[['child', ['id' => 1, 'p' => 2]]], [['child', ['id' => 1, 'p' => null]]]],
    ],
    'a parent and its child of the same table, whose keys sort the other way' => [
        'tables' => ['own' => $own],
        'steps' => [[['own', ['id' => 9, 'own' => null]], ['own', ['id' => 5, 'own' => 9]]]],
    ],
    'a child before its parent of the same table' => [
        'tables' => ['own' => $own],
        'steps' => [[['own', ['id' => 9, 'own' => 5]]], [['own', ['id' => 5, 'own' => null]]]],
    ],
    'a row that refers to nobody, then to nothing' => [
        'tables' => ['own' => $own],
        'steps' => [[['own', ['id' => 1, 'own' => 2]]], [['own', ['id' => 1, 'own' => null]]]],
    ],
    'a child added before the rows of another table that its parent needs' => [
        'tables' => ['parent' => $parent, 'child' => $child],
        'steps' => [
            [['child', ['id' => 1, 'p' => null]], ['parent', ['id' => 1]]],
            [['parent', ['id' => 2]], ['child', ['id' => 1, 'p' => 2]]],
            [['child', ['id' => 2, 'p' => 3]]],
        ],
    ],
];
