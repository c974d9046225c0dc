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
$deleted = 'AFTER DELETE INSERT INTO t VALUES (OLD.id, OLD.v) ON DUPLICATE KEY UPDATE v = v + OLD.v';
$goneBefore = [
    [['o', ['id' => 1, 'v' => 100]], ['o', ['id' => 2, 'v' => 5]]],
    'flush',
    [['o', [1], 'delete']],
    [['t', ['id' => 1, 'v' => 6]]],
    [['o', [2], 'delete']],
];
$goneAfter = [
    [['o', ['id' => 1, 'v' => 100]]],
    'flush',
    [['t', ['id' => 1, 'v' => 6]]],
    [['o', [1], 'delete']],
    [['t', ['id' => 1, 'v' => 8]]],
];
$emptied = [
    [['t', ['id' => 1, 'v' => 6]], ['t', ['id' => 2, 'v' => 1]]],
    'flush',
    [['t', [1], 'delete']],
    [['o', ['id' => 1, 'v' => 100]]],
    [['t', [1], 'delete'], ['t', [2], 'delete'], ['o', ['id' => 2, 'v' => 7]]],
];
// Rows that can only update, several of them beside each other.
$partial = static fn (string $trigger): array => [
    'o' => [
        'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'v' => 'INT NULL'],
        'constraints' => ['PRIMARY KEY (id)'],
        'triggers' => [$trigger],
    ],
    't' => [
        'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'v' => 'INT NULL'],
        'constraints' => ['PRIMARY KEY (id)'],
        'rules' => ['merge' => ['v' => 'max']],
    ],
];
$whole = static fn (string $table, int $id): array => [$table, ['id' => $id, 'x' => 1, 'v' => $id]];
$updates = [
    [$whole('o', 1), $whole('o', 2), $whole('o', 3), $whole('t', 1), $whole('t', 2), $whole('t', 3)],
    'flush',
    [['t', ['id' => 1, 'v' => 20]], ['t', ['id' => 2, 'v' => 30]], ['t', ['id' => 3, 'v' => 2]]],
    [['o', ['id' => 1, 'v' => 40]], ['o', ['id' => 2, 'v' => 50]], ['o', ['id' => 3, 'v' => 60]]],
    [['t', ['id' => 1, 'v' => 45]], ['t', ['id' => 2, 'v' => 45]], ['t', ['id' => 3, 'v' => 45]]],
    [['o', ['id' => 3, 'v' => 1]], ['t', [2], 'delete'], ['o', ['id' => 2, 'v' => 3]], ['t', ['id' => 2, 'v' => 4]]],
];
$halves = 'AFTER UPDATE UPDATE t SET v = v DIV 2 WHERE id = NEW.id';
$sums = 'BEFORE UPDATE SET NEW.v = (SELECT SUM(v) FROM t)';

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
    'a trigger on deletions inserts into a table that comes before' => ['tables' => $pair($deleted), 'steps' => $goneAfter],
    'a trigger on deletions inserts into a table that comes later' => ['tables' => $pair($deleted), 'steps' => $goneBefore],
    'a trigger inserts what was deleted before' => ['tables' => $pair($insert), 'steps' => $emptied],
    'a trigger reads what was deleted before' => ['tables' => $pair($read), 'steps' => $emptied],
    'a trigger on updates changes rows that are updated' => ['tables' => $partial($halves), 'steps' => $updates],
    'a trigger on updates reads rows that are updated' => ['tables' => $partial($sums), 'steps' => $updates],
    'a trigger adds rows of its own' => ['tables' => $pair($plain), 'steps' => $other],
];
