<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use Closure;
use PDO;
use PDOException;

/**
 * Does what a {@see Schedule} says to tables. Before it drops a table or a column it reads what is
 * lost with it, so that nothing escapes the comparison at the end: it is in the archive then.
 */
final class Harm
{
    private const GIVES_WAY = [1205, 1213];

    /** What ends the harm of each table. What holds locks ends first: changes wait for them. */
    private const ENDS = [
        Tables::LOCKED => 'unlock',
        Tables::DROPPED => 'create',
        Tables::REMADE => 'create',
        Tables::RENAMED => 'rename back',
        Tables::COLUMNS => 'add column',
        Tables::RIGHTS => 'grant',
    ];

    /** Rights that are taken. Each alone stops upserts, or hides the table. */
    private const REVOKED = ['INSERT', 'UPDATE', 'SELECT', 'INSERT, UPDATE', 'SELECT, INSERT, UPDATE, DELETE'];

    /** @var array<string, list<list<array<string, string|null>>>> by table: what was dropped */
    private array $archives = [];

    /** @var array<int, string> the column `extra` before it was dropped, by the row's id */
    private array $extras = [];

    /** @var array<string, array{do: string, from: int, variant: int}> by table: harms that go on */
    private array $current = [];

    /** @var list<array{do: string, from: int, to: int}> harms that are over, in nanoseconds */
    private array $past = [];

    /** @var array<string, int> how often each thing was done */
    private array $counts = [];

    private ?PDO $pdo = null;

    private ?PDO $holder = null;

    /** @param Closure(): PDO $connect as an administrator */
    public function __construct(private Closure $connect, private string $account)
    {
    }

    /**
     * Does a thing, or gives way: a change that waits for one writer, which waits for a row of
     * another, which waits behind the change, is a circle that no server sees. Returns whether it
     * was done.
     */
    public function do(string $what, string $table, int $variant): bool
    {
        $begin = hrtime(true);
        try {
            match ($what) {
                'drop' => $this->drop($table, $variant % 2 === 0),
                'create' => $this->create($table, $variant % 3 === 0),
                'rename' => $this->exec("RENAME TABLE {$table} TO {$table}_away"),
                'rename back' => $this->exec("RENAME TABLE {$table}_away TO {$table}"),
                'drop column' => $this->dropColumn($table),
                'add column' => $this->addColumn($table, $variant % 4 === 0),
                'revoke' => $this->exec('REVOKE ' . self::revoked($variant) . " ON {$table} FROM {$this->account}"),
                'grant' => $this->exec("GRANT SELECT, INSERT, UPDATE, DELETE ON {$table} TO {$this->account}"),
                'lock' => $this->lock($table, $variant % 2 === 0),
                'unlock' => $this->unlock(),
            };
        } catch (PDOException $error) {
            if (!in_array($error->errorInfo[1] ?? 0, self::GIVES_WAY, true)) {
                throw $error;
            }
            $this->count("{$what}, which gave way");

            return false;
        }
        $this->count($what);
        if (isset($this->current[$table])) {
            ['do' => $do, 'from' => $from] = $this->current[$table];
            $this->past[] = ['do' => $do, 'from' => $from, 'to' => hrtime(true)];
            unset($this->current[$table]);
        } else {
            $kind = match ($what) {
                'lock' => $variant % 2 === 0 ? ' table' : ' rows',
                'revoke' => ' ' . self::revoked($variant),
                default => '',
            };
            $this->current[$table] = ['do' => $what . $kind, 'from' => $begin, 'variant' => $variant];
        }

        return true;
    }

    private static function revoked(int $variant): string
    {
        return self::REVOKED[$variant % count(self::REVOKED)];
    }

    private function count(string $what): void
    {
        $this->counts[$what] = ($this->counts[$what] ?? 0) + 1;
    }

    /** The server was restarted: no session of before is there, and no lock. */
    public function forgetConnections(): void
    {
        $this->pdo = $this->holder = null;
    }

    /** Ends all harms that go on, as far as none gives way. Returns whether all are over. */
    public function heal(): bool
    {
        foreach (array_intersect_key(self::ENDS, $this->current) as $table => $end) {
            $this->do($end, $table, $this->current[$table]['variant']);
        }

        return $this->current === [];
    }

    /** @return list<list<array<string, string|null>>> the rows of a table, at each drop of it */
    public function archive(string $table): array
    {
        return $this->archives[$table] ?? [];
    }

    /** @return array<int, string> */
    public function extras(): array
    {
        return $this->extras;
    }

    /** @return array<string, int> */
    public function counts(): array
    {
        return $this->counts;
    }

    /** @return list<string> the harms that went on at some moment of a time, in nanoseconds */
    public function during(int $from, int $to): array
    {
        $found = [];
        foreach ($this->past as $harm) {
            if ($harm['from'] <= $to && $harm['to'] >= $from) {
                $found[$harm['do']] = true;
            }
        }

        return array_keys($found);
    }

    private function drop(string $table, bool $underLock): void
    {
        $doomed = $table;
        if ($underLock) {
            $this->exec("LOCK TABLES {$table} WRITE");
        } else {
            $doomed = "{$table}_old";
            $this->exec("RENAME TABLE {$table} TO {$doomed}");
        }
        $this->archives[$table][] = $this->rows("SELECT * FROM {$doomed}");
        $this->exec("DROP TABLE {$doomed}");
        $this->exec('UNLOCK TABLES');
    }

    private function create(string $table, bool $other): void
    {
        $definition = $other ? Tables::otherDefinition($table) : Tables::definitions()[$table];
        $this->exec("CREATE TABLE {$table} ({$definition})");
    }

    private function dropColumn(string $table): void
    {
        $this->exec("LOCK TABLES {$table} WRITE");
        foreach ($this->rows("SELECT id, extra FROM {$table} WHERE extra IS NOT NULL") as $row) {
            $this->extras[(int) $row['id']] = (string) $row['extra'];
        }
        $this->exec("ALTER TABLE {$table} DROP COLUMN extra");
        $this->exec('UNLOCK TABLES');
    }

    /** @param bool $rebuilds MariaDB keeps dropped columns in each row until it does so */
    private function addColumn(string $table, bool $rebuilds): void
    {
        $this->exec("ALTER TABLE {$table} ADD COLUMN " . Tables::EXTRA . ($rebuilds ? ', FORCE' : ''));
    }

    private function lock(string $table, bool $whole): void
    {
        $holder = $this->connectAnew();
        if ($whole) {
            $holder->exec("LOCK TABLES {$table} WRITE");
        } else {
            $holder->exec('START TRANSACTION');
            $holder->query("SELECT * FROM {$table} FOR UPDATE")->fetchAll();
        }
        $this->holder = $holder;
    }

    private function unlock(): void
    {
        $this->holder = null;
    }

    private function exec(string $statement): void
    {
        $this->pdo ??= $this->connectAnew();
        $this->pdo->exec($statement);
    }

    /** @return list<array<string, string|null>> */
    private function rows(string $sql): array
    {
        $this->pdo ??= $this->connectAnew();

        return $this->pdo->query($sql)->fetchAll(PDO::FETCH_ASSOC);
    }

    private function connectAnew(): PDO
    {
        $pdo = ($this->connect)();
        // The least that both servers take.
        $pdo->exec('SET SESSION lock_wait_timeout = 1, SESSION innodb_lock_wait_timeout = 1');

        return $pdo;
    }
}
