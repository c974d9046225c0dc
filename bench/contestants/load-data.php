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
use Bench\DataFiles;
use Bench\Rows;
use Bench\Task;

return static function (Task $task): Contestant {
    $contestant = new class () implements Contestant {
        /** @var list<mysqli> */
        private array $connections = [];

        /** @var list<list<string>> the statements of each connection: a little, to warm up */
        private array $few = [];

        /** @var list<list<string>> and all */
        private array $all = [];

        private ?DataFiles $files = null;

        public function stage(Task $task): void
        {
            $this->files = new DataFiles(Database::root(), new Rows($task->int('seed')));
            $parts = $task->int('connections');
            $size = intdiv($task->int('orders') + $parts - 1, $parts);
            $commit = $task->int('commit', $size);
            for ($first = 1; $first <= $task->int('orders'); $first += $size) {
                $end = min($first + $size, $task->int('orders') + 1);
                $this->few[] = [...$this->files->statements($first, min($first + 100, $end)), 'COMMIT'];
                $statements = [];
                for ($at = $first; $at < $end; $at += $commit) {
                    array_push($statements, ...$this->files->statements($at, min($at + $commit, $end)), ...['COMMIT']);
                }
                $this->all[] = $statements;
                $connection = new mysqli(null, 'root', '', getenv('DB_DATABASE'), 0, getenv('DB_SOCKET'));
                $connection->autocommit(false);
                $this->connections[] = $connection;
            }
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
    };
    $contestant->stage($task);

    return $contestant;
};
