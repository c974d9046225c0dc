<?php

declare(strict_types=1);

// A statement that is executed again must take each value as if it were the first: MySQL remembers
// the types of the values before.

$two = static fn (string $type, mixed ...$values): array => [
    'tables' => ['t' => ['columns' => ['id' => 'INT NOT NULL', 'v' => $type], 'constraints' => ['PRIMARY KEY (id)']]],
    'settings' => ['batchSize' => 1],
    'steps' => array_map(
        static fn (mixed $value, int $id): array => [['t', ['id' => $id, 'v' => $value]]],
        $values,
        array_keys($values),
    ),
];

return [
    'BIT: a number, then bytes' => $two('BIT(8) NULL', 1, "\xff", 2, "\x03"),
    'BIT: bytes, then a number' => $two('BIT(8) NULL', "\xff", 1, null, "\xff"),
    'BIT: bytes, beside a refused group of another table' => [
        'tables' => [
            't' => ['columns' => ['id' => 'INT NOT NULL', 'v' => 'BIT(8) NOT NULL'], 'constraints' => ['PRIMARY KEY (id)']],
            'u' => ['columns' => ['id' => 'INT NOT NULL', 'v' => 'INT NOT NULL'], 'constraints' => ['PRIMARY KEY (id)']],
        ],
        'steps' => [[['t', ['id' => -1, 'v' => "\xff"]]], [['u', ['id' => 3]]]],
    ],
    'BIT: bytes twice' => $two('BIT(8) NULL', "\xff", "\xff", "\x03", "\xff"),
    'BIT: a refused group between a number and bytes' => [
        'server' => 'mysql',
        'tables' => [
            't' => ['columns' => ['k' => 'TIME NOT NULL', 'c1' => 'VARCHAR(4) NOT NULL'], 'rules' => ['mode' => 'insert']],
            'u' => ['columns' => ['id' => 'BIT(8) NOT NULL'], 'constraints' => ['PRIMARY KEY (id)']],
        ],
        'steps' => [[['u', ['id' => 1]], ['u', ['id' => "\xff"]]], [['t', ['k' => '10000']]]],
    ],
    'ENUM: a number, then a name' => $two("ENUM('a','b','1') NULL", 2, 'a', '1', 1, null, 'b'),
    'SET: a number, then a name' => $two("SET('x','y','1') NULL", 2, 'x', '1', 4, null, 'x,y'),
    'JSON: a number, then a document' => $two('JSON NULL', 1, '{"a":1}', 0.5, '[1]', null, '"x"'),
    'text: a number, then digits' => $two('VARCHAR(10) NULL', 1, '01', 1.5, '1.50', null, '007'),
    'DECIMAL: a float, then digits' => $two('DECIMAL(40,20) NULL', 0.5, '0.12345678901234567891', 3, '1.00000000000000000001'),
    'BIGINT: a float, then digits' => $two('BIGINT NULL', 0.5, '9007199254740993', 3, '9223372036854775807'),
    'UNSIGNED: a text that is no number, then a negative fraction' => [
        'server' => 'mysql',
        'tables' => ['t' => [
            'columns' => ['id' => 'BIT(1) NOT NULL', 'v' => 'MEDIUMINT UNSIGNED NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
        ]],
        'steps' => [
            [['t', ['id' => 1, 'v' => '3']]],
            [['t', ['id' => 0, 'v' => '']]],
            // Between the first two rows and the last two, which share a statement of two rows.
            [['t', ['id' => 0]], ['t', ['id' => 1, 'v' => '1e1']], ['t', ['id' => 0, 'v' => '-0.4']]],
        ],
    ],
    'YEAR: a number, then text' => $two('YEAR NULL', 0, '0', 70, '70', '0000'),
    'TIME: a number, then text' => $two('TIME NULL', 10_000, '10:00', '10000', 1),
    'DATE: a number, then text' => $two('DATE NULL', 20_240_102, '2024-1-3', '20240104'),
    'BINARY: a number, then bytes' => $two('VARBINARY(5) NULL', 1, "\x01", "\xff", 2),
];
