<?php

declare(strict_types=1);

namespace Bench;

use PDO;

/** Files beside the server, for LOAD DATA. They go with this object. */
final class DataFiles
{
    private readonly string $folder;

    /** The same folder as the server sees it: MySQL runs in a tree of its own. */
    private readonly string $serversFolder;

    /** @var list<string> */
    private array $files = [];

    public function __construct(PDO $pdo, private readonly Rows $rows)
    {
        $this->folder = dirname((string) realpath((string) getenv('DB_DATA_DIR'))) . '/tmp';
        $this->serversFolder = rtrim((string) $pdo->query('SELECT @@GLOBAL.secure_file_priv')->fetchColumn(), '/');
    }

    public function __destruct()
    {
        array_map('unlink', $this->files);
    }

    /**
     * Writes the rows of some ids into files.
     *
     * @return array{string, string} the statements that load the orders and the trades
     */
    public function statements(int $first, int $end, string $prefix = ''): array
    {
        $texts = ['orders' => '', 'trades' => ''];
        for ($id = $first; $id < $end; $id++) {
            [$order, $trade] = $this->rows->pair($id);
            $texts['orders'] .= implode("\t", $order) . "\n";
            $texts['trades'] .= implode("\t", $trade) . "\n";
        }

        return [
            $this->statement("{$prefix}orders", Rows::ORDER_COLUMNS, $texts['orders']),
            $this->statement("{$prefix}trades", Rows::TRADE_COLUMNS, $texts['trades']),
        ];
    }

    /** @param list<string> $columns */
    private function statement(string $table, array $columns, string $text): string
    {
        $name = sprintf('bench-%d-%d', getmypid(), count($this->files));
        $this->files[] = $file = "{$this->folder}/{$name}";
        file_put_contents($file, $text);

        return "LOAD DATA INFILE '{$this->serversFolder}/{$name}' INTO TABLE {$table} CHARACTER SET utf8mb4 ("
            . implode(',', $columns) . ')';
    }
}
