<?php

/**
 * What other ways to send the same rows would bring, on one connection, in the protocol itself: all
 * packets are encoded before the clock starts, and none waits for an answer within a transaction.
 * The way of the extension is multi-row statements that are prepared once. Beside it are MariaDB's
 * bulk protocol, and LOAD DATA LOCAL into a temporary table with INSERT … SELECT … ON DUPLICATE KEY
 * UPDATE. Once the orders are new, and their trades are inserted; once the orders are there, and
 * change. The ways take turns with each transaction; a ratio is of one round. The tables are
 * compared with what was sent.
 *
 *   scripts/with-mariadb scripts/php-with-extension bench/protocols.php
 *   scripts/with-mysql scripts/php-with-extension \
 *       bench/protocols.php '{"ways":"prepared 8,text 8"}'
 */

declare(strict_types=1);

use Bench\Checksum;
use Bench\Database;
use Bench\Findings;
use Bench\ProtocolSide;
use Bench\Rows;
use Bench\Schema;
use Bench\Task;
use Bench\Wire;

require __DIR__ . '/lib/autoload.php';

/** Orders in a transaction, as many as a background buffer takes when batches wait. */
const PAIRS = 5_000;
/** As many as leave all tables in the server's memory. */
const TRANSACTIONS = 4;
/** Rows a statement of the extension. */
const ROWS = 128;
const TABLES = ['orders' => Rows::ORDER_COLUMNS, 'trades' => Rows::TRADE_COLUMNS];

/** The rows of a statement's text, and what it does with a key that is there. */
function insert(string $table, string $rows): string
{
    $isMySql = getenv('DB_SERVER') === 'mysql';
    $updates = array_map(
        static fn (string $column): string => "{$column}=" . ($isMySql ? "wb_new.{$column}" : "VALUES({$column})"),
        array_slice(TABLES[$table], 1),
    );
    $end = ($isMySql ? ' AS wb_new' : '') . ' ON DUPLICATE KEY UPDATE ' . implode(',', $updates);

    return "INSERT INTO {$table} (" . implode(',', TABLES[$table]) . ") VALUES {$rows}" . ($table === 'orders' ? $end : '');
}

function placeholders(string $table, int $rows): string
{
    return implode(',', array_fill(0, $rows, '(' . implode(',', array_fill(0, count(TABLES[$table]), '?')) . ')'));
}

/**
 * As the extension: MySQL gets texts alone, see parameters.rs.
 *
 * @param array<string, int|string> $row
 *
 * @return list<int|string>
 */
function values(array $row): array
{
    return array_values(getenv('DB_SERVER') === 'mysql' ? array_map('strval', $row) : $row);
}

/** A temporary table without an index, for LOAD DATA. */
function create_staging(Wire $wire, string $engine): void
{
    foreach (array_keys(TABLES) as $table) {
        $wire->execute("CREATE TEMPORARY TABLE staged_{$table} ENGINE={$engine} SELECT * FROM {$table} LIMIT 0");
    }
}

/**
 * How a way encodes a table's rows, for one session: the packets, and the number of answers.
 *
 * @return callable(string, list<array<string, int|string>>): array{string, int}
 */
function encoder(string $way, Wire $wire): callable
{
    $prepared = [];
    $statement = static function (string $table, int $rows) use ($wire, &$prepared): int {
        return $prepared["{$table} {$rows}"] ??= $wire->prepare(insert($table, placeholders($table, $rows)));
    };
    [$kind, $size] = explode(' ', "{$way} ");
    if ($kind === 'staged') {
        create_staging($wire, $size);
    }
    $chunked = static function (array $rows, int $size, callable $encode): array {
        $packets = '';
        foreach ($chunks = array_chunk($rows, $size) as $chunk) {
            $packets .= $encode($chunk);
        }

        return [$packets, count($chunks)];
    };

    return match ($kind) {
        'prepared' => static fn (string $table, array $rows): array => $chunked(
            $rows,
            (int) $size,
            static fn (array $chunk): string => Wire::execution(
                $statement($table, count($chunk)),
                array_merge(...array_map('values', $chunk)),
            ),
        ),
        'text' => static fn (string $table, array $rows): array => $chunked(
            $rows,
            (int) $size,
            static fn (array $chunk): string => Wire::query(insert($table, implode(',', array_map(
                static fn (array $row): string => "('" . implode("','", $row) . "')",
                $chunk,
            )))),
        ),
        'bulk' => static fn (string $table, array $rows): array => $chunked(
            $rows,
            (int) $size,
            static fn (array $chunk): string => Wire::bulk($statement($table, 1), array_map('values', $chunk)),
        ),
        'staged' => static function (string $table, array $rows): array {
            $columns = implode(',', TABLES[$table]);
            $file = implode('', array_map(static fn (array $row): string => implode("\t", $row) . "\n", $rows));
            $updates = array_map(
                static fn (string $column): string => "{$table}.{$column}=staged_{$table}.{$column}",
                array_slice(TABLES[$table], 1),
            );

            return [
                Wire::load("LOAD DATA LOCAL INFILE 'rows' INTO TABLE staged_{$table} CHARACTER SET utf8mb4 ({$columns})", $file)
                . Wire::query("INSERT INTO {$table} ({$columns}) SELECT {$columns} FROM staged_{$table}"
                    . ($table === 'orders' ? ' ON DUPLICATE KEY UPDATE ' . implode(',', $updates) : ''))
                . Wire::query("DELETE FROM staged_{$table}"),
                4,
            ];
        },
    };
}

/**
 * @param callable(string, list<array<string, int|string>>): array{string, int} $encode
 * @param list<array{array<string, int|string>, array<string, int|string>}>      $pairs
 *
 * @return list<array{string, int}>
 */
function transactions(callable $encode, array $pairs, bool $isNew): array
{
    $transactions = [];
    foreach (array_chunk($pairs, PAIRS) as $chunk) {
        [$packets, $answers] = $encode('orders', array_column($chunk, 0));
        if ($isNew) {
            [$more, $others] = $encode('trades', array_column($chunk, 1));
            [$packets, $answers] = [$packets . $more, $answers + $others];
        }
        $transactions[] = [Wire::query('START TRANSACTION') . $packets . Wire::query('COMMIT'), $answers + 2];
    }

    return $transactions;
}

Findings::run(static function (Task $task, Findings $findings): void {
    Database::root()->exec('SET GLOBAL local_infile = 1');
    $bulk = getenv('DB_SERVER') === 'mysql' ? '' : ',bulk 128,bulk 1000,bulk 5000';
    $ways = explode(',', $task->string('ways', "prepared 128,text 128,text 1000,staged MEMORY,staged InnoDB{$bulk}"));
    $count = TRANSACTIONS * PAIRS;
    $rows = ['new' => new Rows(1), 'there' => new Rows(2)];
    $pairs = array_map(static fn (Rows $rows): array => $rows->pairs($count), $rows);
    $sides = [];
    foreach ($ways as $number => $way) {
        $sides[] = $side = new ProtocolSide($way, "write_buffer_bench_{$number}");
        $encode = encoder($way, $side->wire);
        foreach ($pairs as $are => $of) {
            $side->transactions[$are] = transactions($encode, $of, $are === 'new');
        }
    }
    $rounds = $task->rounds(7, 1);
    // The first round warms up.
    for ($round = -1; $round < $rounds; $round++) {
        foreach ($sides as $side) {
            Schema::truncate($side->pdo);
        }
        foreach (array_keys($pairs) as $are) {
            $costs = array_fill_keys($ways, [0, 0]);
            for ($transaction = 0; $transaction < TRANSACTIONS; $transaction++) {
                // They take turns with each transaction, in another order each time.
                foreach (array_keys($sides) as $at) {
                    $side = $sides[($at + $transaction + $round + 1) % count($sides)];
                    [$us, $cpuUs] = $side->write($are, $transaction);
                    $costs[$side->way][0] += $us / $count;
                    $costs[$side->way][1] += $cpuUs / $count;
                }
            }
            foreach ($round === $rounds - 1 ? $sides : [] as $side) {
                Checksum::compare($side->pdo, $rows[$are], $count, ['orders']);
                Checksum::compare($side->pdo, $rows['new'], $count, ['trades']);
            }
            foreach ($round < 0 ? [] : $costs as $way => [$us, $cpuUs]) {
                $what = "{$way}, orders that are {$are}";
                $findings->add("{$what}: orders/s", 'orders/s', 1e6 / $us);
                $findings->add("{$what}: CPU of the server's thread an order", 'µs', $cpuUs);
                if ($way !== $ways[0]) {
                    $findings->add("{$what}: to the extension's, by time", '', $costs[$ways[0]][0] / $us);
                    $findings->add("{$what}: to the extension's, by that CPU", '', $costs[$ways[0]][1] / $cpuUs);
                }
            }
        }
    }
    foreach ($sides as $side) {
        $side->drop();
    }
});
