<?php

declare(strict_types=1);

namespace App\Services;

use Illuminate\Database\Connection;

/** Owns the text of the exchange's tables: a line for each row, in the order of the keys. */
final class TableSnapshot
{
    /** The tables, and the columns of their keys. */
    public const TABLES = ['orders' => ['id'], 'trades' => ['id'], 'balances' => ['user_id', 'asset']];

    public function __construct(private readonly Connection $connection)
    {
    }

    /** @return iterable<string> JSON, each value as the string that the server returns */
    public function lines(string $table): iterable
    {
        $query = $this->connection->table($table);
        foreach (self::TABLES[$table] as $column) {
            $query->orderBy($column);
        }
        foreach ($query->cursor() as $row) {
            yield json_encode($row, JSON_THROW_ON_ERROR);
        }
    }

    /** @return array<string, array{rows: int, sha256: string}> by table */
    public function checksums(): array
    {
        $checksums = [];
        foreach (array_keys(self::TABLES) as $table) {
            $hash = hash_init('sha256');
            $rows = 0;
            foreach ($this->lines($table) as $line) {
                hash_update($hash, $line . "\n");
                $rows++;
            }
            $checksums[$table] = ['rows' => $rows, 'sha256' => hash_final($hash)];
        }

        return $checksums;
    }

    /** Writes each table to its own file, in a folder that exists. */
    public function dump(string $folder): void
    {
        foreach (array_keys(self::TABLES) as $table) {
            $file = fopen("{$folder}/{$table}.jsonl", 'wb');
            foreach ($this->lines($table) as $line) {
                fwrite($file, $line . "\n");
            }
            fclose($file);
        }
    }
}
