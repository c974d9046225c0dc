<?php

declare(strict_types=1);

// A guard takes a row or refuses it by what the table holds, which the buffer does not know.

$table = static fn (array $merge = []): array => [
    'columns' => ['id' => 'INT NOT NULL', 'g' => 'INT NULL', 'a' => 'INT NULL', 'b' => 'INT NULL', 'n' => 'INT NOT NULL DEFAULT 0'],
    'constraints' => ['PRIMARY KEY (id)'],
    'rules' => ['guard' => 'g'] + array_filter(['merge' => $merge]),
];
$stored = [['t', ['id' => 1, 'g' => 2, 'a' => 0, 'b' => 0, 'n' => 0]]];

// A row that lacks a required column, beside one that is there: older values are not looked at.
// Newer ones are refused if the column refuses them, also if `min` or `max` kept what is there.
$odd = static function (string $type, mixed $stored, array $values, string $rule = 'replace', mixed $guard = 5): array {
    $columns = ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'v' => "{$type} NULL"];
    $row = ['x' => 1, 'v' => $stored];
    if ($guard !== null) {
        $columns['g'] = 'INT NULL';
        $row['g'] = $guard;
    }
    $whole = $steps = [];
    foreach ($values as $value) {
        foreach ($guard === null ? [[]] : [['g' => $guard - 1], ['g' => $guard + 1]] as $given) {
            $id = count($whole) + 1;
            $whole[] = ['t', ['id' => $id] + $row];
            $steps[] = [['t', ['id' => $id, 'v' => $value] + $given]];
        }
    }

    return [
        'tables' => ['t' => [
            'columns' => $columns,
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => array_filter([
                'guard' => $guard === null ? null : 'g',
                'merge' => $rule === 'replace' ? null : ['v' => $rule],
            ]),
        ]],
        'steps' => [$whole, 'flush', ...$steps],
    ];
};
$refused = [];
foreach (['max', 'min', 'sum', 'replace'] as $rule) {
    foreach ([null, 5] as $guard) {
        $beside = $guard === null ? 'alone' : 'beside a guard';
        $refused += [
            "{$rule} {$beside}: integers" => $odd('TINYINT UNSIGNED', 7, [-1, 256, '300', '-0.4', 8], $rule, $guard),
            "{$rule} {$beside}: decimals below zero" => $odd('DECIMAL(4,2) UNSIGNED', '1.50', ['-0.001', '-1', '2.25'], $rule, $guard),
            "{$rule} {$beside}: decimals" => $odd('DECIMAL(4,2)', '1.50', ['100', '-99.999', '2.25'], $rule, $guard),
        ];
        if ($rule === 'sum') {
            continue;
        }
        // Beside `min` and `max` a member has no number: see PartialRowsTest.
        $strange = $rule === 'replace' ? [1, 3, 4, 'q'] : [];
        $dates = ['2023-02-29', '2024-13-01', '2024-01-02'];
        $refused += [
            "{$rule} {$beside}: text" => $odd('VARCHAR(3)', 'b', ['abcde', 'zzzz', "a\x80", 'c', 'aa'], $rule, $guard),
            "{$rule} {$beside}: latin1" => $odd('CHAR(3) CHARACTER SET latin1', 'é', ['😀', 'abcd', 'ï'], $rule, $guard),
            "{$rule} {$beside}: utf8mb3" => $odd('CHAR(3) CHARACTER SET utf8mb3', '漢', ['😀', 'abcd', '字'], $rule, $guard),
            "{$rule} {$beside}: bytes" => $odd('VARBINARY(3)', 'b', ['abcd', "\xff\xff\xff\xff", 'c'], $rule, $guard),
            "{$rule} {$beside}: dates" => $odd('DATE', '2024-01-01', $dates, $rule, $guard),
            "{$rule} {$beside}: times" => $odd('DATETIME(3)', '2024-01-01', [...$dates, '2023-02-29 10:00:00'], $rule, $guard),
            "{$rule} {$beside}: timestamps" => $odd('TIMESTAMP', '2024-01-01', [...$dates, '9999-12-31', '1950-01-01', '2024-00-10'], $rule, $guard),
            "{$rule} {$beside}: floats" => $odd('FLOAT', 0.5, ['1e39', '1e38', 0.25], $rule, $guard),
            "{$rule} {$beside}: members" => $odd("ENUM('c','b','a')", 'b', [...$strange, 'a', 'c'], $rule, $guard),
            "{$rule} {$beside}: members of a SET" => $odd("SET('y','x','z')", 'x', [...$strange, 'z', 'y'], $rule, $guard),
            "{$rule} {$beside}: years" => $odd('YEAR', 2024, [1900, 2156, 'abc', 2030], $rule, $guard),
        ];
    }
}

return $refused + [
    'replaced: characters that the column lacks' => $odd('VARCHAR(4) CHARACTER SET latin1', 'é', ['😀', "a\x80", 'abcde', 'ï']),
    'kept: characters that the column lacks' => $odd('VARCHAR(4) CHARACTER SET latin1', 'é', ['😀', "a\x80", 'abcde'], 'keep'),
    'replaced: members by their numbers' => $odd("ENUM('0','1','2')", '2', [0, 1, 2, 3, 4, '1']),
    'replaced: members of a SET by their numbers' => $odd("SET('1','2','3')", '1,2', [0, 1, 2, 4, 7, 8, '3']),
    'a row that can only update, behind a whole one, with a value that is none of its column' => [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'g' => 'INT NULL', 'v' => 'INT NULL'],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'],
        ]],
        'steps' => [
            [['t', ['id' => 1, 'x' => 1, 'g' => 5]], ['t', ['id' => 2, 'x' => 1, 'g' => 5]]],
            'flush',
            [['t', ['id' => 1, 'x' => 2, 'g' => 4]], ['t', ['id' => 1, 'g' => 4, 'v' => '']]],
            [['t', ['id' => 2, 'x' => 2, 'g' => 3]], ['t', ['id' => 2, 'g' => 4, 'x' => 2, 'v' => 7]], ['t', ['id' => 2, 'g' => 4, 'v' => 'a']]],
        ],
    ],
    'an earlier row that is refused, and a later one that does not overwrite it' => [
        'tables' => ['t' => $table()],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 1, 'a' => 9]]], [['t', ['id' => 1, 'g' => 3, 'b' => 7]]]],
    ],
    'a sum of rows of which one is refused' => [
        'tables' => ['t' => $table(['n' => 'sum'])],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 1, 'n' => 5]]], [['t', ['id' => 1, 'g' => 3, 'n' => 7]]]],
    ],
    'a later row that is older' => [
        'tables' => ['t' => $table()],
        'steps' => [$stored, [['t', ['id' => 1, 'g' => 5, 'a' => 1]]], [['t', ['id' => 1, 'g' => 4, 'a' => 2, 'b' => 3]]]],
    ],
    'rows that are as old as each other' => [
        'tables' => ['t' => $table(['n' => 'sum', 'a' => 'max'])],
        'steps' => [$stored, 'flush', [['t', ['id' => 1, 'g' => 2, 'n' => 1, 'a' => 5]]], [['t', ['id' => 1, 'g' => '2', 'n' => 1, 'a' => 4]]]],
    ],
];
