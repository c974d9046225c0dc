<?php

declare(strict_types=1);

// A trigger that reads or writes another table meets that table's rows in the order in which all
// rows were added.

$pair = static fn (string $trigger): array => [
    'o' => [
        'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
        'constraints' => ['PRIMARY KEY (id)'],
        'triggers' => [$trigger],
    ],
    't' => [
        'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
        'constraints' => ['PRIMARY KEY (id)'],
    ],
];
$one = [[['o', ['id' => 1, 'v' => 100]]], [['t', ['id' => 1, 'v' => 6]]], [['o', ['id' => 2, 'v' => 7]]]];
$other = [[['t', ['id' => 1, 'v' => 6]]], [['o', ['id' => 1, 'v' => 100]]], [['t', ['id' => 1, 'v' => 8]]]];
$group = [[['o', ['id' => 1, 'v' => 1]], ['t', ['id' => 1, 'v' => 2]], ['o', ['id' => 1, 'v' => 3]]]];
$insert = 'AFTER INSERT INSERT INTO t VALUES (NEW.id, NEW.v) ON DUPLICATE KEY UPDATE v = v + NEW.v';
$update = 'AFTER INSERT UPDATE t SET v = v + NEW.v WHERE id = 1';
$delete = 'AFTER INSERT DELETE FROM t WHERE id = NEW.id';
$read = 'BEFORE INSERT SET NEW.v = (SELECT SUM(v) FROM t)';
$plain = 'AFTER INSERT INSERT INTO t VALUES (NEW.id + 1000, NEW.v)';

return [
    'a trigger inserts into a table that comes later' => ['tables' => $pair($insert), 'steps' => $one],
    'a trigger inserts into a table that came before' => ['tables' => $pair($insert), 'steps' => $other],
    'a trigger inserts in a group' => ['tables' => $pair($insert), 'steps' => $group],
    'a trigger updates a table that comes later' => ['tables' => $pair($update), 'steps' => $one],
    'a trigger updates a table that came before' => ['tables' => $pair($update), 'steps' => $other],
    'a trigger deletes from a table that comes later' => ['tables' => $pair($delete), 'steps' => $one],
    'a trigger deletes from a table that came before' => ['tables' => $pair($delete), 'steps' => $other],
    'a trigger reads a table that comes later' => ['tables' => $pair($read), 'steps' => $one],
    'a trigger reads a table that came before' => ['tables' => $pair($read), 'steps' => $other],
    'a trigger adds rows of its own' => ['tables' => $pair($plain), 'steps' => $other],
];
