<?php

declare(strict_types=1);

// Columns, triggers and histories that see each row show whether each row was written.

$stamp = "TIMESTAMP NOT NULL DEFAULT '2000-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP";
$stamped = ['columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL', 'stamp' => $stamp], 'constraints' => ['PRIMARY KEY (id)']];
$counting = static fn (string ...$triggers): array => [
    'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL', 'counted' => 'INT NOT NULL DEFAULT 0'],
    'constraints' => ['PRIMARY KEY (id)'],
    'triggers' => $triggers,
];
// Each version of a row that has the time of the one before it counts a hundred times.
$timed = [
    'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL', 'seen' => 'INT NOT NULL DEFAULT 0'],
    'constraints' => ['PRIMARY KEY (id)'],
    'triggers' => [
        'AFTER INSERT SET @last = NOW(6)',
        'BEFORE UPDATE SET NEW.seen = OLD.seen + IF(NOW(6) = @last, 100, 1)',
        'AFTER UPDATE SET @last = NOW(6)',
    ],
];
$twice = [[['t', ['id' => 1, 'v' => 1]]], [['t', ['id' => 1, 'v' => 2]]]];
$again = [[['t', ['id' => 1, 'v' => 1]]], [['t', ['id' => 1, 'v' => 1]]]];
$backAndForth = [
    [['t', ['id' => 1, 'v' => 1]]],
    "UPDATE t SET stamp = '2000-01-01'",
    [['t', ['id' => 1, 'v' => 2]]],
    [['t', ['id' => 1, 'v' => 1]]],
];
$signal = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF";

return [
    'ON UPDATE: a new row that is changed' => ['tables' => ['t' => $stamped], 'steps' => $twice],
    'ON UPDATE: a new row that is the same again' => ['tables' => ['t' => $stamped], 'steps' => $again],
    'ON UPDATE: there and back' => ['tables' => ['t' => $stamped], 'steps' => $backAndForth],
    'ON UPDATE: given, then left to the server' => [
        'tables' => ['t' => $stamped],
        'steps' => [
            [['t', ['id' => 1, 'v' => 1, 'stamp' => '2001-01-01 00:00:00']]],
            [['t', ['id' => 1, 'v' => 2]]],
        ],
    ],
    'ON UPDATE: NULL in the place of NULL, where the default is another value' => [
        'tables' => ['t' => [
            'columns' => ['v' => 'INT NULL DEFAULT 2', 'stamp' => 'DATETIME NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP'] + $stamped['columns'],
            'constraints' => ['PRIMARY KEY (id)'],
        ]],
        'steps' => [[['t', ['id' => 1, 'v' => null]]], [['t', ['id' => 1, 'v' => null]]]],
    ],
    'BEFORE UPDATE counts' => [
        'tables' => ['t' => $counting('BEFORE UPDATE SET NEW.counted = OLD.counted + 1')],
        'steps' => $again,
    ],
    'BEFORE UPDATE counts changes' => [
        'tables' => ['t' => $counting('BEFORE UPDATE SET NEW.counted = OLD.counted + IF(NEW.v <=> OLD.v, 0, 1)')],
        'steps' => [...$twice, ...$again],
    ],
    'BEFORE UPDATE refuses what is there' => [
        'tables' => ['t' => $counting("BEFORE UPDATE IF OLD.v = 1 THEN {$signal}")],
        'steps' => $twice,
    ],
    'BEFORE UPDATE keeps the first value' => [
        'tables' => ['t' => $counting('BEFORE UPDATE SET NEW.v = OLD.v')],
        'steps' => $twice,
    ],
    'BEFORE INSERT refuses a value that is replaced' => [
        'tables' => ['t' => $counting("BEFORE INSERT IF NEW.v = 1 THEN {$signal}")],
        'steps' => $twice,
    ],
    'BEFORE INSERT adds to what is summed' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NOT NULL DEFAULT 0'],
            'constraints' => ['PRIMARY KEY (id)'],
            'triggers' => ['BEFORE INSERT SET NEW.v = NEW.v + 1'],
            'rules' => ['merge' => ['v' => 'sum']],
        ]],
        'steps' => $twice,
    ],
    'AFTER INSERT and AFTER UPDATE log' => [
        'tables' => [
            'log' => ['columns' => ['what' => 'VARCHAR(20)']],
            't' => $counting(
                "AFTER INSERT INSERT INTO log VALUES (CONCAT('inserted ', NEW.v))",
                "AFTER UPDATE INSERT INTO log VALUES (CONCAT('from ', OLD.v, ' to ', NEW.v))",
            ),
        ],
        'steps' => $twice,
    ],
    "'coalesce' => false: AFTER INSERT and AFTER UPDATE log, in the order of all rows" => [
        'tables' => [
            'log' => ['columns' => ['what' => 'VARCHAR(20)']],
            't' => $counting(
                "AFTER INSERT INSERT INTO log VALUES (CONCAT('inserted ', NEW.v))",
                "AFTER UPDATE INSERT INTO log VALUES (CONCAT('from ', OLD.v, ' to ', NEW.v))",
            ) + ['rules' => ['coalesce' => false]],
        ],
        'steps' => [[['t', ['id' => 9, 'v' => 1]], ['t', ['id' => 1, 'v' => 1]]], ...$twice, ...$again, ...$twice],
    ],
    'a trigger sees a time of its own for each version of a row' => [
        'tables' => ['t' => $timed],
        'steps' => [
            [['t', ['id' => 1, 'v' => 1]], ['t', ['id' => 1, 'v' => 2]], ['t', ['id' => 1, 'v' => 3]]],
            ...$twice,
            ...$again,
        ],
    ],
    "'coalesce' => false: each version of a row has a statement, and a time, of its own" => [
        'tables' => ['t' => $timed + ['rules' => ['coalesce' => false]]],
        'steps' => [
            [['t', ['id' => 1, 'v' => 1]], ['t', ['id' => 1, 'v' => 2]], ['t', ['id' => 1, 'v' => 3]]],
            ...$twice,
            ...$again,
        ],
    ],
    "'coalesce' => false: sums, guards, rows that can only update, and several keys" => [
        'tables' => ['t' => [
            'columns' => [
                'id' => 'VARCHAR(9) NOT NULL', 'n' => 'DECIMAL(6, 2) NOT NULL DEFAULT 0', 'v' => 'INT NOT NULL',
                'must' => 'INT NOT NULL', 'changes' => 'INT NOT NULL DEFAULT 0',
            ],
            'constraints' => ['PRIMARY KEY (id)'],
            'triggers' => ['BEFORE UPDATE SET NEW.changes = OLD.changes + 1'],
            'rules' => ['coalesce' => false, 'guard' => 'v', 'merge' => ['n' => 'sum']],
        ]],
        'steps' => [
            [['t', ['id' => 'b', 'n' => '0.1', 'v' => 5, 'must' => 1]], ['t', ['id' => 'a', 'n' => '0.1', 'v' => 5, 'must' => 1]]],
            [['t', ['id' => 'b', 'n' => '0.25', 'v' => 4, 'must' => 2]], ['t', ['id' => 'B', 'n' => '7', 'v' => 6, 'must' => 3]]],
            [['t', ['id' => 'a', 'n' => '1', 'v' => 6]], ['t', ['id' => 'a', 'n' => '1', 'v' => 7]]],
            [['t', ['id' => "\u{e4}", 'n' => '1', 'v' => 6, 'must' => 1]], ['t', ['id' => 'a ', 'n' => '1', 'v' => 8, 'must' => 1]]],
        ],
    ],
    "'coalesce' => false: an insert-only table keeps the order of its rows" => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'seq' => 'INT NOT NULL AUTO_INCREMENT'],
            'constraints' => ['PRIMARY KEY (id)', 'KEY (seq)'],
            'rules' => ['coalesce' => false, 'mode' => 'insert'],
        ]],
        'steps' => [[['t', ['id' => 9]], ['t', ['id' => 3]]], [['t', ['id' => 7]]], [['t', ['id' => 1]]]],
    ],
    "'coalesce' => false: a parent and its children" => [
        'tables' => [
            'log' => ['columns' => ['what' => 'VARCHAR(40)']],
            'p' => [
                'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
                'constraints' => ['PRIMARY KEY (id)'],
                'triggers' => ["AFTER UPDATE INSERT INTO log VALUES (CONCAT('p ', OLD.v, ' to ', NEW.v))"],
                'rules' => ['coalesce' => false],
            ],
            'c' => [
                'columns' => ['id' => 'INT NOT NULL', 'p' => 'INT NOT NULL'],
                'constraints' => ['PRIMARY KEY (id)', 'FOREIGN KEY (p) REFERENCES p (id)'],
                'rules' => ['coalesce' => false],
            ],
        ],
        'steps' => [
            [['p', ['id' => 2, 'v' => 1]], ['c', ['id' => 1, 'p' => 2]]],
            [['c', ['id' => 2, 'p' => 1]], ['p', ['id' => 1, 'v' => 1]]],
            [['p', ['id' => 1, 'v' => 1]], ['c', ['id' => 2, 'p' => 1]], ['p', ['id' => 2, 'v' => 7]]],
            [['p', ['id' => 2, 'v' => 8]], ['c', ['id' => 1, 'p' => 1]]],
        ],
    ],
    'a history' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'options' => 'WITH SYSTEM VERSIONING',
        ]],
        'steps' => $twice,
    ],
    'a history of rows whose keys are not certain' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'options' => 'WITH SYSTEM VERSIONING',
        ]],
        'steps' => [[['t', ['id' => 3, 'v' => 1]]], [['t', ['id' => '3 ', 'v' => 2]]]],
    ],
    'a history in a lenient session' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'options' => 'WITH SYSTEM VERSIONING',
        ]],
        'sqlMode' => '',
        'steps' => $twice,
    ],
    'a history of a key that ends in a SET' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'k' => "SET('x','y') NOT NULL", 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id, k)'],
            'options' => 'WITH SYSTEM VERSIONING',
        ]],
        'steps' => [[['t', ['id' => 3, 'k' => 'x', 'v' => 1]], ['t', ['id' => 3, 'k' => 'x', 'v' => 2]]]],
    ],
    'a history of a row that is hit by its second unique key' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'u' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)', 'UNIQUE KEY second (u)'],
            'options' => 'WITH SYSTEM VERSIONING',
            'rules' => ['allowSecondUnique' => true],
        ]],
        'steps' => [[['t', ['id' => 1, 'u' => 7]], ['t', ['id' => 2, 'u' => 7]]]],
    ],
    'a history of a group' => [
        'server' => 'mariadb',
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'options' => 'WITH SYSTEM VERSIONING',
        ]],
        'steps' => [[['t', ['id' => 1, 'v' => 1]], ['t', ['id' => 1, 'v' => 2]], ['t', ['id' => 1, 'v' => 3]]]],
    ],
];
