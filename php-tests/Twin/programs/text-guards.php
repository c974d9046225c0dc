<?php

declare(strict_types=1);

// A guard of text, and `min` and `max` over text: a number is compared as its digits, as the whole
// row's would be, in partial rows and deletions, too.

$program = static function (string $type, string $rule, array $values): array {
    $stored = $steps = [];
    $add = static function (array $given) use (&$stored, &$steps): void {
        $id = count($stored) + 1;
        $stored[] = ['t', ['id' => $id, 'x' => 1, 'g' => 'b', 'v' => '40']];
        $steps[] = is_array($given[0] ?? null) ? [['t', ['id' => $id] + $given[0], 'delete']] : [['t', ['id' => $id] + $given]];
    };
    foreach ($values as $value) {
        // As a guard: whole, partial, and of a deletion.
        $add(['x' => 2, 'g' => $value, 'v' => '7']);
        $add(['g' => $value, 'v' => 'n']);
        $add([['g' => $value]]);
        // Compared with what is there.
        $add(['x' => 2, 'g' => 'c', 'v' => $value]);
        $add(['g' => 'c', 'v' => $value]);
    }
    $digits = array_map(static fn (array $row): array => ['t', ['g' => '12'] + $row[1]], $stored);

    return [
        'tables' => ['t' => [
            'columns' => ['id' => 'INT NOT NULL', 'x' => 'INT NOT NULL', 'g' => "{$type} NULL", 'v' => "{$type} NULL"],
            'constraints' => ['PRIMARY KEY (id)'],
            'rules' => ['guard' => 'g'] + ($rule === 'replace' ? [] : ['merge' => ['v' => $rule]]),
        ]],
        'steps' => [$stored, 'flush', ...$steps, 'flush', $digits, 'flush', ...$steps],
    ];
};

$programs = [];
$values = [5, 41, 12, 119, -1, '12', '9', 'b', 'B', 'c', 3.5, 12.0, 1_000];
foreach (['VARCHAR(3)', 'CHAR(3)', 'TEXT', 'VARCHAR(3) CHARACTER SET latin1', 'VARCHAR(3) COLLATE utf8mb4_bin', 'VARBINARY(3)', 'BINARY(3)', 'BLOB'] as $type) {
    foreach (['replace', 'min', 'max'] as $rule) {
        $programs["{$type}, {$rule}"] = $program($type, $rule, $values);
    }
}
// By name: where it is compared, another one is refused, see PartialRowsTest.
foreach (["ENUM('12','40','b','7','c','n','a')", "SET('12','40','b','7','c','n','a')"] as $type) {
    foreach (['replace', 'min', 'max'] as $rule) {
        $programs["{$type}, {$rule}"] = $program($type, $rule, ['a', '7', 'b', 'c', 'n', 'x']);
    }
}

return $programs;
