<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use Closure;
use Illuminate\Database\Connection;
use ReflectionProperty;
use Throwable;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\KeySearch;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\TimeoutException;

/**
 * The driver `php`: the extension's foreground buffer over Laravel's own connection, for MySQL, MariaDB and SQLite. It flushes in
 * add() and put(), when a table has batchSize rows or the oldest row is flushIntervalMs old, in the caller's transaction if one is open.
 *
 * Invariant, as the extension's: a row taken is buffered, committed or given up, and a group is whole. What it has not is the
 * ledger: where the answer to a COMMIT is lost, groups that must not be written twice are given up, with a message for a person.
 *
 * Bounds: maxPendingRows and maxPendingBytes.
 */
final class PhpBuffer implements Buffer
{
    /** @var list<array{rows: list<Row>, bytes: int, addedAt: int}> */
    private array $groups = [];

    private int $pendingRows = 0;

    private int $pendingBytes = 0;

    private bool $isClosed = false;

    /** @var array<string, int|float|string|null> */
    private array $metrics;

    private readonly TableCatalog $tables;

    private readonly GroupWriter $writer;

    private readonly Failures $failures;

    /**
     * @param Closure(): Connection               $connection   asked for at each use: Laravel may have made it anew
     * @param array<string, array<string, mixed>> $tables       by the server's names, as are the next two
     * @param (Closure(): bool)|null              $mayWrite     false while the connection has a transaction that rows must not go into
     */
    public function __construct(
        Closure $connection,
        private readonly RowReader $reader,
        private readonly string $orderTable = 'orders',
        private readonly string $tradeTable = 'trades',
        array $tables = [],
        private readonly int $batchSize = 100,
        private readonly int $flushIntervalMs = 500,
        int $maxRetries = 3,
        private readonly int $maxPendingRows = 100_000,
        private readonly int $maxPendingBytes = 67_108_864,
        ?string $deadLetterFile = null,
        private readonly ?Closure $mayWrite = null,
    ) {
        if ($batchSize < 1 || $batchSize > 10_000 || $flushIntervalMs < 0 || $maxRetries < 0) {
            throw new ConfigException('batchSize must be from 1 to 10000, and no time or count negative');
        }
        $this->tables = new TableCatalog($connection, $tables, $reader->table($orderTable), $reader->table($tradeTable));
        $this->writer = new GroupWriter($connection, $this->tables, $maxRetries);
        $this->failures = new Failures($deadLetterFile);
        $this->metrics = Metrics::none();
    }

    public function __destruct()
    {
        $reason = $this->metrics['last_error'] ?? '';
        try {
            while ($this->groups !== []) {
                try {
                    $this->write(null);
                } catch (FlushException $e) {
                    $reason = $e->getMessage();
                    if ($e->getFailures() === []) {
                        throw $e;
                    }
                }
            }
        } catch (Throwable $e) {
            $reason = $e->getMessage();
        }
        $given = $this->failures->untakenRows();
        if ($this->pendingRows > 0) {
            trigger_error("WriteBuffer: {$this->pendingRows} rows could not be written and are lost: {$reason}", E_USER_WARNING);
        } elseif ($given > 0) {
            trigger_error("WriteBuffer: gave up {$given} rows, and nobody called takeFailures(): {$reason}", E_USER_WARNING);
        }
    }

    public function add(mixed $order, mixed $trade = null): void
    {
        $this->refuseWhenClosed();
        $rows = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);
        $this->take([...$rows, ...$this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true)]);
    }

    public function put(string $table, mixed $row): void
    {
        $this->refuseWhenClosed();
        $this->take($this->reader->read($row, $table, 'Argument #2 ($row)', false));
    }

    public function find(string $table, mixed $key): ?array
    {
        $rows = array_merge(...array_column($this->groups, 'rows'));

        return KeySearch::find($this->tables, $this->reader->table($table), $key, $rows);
    }

    public function flush(?int $timeoutMs = null): int
    {
        $this->refuseWhenClosed();

        return $this->write($timeoutMs);
    }

    public function isFull(): bool
    {
        $rows = [];
        foreach ($this->groups as $group) {
            foreach ($group['rows'] as $row) {
                $rows[$row->table][] = $row;
            }
        }
        foreach ($rows as $name => $ofTable) {
            if (count($ofTable) < $this->batchSize) {
                continue;
            }
            $table = $this->tables->of((string) $name, $ofTable[0]);
            $forms = $table->isUpsert()
                ? Coalescer::keyForms($table, array_map([$table, 'bind'], $ofTable))
                : null;
            if (count($forms === null ? $ofTable : array_unique($forms)) >= $this->batchSize) {
                return true;
            }
        }

        return false;
    }

    public function getMetrics(): array
    {
        return array_replace($this->metrics, $this->writer->counted, [
            'pending_rows' => $this->pendingRows,
            'pending_bytes' => $this->pendingBytes,
            'oldest_pending_age_ms' => $this->groups === [] ? 0.0 : (hrtime(true) - $this->groups[0]['addedAt']) / 1e6,
            'batch_rows_avg' => $this->metrics['flush_count'] === 0
                ? 0.0
                : $this->metrics['total_flushed'] / $this->metrics['flush_count'],
        ]);
    }

    public function count(): int
    {
        return $this->pendingRows;
    }

    public function takeFailures(): array
    {
        return $this->failures->take();
    }

    public function retry(array $failures): int
    {
        if ($failures !== []) {
            $this->refuseWhenClosed();
        }
        $failures = array_values($failures);
        $groups = array_map([DeadLetter::class, 'group'], $failures, array_keys($failures));
        foreach ($groups as $at => $rows) {
            try {
                $this->take($rows);
            } catch (FullException $e) {
                return $at > 0 ? $at : throw $e;
            } catch (ConfigException $e) {
                throw new ConfigException("Argument #1 (\$failures): element {$at}: {$e->getMessage()}", 0, $e);
            }
        }

        return count($groups);
    }

    public function close(?int $timeoutMs = null): void
    {
        if (!$this->isClosed) {
            $this->write($timeoutMs);
            $this->isClosed = true;
        }
    }

    /** @param list<Row> $rows */
    private function take(array $rows): void
    {
        if ($rows === []) {
            return;
        }
        $bytes = 0;
        foreach ($rows as $row) {
            $this->tables->of($row->table, $row)->bind($row);
            foreach ($row->values as $value) {
                $bytes += is_string($value) ? strlen($value) : 8;
            }
        }
        $given = $this->makeRoom(count($rows), $bytes);
        $this->groups[] = ['rows' => $rows, 'bytes' => $bytes, 'addedAt' => hrtime(true)];
        $this->pendingRows += count($rows);
        $this->pendingBytes += $bytes;
        $this->metrics['added_rows'] += count($rows);
        if ($given !== null) {
            throw $given;
        }
        $isOverdue = hrtime(true) - $this->groups[0]['addedAt'] >= $this->flushIntervalMs * 1_000_000;
        if (($isOverdue || $this->isFull()) && $this->mayWrite()) {
            $this->write(null);
        }
    }

    /** @return FlushException|null groups that were given up on the way, to be told once the new one is taken */
    private function makeRoom(int $rows, int $bytes): ?FlushException
    {
        $hasRoom = fn (): bool => $this->pendingRows + $rows <= $this->maxPendingRows
            && $this->pendingBytes + $bytes <= $this->maxPendingBytes;
        if ($hasRoom()) {
            return null;
        }
        $given = $reason = null;
        if ($rows <= $this->maxPendingRows && $bytes <= $this->maxPendingBytes) {
            try {
                $this->write(null);
            } catch (FlushException | ConnectionException $e) {
                $given = $e instanceof FlushException && $e->getFailures() !== [] ? $e : null;
                $reason = $e;
            }
        }
        if (!$hasRoom()) {
            throw new FullException(
                "the buffer is full: {$this->pendingRows} rows, {$this->pendingBytes} bytes; the rows were not taken"
                . ($reason === null ? '' : "; the last flush failed: {$reason->getMessage()}"),
                0,
                $reason,
            );
        }

        return $given;
    }

    private function write(?int $timeoutMs): int
    {
        if ($this->groups === []) {
            return 0;
        }
        if (!$this->mayWrite()) {
            throw new FlushException('the driver php writes over a connection that has an open transaction, whose rollback would'
                . " take the rows with it ({$this->pendingRows} rows still buffered)");
        }
        $deadline = $timeoutMs === null ? null : hrtime(true) + $timeoutMs * 1_000_000;
        $flushed = 0;
        $failures = [];
        // By halves, the first ones first: what is settled always leaves at the front.
        $sizes = [count($this->groups)];
        while ($sizes !== []) {
            if ($deadline !== null && hrtime(true) >= $deadline) {
                throw new TimeoutException("the time of {$timeoutMs} ms is over ({$this->pendingRows} rows still buffered)");
            }
            $size = array_pop($sizes);
            $began = hrtime(true);
            $error = $this->writer->write(array_column(array_slice($this->groups, 0, $size), 'rows'));
            if ($error === null) {
                $flushed += $this->settle($size, (hrtime(true) - $began) / 1e6);
                continue;
            }
            $this->metrics['last_error'] = $error->error->message;
            if ($error->isCommitUnknown) {
                $failures = [...$failures, ...$this->giveUpDoubtful($size, $error)];
            }
            if ($error->error->class !== DatabaseError::REFUSED) {
                $this->metrics['failed_flushes']++;
                throw $this->exception($error->error, $failures);
            }
            if ($size > 1) {
                array_push($sizes, $size - intdiv($size, 2), intdiv($size, 2));
                continue;
            }
            $failures[] = $this->giveUp(0, $error->error->code, $error->error->message);
        }
        if ($failures !== []) {
            $this->metrics['failed_flushes']++;
            $rows = DeadLetter::countRows($failures);
            throw self::withFailures("gave up " . self::rows($rows) . ' that can never be written, see takeFailures(); the first'
                . " error: {$failures[0]['message']}", $failures[0]['code'], $failures);
        }

        return $flushed;
    }

    /** Takes the first groups out: they are committed. */
    private function settle(int $size, float $timeMs): int
    {
        $rows = 0;
        foreach (array_splice($this->groups, 0, $size) as $group) {
            $rows += count($group['rows']);
            $this->pendingBytes -= $group['bytes'];
        }
        $this->pendingRows -= $rows;
        $this->metrics['flush_count']++;
        $this->metrics['total_flushed'] += $rows;
        $this->metrics['total_flush_time_ms'] += $timeMs;
        $this->metrics['flush_latency_max_ms'] = max($this->metrics['flush_latency_max_ms'], $timeMs);
        $this->metrics['batch_rows_max'] = max($this->metrics['batch_rows_max'], $rows);

        return $rows;
    }

    /** @return array{rows: list<array{table: string, row: array<string, mixed>}>, code: int, message: string, time: float} */
    private function giveUp(int $at, int $code, string $message): array
    {
        $letter = $this->failures->keep($this->groups[$at]['rows'], $code, $message);
        if (is_string($letter)) {
            throw new FlushException("{$message}; {$letter} (" . self::rows($this->pendingRows) . ' still buffered)', $code);
        }
        [$group] = array_splice($this->groups, $at, 1);
        $this->pendingRows -= count($group['rows']);
        $this->pendingBytes -= $group['bytes'];
        $this->metrics['failed_rows'] += count($group['rows']);

        return $letter;
    }

    /**
     * Of groups whose COMMIT was not answered, gives up those that must not be written a second time.
     *
     * @return list<array<string, mixed>>
     */
    private function giveUpDoubtful(int $size, WriteError $error): array
    {
        $letters = [];
        for ($at = $size - 1; $at >= 0; $at--) {
            foreach ($this->groups[$at]['rows'] as $row) {
                if (!$this->tables->rules($row->table)->isRepeatable()) {
                    array_unshift($letters, $this->giveUp($at, $error->error->code, 'the connection was lost at COMMIT: these rows'
                        . " may be in the database or not, look there before retry(): {$error->error->message}"));
                    break;
                }
            }
        }

        return $letters;
    }

    /** @param list<array<string, mixed>> $failures */
    private function exception(DatabaseError $error, array $failures): Throwable
    {
        $message = "{$error->message} (" . self::rows($this->pendingRows) . ' still buffered)';

        return $error->class === DatabaseError::CONNECTION && $failures === []
            ? new ConnectionException($message, $error->code)
            : self::withFailures($message, $error->code, $failures);
    }

    /** @param list<array<string, mixed>> $failures */
    private static function withFailures(string $message, int $code, array $failures): FlushException
    {
        $e = new FlushException($message, $code);
        // The class is the extension's and final, and only the extension sets this.
        (new ReflectionProperty($e, 'failures'))->setValue($e, $failures);

        return $e;
    }

    private function mayWrite(): bool
    {
        return $this->mayWrite === null || ($this->mayWrite)();
    }

    private static function rows(int $count): string
    {
        return $count === 1 ? '1 row' : "{$count} rows";
    }

    private function refuseWhenClosed(): void
    {
        if ($this->isClosed) {
            throw new ClosedException('the buffer is closed');
        }
    }
}
