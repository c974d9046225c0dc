<?php

declare(strict_types=1);

// What the programs of this folder share: the tables of schema.sql, and pdo(), a connection of PDO.

$url = parse_url((string) getenv('DATABASE_URL'));
if (!isset($url['host'], $url['path'], $url['user'], $url['pass'])) {
    exit("Set DATABASE_URL first: export DATABASE_URL=mysql://user:pass@127.0.0.1:3306/app\n");
}

function pdo(): PDO
{
    static $pdo;
    ['host' => $host, 'path' => $path, 'user' => $user, 'pass' => $password] = $url = parse_url(getenv('DATABASE_URL'));

    return $pdo ??= new PDO(
        sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', $host, $url['port'] ?? 3306, ltrim($path, '/')),
        rawurldecode($user),
        rawurldecode($password),
    );
}

foreach (preg_split('/;\s*/', file_get_contents(__DIR__ . '/schema.sql'), -1, PREG_SPLIT_NO_EMPTY) as $statement) {
    pdo()->exec($statement);
}
