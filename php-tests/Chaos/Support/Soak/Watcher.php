<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

use PDO;
use PDOException;
use RuntimeException;
use WriteBuffer\Tests\Process\Support\Child;

/**
 * A process that looks, by plain PDO, which rows of healthy tables are committed. For each it notes
 * two times: when the last look that did not find it began, and when the first one that found it
 * was answered. Its COMMIT lies between them. It also notes when the server answers again after it
 * did not, and how long a COMMIT of its own takes, as a measure of the machine.
 *
 * It looks at new orders, at trades, and at ticks: a tick's rows keep their order, so one that is
 * there shows that all before it are.
 */
final class Watcher
{
    private const PAUSE_US = 20_000;
    private const CONNECT_TIMEOUT_S = 2;
    private const LOOKS_PER_BEAT = 10;

    /** @var resource */
    private $log;

    private ?PDO $pdo = null;

    private bool $isUp = true;

    private int $looks = 0;

    /** @var array<string, array<int, int>> by table and worker: all steps up to it were seen */
    private array $upTo = [];

    /** @var array<string, array<int, array<int, true>>> by table and worker: steps seen beyond */
    private array $beyond = [];

    /** @var array<int, int> by tick: the step that was seen last */
    private array $ticks = [];

    /** @var array<string, int> by table: when the last look began */
    private array $before = [];

    /** @param list<int> $workers */
    public function __construct(string $log, private array $workers)
    {
        $this->log = fopen($log, 'a') ?: throw new RuntimeException("cannot write to {$log}");
        foreach ([Tables::ORDERS, Tables::TRADES] as $table) {
            $this->upTo[$table] = array_fill_keys($workers, 0);
            $this->beyond[$table] = array_fill_keys($workers, []);
        }
    }

    public function run(): void
    {
        $this->look();
        Child::say('ready');
        do {
            $read = [STDIN];
            $write = $except = null;
            $isLast = stream_select($read, $write, $except, 0, self::PAUSE_US) === 1;
            $this->look();
        } while (!$isLast);
    }

    private function look(): void
    {
        try {
            $this->pdo ??= new PDO(
                sprintf('mysql:host=%s;port=%s;dbname=%s', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_DATABASE')),
                (string) getenv('DB_USERNAME'),
                (string) getenv('DB_PASSWORD'),
                [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => self::CONNECT_TIMEOUT_S],
            );
            $answered = hrtime(true);
            $this->lookAtNew(Tables::ORDERS, 1);
            $this->lookAtNew(Tables::TRADES, 10);
            $this->lookAtTicks();
            if (++$this->looks % self::LOOKS_PER_BEAT === 0) {
                $begin = hrtime(true);
                $this->pdo->exec('INSERT INTO ' . Tables::BEAT . ' VALUES (1, 1) ON DUPLICATE KEY UPDATE n = n + 1');
                $this->note("beat {$begin} " . hrtime(true) . "\n");
            }
            if (!$this->isUp) {
                $this->isUp = true;
                // What this look has seen may be of before the outage: it ended before the look.
                $this->note("up {$answered}\n");
            }
        } catch (PDOException) {
            $this->pdo = null;
            $this->isUp = false;
        }
    }

    /** Looks for rows whose `id` is a new tag, times a factor. */
    private function lookAtNew(string $table, int $factor): void
    {
        $ranges = [];
        foreach ($this->workers as $worker) {
            $first = $worker * Groups::TAGS_PER_WORKER;
            $from = ($first + $this->upTo[$table][$worker] + 1) * $factor;
            $to = ($first + Groups::ORDERS_MAX) * $factor - 1;
            $ranges[] = "id BETWEEN {$from} AND {$to}";
        }
        [$rows, $times] = $this->query($table, "SELECT id FROM {$table} WHERE " . implode(' OR ', $ranges));
        $lines = '';
        foreach ($rows as [$id]) {
            $tag = intdiv((int) $id, $factor);
            $worker = intdiv($tag, Groups::TAGS_PER_WORKER);
            $step = $tag % Groups::TAGS_PER_WORKER;
            if ((int) $id % $factor === 0 && !isset($this->beyond[$table][$worker][$step])) {
                $this->beyond[$table][$worker][$step] = true;
                $lines .= "{$table} {$worker} {$step} {$times}\n";
            }
        }
        foreach ($this->workers as $worker) {
            for ($next = $this->upTo[$table][$worker] + 1; isset($this->beyond[$table][$worker][$next]); $next++) {
                unset($this->beyond[$table][$worker][$next]);
                $this->upTo[$table][$worker] = $next;
            }
        }
        $this->note($lines);
    }

    private function lookAtTicks(): void
    {
        [$rows, $times] = $this->query(Tables::TICKS, 'SELECT id, tag FROM ' . Tables::TICKS);
        $lines = '';
        foreach ($rows as [$id, $tag]) {
            $worker = intdiv((int) $tag, Groups::TAGS_PER_WORKER);
            $seen = (int) $tag % Groups::TAGS_PER_WORKER;
            for ($step = $this->ticks[$id] ?? $seen % Groups::TICKS - Groups::TICKS; $step < $seen;) {
                $step += Groups::TICKS;
                if ($step > 0) {
                    $lines .= Tables::TICKS . " {$worker} {$step} {$times}\n";
                }
            }
            $this->ticks[$id] = $seen;
        }
        $this->note($lines);
    }

    /** @return array{list<list<int|string>>, string} the rows, and the two times for the log */
    private function query(string $table, string $sql): array
    {
        $begin = hrtime(true);
        $rows = $this->pdo?->query($sql)->fetchAll(PDO::FETCH_NUM);
        $times = ($this->before[$table] ?? $begin) . ' ' . hrtime(true);
        $this->before[$table] = $begin;

        return [$rows ?? [], $times];
    }

    private function note(string $lines): void
    {
        if (fwrite($this->log, $lines) !== strlen($lines)) {
            throw new RuntimeException('the log is not whole');
        }
    }
}
