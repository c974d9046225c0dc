<?php

declare(strict_types=1);

namespace Bench;

use PDO;

/** A way to send rows, with a session and tables of its own, and all its transactions. */
final class ProtocolSide
{
    public readonly PDO $pdo;

    public readonly Wire $wire;

    /** @var array<string, list<array{string, int}>> packets and answers, by what the orders are */
    public array $transactions = [];

    private readonly int $thread;

    public function __construct(public readonly string $way, private readonly string $database)
    {
        $this->pdo = Database::root();
        $this->pdo->exec("DROP DATABASE IF EXISTS {$database}");
        $this->pdo->exec("CREATE DATABASE {$database}");
        $this->pdo->exec("USE {$database}");
        Schema::create($this->pdo);
        $this->wire = new Wire($database);
        $this->wire->execute('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
        $this->thread = (int) $this->pdo->query(getenv('DB_SERVER') === 'mysql'
            ? "SELECT THREAD_OS_ID FROM performance_schema.threads
                WHERE PROCESSLIST_DB = '{$database}' AND PROCESSLIST_ID <> CONNECTION_ID()"
            : "SELECT TID FROM information_schema.PROCESSLIST
                WHERE DB = '{$database}' AND ID <> CONNECTION_ID()")->fetchColumn();
    }

    /** @return array{float, float} microseconds by the clock, and of the server's thread */
    public function write(string $are, int $transaction): array
    {
        [$packets, $answers] = $this->transactions[$are][$transaction];
        $cpuNs = Server::threadNs($this->thread);
        $start = hrtime(true);
        $this->wire->send($packets);
        $this->wire->await($answers);
        $time = hrtime(true) - $start;

        return [$time / 1e3, (Server::threadNs($this->thread) - $cpuNs) / 1e3];
    }

    public function drop(): void
    {
        $this->pdo->exec("DROP DATABASE {$this->database}");
    }
}
