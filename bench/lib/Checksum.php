<?php

declare(strict_types=1);

namespace Bench;

use PDO;
use RuntimeException;

/**
 * Compares the tables row by row with what was added: the server computes a checksum of the ordered
 * rows, and this class computes one from {@see Rows}.
 */
final class Checksum
{
    private const DECIMALS = ['price' => true, 'quantity' => true, 'filled_quantity' => true];

    private const SCALE = 18;

    /** Rows whose checksums the server joins in one text, which must fit into a packet. */
    private const CHUNK = 10_000;

    /**
     * @param list<string> $tables
     *
     * @throws RuntimeException if a table differs
     */
    public static function compare(PDO $pdo, Rows $rows, int $count, array $tables = ['orders', 'trades']): void
    {
        $expected = self::expected($rows, $count);
        foreach ($tables as $table) {
            $columns = $table === 'orders' ? Rows::ORDER_COLUMNS : Rows::TRADE_COLUMNS;
            $found = self::ofTable($pdo, $table, $columns);
            if ($found !== $expected[$table]) {
                $number = $pdo->query("SELECT COUNT(*) FROM {$table}")->fetchColumn();
                throw new RuntimeException("The table {$table} differs from what was added: {$number} rows of {$count}.");
            }
        }
    }

    /** @return array{orders: string, trades: string} */
    private static function expected(Rows $rows, int $count): array
    {
        $empty = ['orders' => '', 'trades' => ''];
        $chunks = $texts = $empty;
        for ($id = 1; $id <= $count; $id++) {
            if ($id % self::CHUNK === 0) {
                $chunks = self::close($chunks, $texts);
                $texts = $empty;
            }
            [$order, $trade] = $rows->pair($id);
            $texts['orders'] .= self::ofRow($order, Rows::ORDER_COLUMNS);
            $texts['trades'] .= self::ofRow($trade, Rows::TRADE_COLUMNS);
        }

        return array_map(static fn (string $text): string => hash('sha256', $text), self::close($chunks, $texts));
    }

    /**
     * @param array{orders: string, trades: string} $chunks
     * @param array{orders: string, trades: string} $texts
     *
     * @return array{orders: string, trades: string}
     */
    private static function close(array $chunks, array $texts): array
    {
        foreach ($texts as $table => $text) {
            if ($text !== '') {
                $chunks[$table] .= hash('sha256', $text);
            }
        }

        return $chunks;
    }

    /**
     * @param array<string, int|string> $row
     * @param list<string>              $columns
     */
    private static function ofRow(array $row, array $columns): string
    {
        $values = [];
        foreach ($columns as $column) {
            $value = (string) $row[$column];
            if (isset(self::DECIMALS[$column])) {
                [$whole, $fraction] = explode('.', $value . '.');
                $value = $whole . '.' . str_pad($fraction, self::SCALE, '0');
            }
            $values[] = $value;
        }

        return hash('sha256', implode('|', $values));
    }

    /** @param list<string> $columns */
    private static function ofTable(PDO $pdo, string $table, array $columns): string
    {
        $pdo->exec('SET SESSION group_concat_max_len = 4194304');
        $row = "SHA2(CONCAT_WS('|', " . implode(', ', $columns) . '), 256)';
        $chunks = $pdo->query(
            "SELECT SHA2(GROUP_CONCAT({$row} ORDER BY id SEPARATOR ''), 256) FROM {$table}"
            . ' GROUP BY id DIV ' . self::CHUNK . ' ORDER BY id DIV ' . self::CHUNK
        )->fetchAll(PDO::FETCH_COLUMN);

        return hash('sha256', implode('', $chunks));
    }
}
