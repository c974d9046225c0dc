<?php

/**
 * The server's own way to take many rows: LOAD DATA of files that lie beside it before the clock
 * starts. Each connection has its own part of the ids, in order, and loads it in one transaction,
 * or `commit` orders and their trades in each. The rows are inserted, for LOAD DATA knows no
 * upsert.
 */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\Rows;
use Bench\Server;
use Bench\Task;

return static function (Task $task): Contestant {
    $contestant = new class () implements Contestant {
        /** @var list<mysqli> */
        private array $connections = [];

        /** @var list<list<string>> the statements of each connection: a little, to warm up */
        private array $few = [];

        /** @var list<list<string>> and all */
        private array $all = [];

        /** @var list<string> */
        private array $files = [];

        public function stage(Task $task): void
        {
            [$folder, $serversFolder] = Server::fileFolder(Database::root());
            $rows = new Rows($task->int('seed'));
            $parts = $task->int('connections');
            $size = intdiv($task->int('orders') + $parts - 1, $parts);
            $commit = $task->int('commit', $size);
            for ($part = 0; $part < $parts; $part++) {
                $first = $part * $size + 1;
                $end = min($first + $size, $task->int('orders') + 1);
                $this->few[] = $this->file($folder, $serversFolder, $rows, $first, min($first + 100, $end));
                $statements = [];
                for ($at = $first; $at < $end; $at += $commit) {
                    array_push($statements, ...$this->file($folder, $serversFolder, $rows, $at, min($at + $commit, $end)));
                }
                $this->all[] = $statements;
                $connection = new mysqli(null, 'root', '', getenv('DB_DATABASE'), 0, getenv('DB_SOCKET'));
                $connection->autocommit(false);
                $this->connections[] = $connection;
            }
        }

        /** @return list<string> the statements that load these rows, and commit them */
        private function file(string $folder, string $serversFolder, Rows $rows, int $first, int $end): array
        {
            $texts = ['orders' => '', 'trades' => ''];
            for ($id = $first; $id < $end; $id++) {
                [$order, $trade] = $rows->pair($id);
                $texts['orders'] .= implode("\t", $order) . "\n";
                $texts['trades'] .= implode("\t", $trade) . "\n";
            }
            $statements = [];
            foreach ($texts as $table => $text) {
                $name = sprintf('bench-%d-%d-%s', getmypid(), count($this->files), $table);
                $this->files[] = $file = "{$folder}/{$name}";
                file_put_contents($file, $text);
                $columns = implode(',', $table === 'orders' ? Rows::ORDER_COLUMNS : Rows::TRADE_COLUMNS);
                $statements[] = "LOAD DATA INFILE '{$serversFolder}/{$name}' INTO TABLE {$table} CHARACTER SET utf8mb4 ({$columns})";
            }

            return [...$statements, 'COMMIT'];
        }

        public function write(array $pairs): void
        {
            [$todo, $this->few] = $this->few === [] ? [$this->all, []] : [$this->few, []];
            $busy = [];
            foreach ($this->connections as $at => $connection) {
                $connection->query(array_shift($todo[$at]), MYSQLI_ASYNC);
                $busy[$at] = $connection;
            }
            while ($busy !== []) {
                $ready = $errors = $rejected = $busy;
                mysqli_poll($ready, $errors, $rejected, 10);
                foreach ($ready as $connection) {
                    $connection->reap_async_query();
                    $at = (int) array_search($connection, $busy, true);
                    $next = array_shift($todo[$at]);
                    if ($next === null) {
                        unset($busy[$at]);
                    } else {
                        $connection->query($next, MYSQLI_ASYNC);
                    }
                }
            }
        }

        public function __destruct()
        {
            array_map('unlink', $this->files);
        }
    };
    $contestant->stage($task);

    return $contestant;
};
