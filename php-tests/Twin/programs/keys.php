<?php

declare(strict_types=1);

// Two spellings are one key if, and only if, the server takes them for one.

$program = static fn (string $type, mixed ...$keys): array => [
    'tables' => ['t' => [
        'columns' => ['id' => "{$type} NOT NULL", 'v' => 'INT NULL', 'n' => 'INT NOT NULL DEFAULT 0'],
        'constraints' => ['PRIMARY KEY (id)'],
        'rules' => ['merge' => ['n' => 'sum']],
    ]],
    'steps' => array_map(
        static fn (mixed $key, int $at): array => [['t', ['id' => $key, 'v' => $at, 'n' => 1]]],
        $keys,
        array_keys($keys),
    ),
];
$numbered = static fn (string $mode, mixed ...$keys): array => [
    'tables' => ['t' => [
        'columns' => ['id' => 'INT NOT NULL AUTO_INCREMENT', 'v' => 'INT NULL'],
        'constraints' => ['PRIMARY KEY (id)'],
    ]],
    'sqlMode' => $mode,
    'steps' => array_map(
        static fn (mixed $key, int $at): array => [['t', ['id' => $key, 'v' => $at]]],
        $keys,
        array_keys($keys),
    ),
];
$strict = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

return [
    'case, accents and trailing spaces' => $program('VARCHAR(4) COLLATE utf8mb4_general_ci', 'a', 'A', 'ä', 'a ', 'ß', 's', 'ss'),
    'bytes' => $program('VARCHAR(4) COLLATE utf8mb4_bin', 'a', 'A', 'a ', 'ä'),
    'letters of two cases, by bytes' => $program('VARCHAR(4) COLLATE utf8mb4_bin', 'a', 'A', 'a', 'b'),
    'numbers as text' => $program('INT', 1, '1', '01', '1.0', '1.4', ' 1', '1e0', '1 '),
    'decimals' => $program('DECIMAL(4,2)', '1.00', '1', 1, '1.004', '1.005', '-0', 0),
    'padded bytes' => $program('BINARY(3)', 'a', "a\0", "a\0\0", 'a ', 'A'),
    'days' => $program('DATE', '2024-01-02', '2024-1-2', '20240102', 20_240_102, '2024-01-02 10:00:00', '24-01-02'),
    'times of a day that are rounded' => $program('DATETIME', '2023-12-31 23:59:59', '2023-12-31 23:59:59.4', '2023-12-31 23:59:59.9'),
    'members of an ENUM by name and number' => $program("ENUM('a','b','c')", 'a', 'A', 1, '1', 2, 'b'),
    'members of a SET in any order' => $program("SET('x','y')", 'x,y', 'y,x', 3, '3', 'x'),
    'bits as numbers and bytes' => $program('BIT(8)', 1, "\x01", "\xff", 255, '1'),
    'years' => $program('YEAR', 2024, '2024', '24', 24, 2000, 0, '0'),
    'numbers that the server makes' => $numbered($strict, 0, 0, '0', 1, 1),
    'zero as a number' => $numbered("{$strict},NO_AUTO_VALUE_ON_ZERO", 0, 0, '0', 1, 1),
];
