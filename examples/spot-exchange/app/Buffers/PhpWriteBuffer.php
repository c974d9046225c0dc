<?php

declare(strict_types=1);

namespace App\Buffers;

use Illuminate\Database\Connection;
use InvalidArgumentException;
use LogicException;
use PDO;
use PDOException;
use Throwable;
use WriteBuffer\Buffer;

/**
 * A buffer in plain PHP, as programs write it before they have the extension. The demo compares the
 * two.
 *
 * It owns rows in PHP arrays, and saves them by multi-row upserts, one transaction a batch. It
 * flushes within add() and put(), when a table has a batch of rows or the oldest row has waited
 * long enough.
 *
 * Of two rows with one key the newer one stays. If a flush fails, all its rows stay in the buffer.
 */
final class PhpWriteBuffer implements Buffer
{
    /** The tables, in the order in which they are written, and the columns of their keys. */
    private const KEYS = ['orders' => ['id'], 'trades' => ['id'], 'balances' => ['user_id', 'asset']];

    /** Tables whose rows never change: a second row with the same key is an error. */
    private const INSERT_ONLY = ['trades' => true];

    /** The server's limit of placeholders in a statement. */
    private const PLACEHOLDERS_MAX = 65_535;

    /** ER_LOCK_DEADLOCK: the server rolled the transaction back, and it may be tried again. */
    private const DEADLOCK = 1213;

    private const BACKOFF_MS = 10;

    /** @var array<string, array<int|string, array<string, int|string|null>>> by table, then key */
    private array $rows = [];

    private ?int $oldestAtNs = null;

    private int $flushCount = 0;

    private int $totalFlushed = 0;

    private float $totalFlushTimeMs = 0.0;

    private int $retries = 0;

    private int $lastTicket = 0;

    private int $committedThrough = 0;

    public function __construct(
        private readonly Connection $connection,
        private readonly int $batchSize = 100,
        private readonly int $flushIntervalMs = 500,
        private readonly int $maxRetries = 3,
    ) {
        if ($batchSize < 1 || $flushIntervalMs < 0 || $maxRetries < 0) {
            throw new InvalidArgumentException('A batch has at least one row, and no time or count is negative.');
        }
        foreach (array_keys(self::KEYS) as $table) {
            $this->rows[$table] = [];
        }
    }

    public function __destruct()
    {
        try {
            $this->flush();
        } catch (Throwable $e) {
            $count = count($this);
            error_log("PhpWriteBuffer: {$count} rows are lost, the last flush failed: {$e->getMessage()}");
        }
    }

    /**
     * @param list<object>      $order models, or what has their getTable() and getAttributes()
     * @param list<object>|null $trade
     */
    public function add(mixed $order, mixed $trade = null): int
    {
        foreach ($order as $row) {
            $this->take($row);
        }
        foreach ($trade ?? [] as $row) {
            $this->take($row);
        }
        $this->lastTicket++;
        $this->flushWhenDue();

        return $this->lastTicket;
    }

    /** @param list<object> $row */
    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        return $this->add($row);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        throw new LogicException('PhpWriteBuffer imports nothing.');
    }

    public function find(string $table, mixed $key): ?array
    {
        return $this->rows[$table][implode(' ', (array) $key)] ?? null;
    }

    /** @param int|null $timeoutMs ignored: PDO has no time-out for this */
    public function flush(?int $timeoutMs = null): int
    {
        $count = count($this);
        if ($count === 0) {
            return 0;
        }

        $start = hrtime(true);
        for ($attempt = 1; !$this->tryToWrite($attempt > $this->maxRetries); $attempt++) {
            $this->retries++;
            usleep((self::BACKOFF_MS * 2 ** ($attempt - 1) + random_int(0, self::BACKOFF_MS)) * 1000);
        }

        foreach (array_keys(self::KEYS) as $table) {
            $this->rows[$table] = [];
        }
        $this->oldestAtNs = null;
        $this->committedThrough = $this->lastTicket;
        $this->flushCount++;
        $this->totalFlushed += $count;
        $this->totalFlushTimeMs += (hrtime(true) - $start) / 1e6;

        return $count;
    }

    /** It has no journal, so only the server can have them. */
    public function sync(?int $timeoutMs = null): void
    {
        $this->flush($timeoutMs);
    }

    public function lastTicket(): int
    {
        return $this->lastTicket;
    }

    public function committedThrough(): int
    {
        return $this->committedThrough;
    }

    /** It has one batch, so it waits for all. */
    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        if ($ticket > $this->committedThrough) {
            $this->flush($timeoutMs);
        }
    }

    public function isFull(): bool
    {
        foreach ($this->rows as $rows) {
            if (count($rows) >= $this->batchSize) {
                return true;
            }
        }

        return false;
    }

    public function getMetrics(): array
    {
        return [
            'flush_count' => $this->flushCount,
            'total_flushed' => $this->totalFlushed,
            'total_flush_time_ms' => $this->totalFlushTimeMs,
            'rows_pending' => count($this),
            'retries' => $this->retries,
        ];
    }

    public function count(): int
    {
        return array_sum(array_map('count', $this->rows));
    }

    /** There are none: if a flush fails, all its rows stay in the buffer. */
    public function failures(): array
    {
        return [];
    }

    /** There are none, as above. */
    public function takeFailures(): array
    {
        return [];
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        throw new LogicException('PhpWriteBuffer deletes nothing: the exchange keeps all rows.');
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        throw new LogicException('PhpWriteBuffer has no groups of many calls.');
    }

    public function retry(array $failures): int
    {
        if ($failures !== []) {
            throw new LogicException('PhpWriteBuffer has no failures to retry.');
        }

        return 0;
    }

    public function close(?int $timeoutMs = null): void
    {
        $this->flush();
    }

    private function take(object $row): void
    {
        $table = $row->getTable();
        $attributes = $row->getAttributes();
        $columns = self::KEYS[$table] ?? throw new InvalidArgumentException("The table {$table} has no known key.");
        $key = $attributes[$columns[0]];
        if (isset($columns[1])) {
            $key .= ' ' . $attributes[$columns[1]];
        }
        if (isset(self::INSERT_ONLY[$table], $this->rows[$table][$key])) {
            throw new LogicException("The table {$table} takes the key {$key} only once.");
        }
        $this->rows[$table][$key] = $attributes;
        $this->oldestAtNs ??= hrtime(true);
    }

    private function flushWhenDue(): void
    {
        $isOverdue = $this->oldestAtNs !== null
            && hrtime(true) - $this->oldestAtNs >= $this->flushIntervalMs * 1_000_000;
        if ($isOverdue || $this->isFull()) {
            $this->flush();
        }
    }

    /** @return bool false: there was a deadlock, and another attempt is left */
    private function tryToWrite(bool $isLastAttempt): bool
    {
        $this->connection->beginTransaction();
        try {
            $pdo = $this->connection->getPdo();
            foreach ($this->rows as $table => $rows) {
                $this->write($pdo, $table, $rows);
            }
            $this->connection->commit();

            return true;
        } catch (Throwable $e) {
            $this->rollBack();
            if ($isLastAttempt || !$e instanceof PDOException || ($e->errorInfo[1] ?? null) !== self::DEADLOCK) {
                throw $e;
            }

            return false;
        }
    }

    /** @param array<int|string, array<string, int|string|null>> $rows */
    private function write(PDO $pdo, string $table, array $rows): void
    {
        if ($rows === []) {
            return;
        }
        // In the order of their keys, so that two writers lock rows in the same order.
        ksort($rows);
        $columns = array_keys(reset($rows));
        foreach (array_chunk($rows, intdiv(self::PLACEHOLDERS_MAX, count($columns))) as $chunk) {
            $values = [];
            foreach ($chunk as $row) {
                foreach ($row as $value) {
                    $values[] = $value;
                }
            }
            $pdo->prepare($this->statement($table, $columns, count($chunk)))->execute($values);
        }
    }

    /** @param list<string> $columns */
    private function statement(string $table, array $columns, int $rowCount): string
    {
        $grammar = $this->connection->getQueryGrammar();
        $names = array_map([$grammar, 'wrap'], $columns);
        $tuple = '(' . implode(', ', array_fill(0, count($columns), '?')) . ')';
        $sql = 'INSERT INTO ' . $grammar->wrapTable($table) . ' (' . implode(', ', $names) . ') VALUES '
            . implode(', ', array_fill(0, $rowCount, $tuple));
        if (isset(self::INSERT_ONLY[$table])) {
            return $sql;
        }

        $updates = [];
        foreach (array_diff($columns, self::KEYS[$table]) as $column) {
            $name = $grammar->wrap($column);
            $updates[] = "{$name} = VALUES({$name})";
        }

        return $sql . ' ON DUPLICATE KEY UPDATE ' . implode(', ', $updates);
    }

    /** If the rollback fails too, the first error is the one to report. */
    private function rollBack(): void
    {
        try {
            $this->connection->rollBack();
        } catch (Throwable) {
            $this->connection->disconnect();
        }
    }
}
