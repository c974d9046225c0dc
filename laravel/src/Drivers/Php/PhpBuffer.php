<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use Closure;
use Illuminate\Database\Connection;
use Throwable;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\DeadLetters\PutBack;
use WriteBuffer\Laravel\DeadLetters\Retry;
use WriteBuffer\Laravel\Drivers\Tickets;
use WriteBuffer\Laravel\Messages\Words;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\OpenGroups;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Rows\Tag;
use WriteBuffer\Laravel\Rows\TakesRows;
use WriteBuffer\Laravel\Tables\KeySearch;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\RefusedException;
use WriteBuffer\TooLargeException;

/**
 * The driver `php`: the extension's foreground buffer in PHP, over Laravel's own connection, for
 * MySQL, MariaDB and SQLite. It owns what is taken, and when a flush is due: add() and put() flush
 * if a table has batchSize rows or the oldest row is flushIntervalMs old. The rows go into the
 * caller's transaction, if one is open.
 *
 * Invariant, as the extension's: a row taken is pending, committed or given up, and a group is
 * whole. There is no ledger. If the answer to a COMMIT is lost, groups that must not be written
 * twice are given up, with a message for a person.
 *
 * Bounds: maxPendingRows and maxPendingBytes.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class PhpBuffer implements Buffer, TakesRows
{
    private bool $isClosed = false;

    private int $lastTicket = 0;

    /** @var list<Letter> what waits for other groups have given up: the next flush throws it */
    private array $untold = [];

    private readonly RowReader $reader;

    private readonly PendingGroups $pending;

    private readonly TableCatalog $tables;

    private readonly Failures $failures;

    private readonly Counters $counters;

    private readonly Flusher $flusher;

    private readonly OpenGroups $groups;

    private readonly PutBack $putBack;

    /**
     * @param Closure(): Connection               $connection called at each use: it may change
     * @param array<string, array<string, mixed>> $tables     the rules, by the names on the server
     * @param (Closure(): bool)|null              $mayWrite   false: rows must stay out of the
     *                                                        open transaction
     */
    public function __construct(
        Closure $connection,
        RowReader $reader,
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
        bool $redactValues = false,
        ?string $timeZone = null,
    ) {
        if ($batchSize < 1 || $batchSize > 10_000 || $flushIntervalMs < 0 || $maxRetries < 0) {
            throw new ConfigException('batchSize must be from 1 to 10000, and no time or count negative');
        }
        $this->pending = new PendingGroups();
        $this->groups = new OpenGroups();
        $this->putBack = new PutBack();
        $this->tables = new TableCatalog(
            $connection,
            $tables,
            $reader->table($orderTable),
            $reader->table($tradeTable),
        );
        $this->reader = $reader->withIdentities($this->tables->identity(...))->withTimeZone($timeZone);
        $this->failures = new Failures($deadLetterFile);
        $this->counters = new Counters();
        $this->flusher = new Flusher(
            $this->pending,
            new GroupWriter($connection, $this->tables, $maxRetries, $this->counters),
            $this->failures,
            $this->tables,
            $this->counters,
            $redactValues,
        );
    }

    public function __destruct()
    {
        $reason = $this->counters->lastError() ?? '';
        try {
            while (count($this->pending) > 0) {
                try {
                    $this->write(null);
                } catch (FlushException $e) {
                    $reason = $e->getMessage();
                    if (!$e instanceof RefusedException) {
                        throw $e;
                    }
                }
            }
        } catch (Throwable $e) {
            $reason = $e->getMessage();
        }
        $reason = Words::clean($reason);
        while (count($this->pending) > 0 && $this->failures->keepLeft($this->pending->group(0), $this->pending->tag(0), $reason)) {
            $this->pending->remove(0, 1);
        }
        $pending = $this->pending->rows();
        $given = $this->failures->untoldRows();
        if ($pending > 0) {
            trigger_error("WriteBuffer: {$pending} rows could not be written and are lost: {$reason}", E_USER_WARNING);
        } elseif ($given > 0) {
            trigger_error("WriteBuffer: gave up {$given} rows, and nobody called takeFailures(): {$reason}", E_USER_WARNING);
        }
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $this->refuseWhenClosed();
        $rows = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);

        return $this->collect([...$rows, ...$this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true)]);
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        $this->refuseWhenClosed();

        Tag::check($tag);

        return $this->collect($this->reader->read($row, $table, 'Argument #2 ($row)', false), $tag);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $this->refuseWhenClosed();
        $import = new Import(
            $this,
            fn (array $row): array => $this->reader->read($row, $table, Import::PARAMETER, false),
            $this->addRows(...),
            fn (): bool => $this->groups->current() !== null,
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        $this->refuseWhenClosed();

        Tag::check($tag);

        return $this->collect([$this->reader->deletion($table, $key)], $tag);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $this->refuseWhenClosed();

        return $this->groups->run($rows, function (OpenGroup $group): void {
            $this->refuseWhenClosed();
            $this->take($group->rows, $group->tag);
        }, null, $tag);
    }

    /** Takes rows that were read before, as one group. */
    public function addRows(array $rows, ?string $tag = null): void
    {
        $this->refuseWhenClosed();
        $this->collect($rows, $tag);
    }

    public function keepsRows(): bool
    {
        return true;
    }

    public function find(string $table, mixed $key): array|false|null
    {
        $rows = [...$this->pending->all(), ...$this->groups->current()?->rows ?? []];

        return KeySearch::find($this->tables, $this->reader->table($table), $this->reader->key($key), $rows);
    }

    public function flush(?int $timeoutMs = null): int
    {
        return $this->writeAndTell($timeoutMs);
    }

    /** As flush(): it has no journal. */
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
        return count($this->pending) === 0 ? $this->lastTicket : $this->pending->ticket(0) - 1;
    }

    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        if (!Tickets::check($ticket, $timeoutMs, $this->lastTicket, $this->groups->areAny())) {
            return;
        }
        $at = $this->pending->place($ticket);
        $thrown = null;
        if ($at !== null) {
            try {
                $this->write($timeoutMs, $at + 1);
            } catch (FlushException $e) {
                $thrown = $e;
                if ($this->pending->place($ticket) !== null) {
                    throw $e;
                }
            }
        }
        $own = $this->failures->ofTicket($ticket);
        $untold = [...$this->untold, ...$thrown?->getFailures() ?? []];
        $others = array_filter($untold, static fn (array $letter): bool => $letter !== $own);
        $this->untold = array_slice($others, 0, Failures::LETTERS_MAX);
        if ($own !== null) {
            if (count($others) < count($untold)) {
                $this->failures->toldOf(count($own['rows']));
            }
            throw $this->flusher->refusal([$own]);
        }
        $reason = $this->failures->reason($ticket);
        if ($reason !== null) {
            throw new RefusedException($reason);
        }
    }

    public function isFull(): bool
    {
        foreach ($this->pending->byTable() as $name => $rows) {
            if (count($rows) < $this->batchSize) {
                continue;
            }
            $table = $this->tables->of((string) $name, $rows[0]);
            $bind = static fn (Row $row): array => $row->isDeletion ? $table->bindDeletion($row) : $table->bind($row);
            $forms = $table->isUpsert() && $table->rules->coalesce
                ? $table->keyForms(array_map($bind, $rows))
                : null;
            if (count($forms === null ? $rows : array_unique($forms)) >= $this->batchSize) {
                return true;
            }
        }

        return false;
    }

    public function getMetrics(): array
    {
        return array_replace($this->counters->all(), [
            'rows_pending' => $this->pending->rows(),
            'bytes_pending' => $this->pending->bytes(),
            'age_oldest_ms' => $this->pending->oldestAgeMs(),
        ]);
    }

    public function count(): int
    {
        return $this->pending->rows();
    }

    public function failures(): array
    {
        return $this->failures->all();
    }

    public function takeFailures(): array
    {
        $this->untold = [];

        return $this->failures->take();
    }

    public function retry(array $failures): int
    {
        $this->refuseWhenClosed();

        return Retry::run($failures, $this->putBack, $this->take(...), fn (): int => $this->lastTicket);
    }

    /** Drops what is buffered, for a caller that has it elsewhere. */
    public function discard(): void
    {
        $this->pending->remove(0, count($this->pending));
    }

    public function close(?int $timeoutMs = null): void
    {
        if (!$this->isClosed) {
            $this->writeAndTell($timeoutMs);
            $this->isClosed = true;
        }
    }

    /**
     * Takes a group, or makes its rows a part of the group that is open.
     *
     * @param list<Row> $rows
     *
     * @return int their ticket; 0: the open group has none yet
     */
    private function collect(array $rows, ?string $tag = null): int
    {
        $group = $this->groups->current();
        if ($group === null) {
            $this->take($rows, $tag);

            return $this->lastTicket;
        }
        $rows = $this->checked($rows);
        if (
            count($group->rows) + count($rows) > $this->maxPendingRows
            || $group->bytes + PendingGroups::sizeOf($rows) > $this->maxPendingBytes
        ) {
            throw $this->tooLarge();
        }
        $group->add($rows, $tag);

        return 0;
    }

    private function tooLarge(): TooLargeException
    {
        return new TooLargeException("the group does not fit into the buffer ({$this->maxPendingRows} rows,"
            . " {$this->maxPendingBytes} bytes): add fewer rows at once, or raise the bound");
    }

    /**
     * @param list<Row> $rows
     *
     * @return list<Row> the same rows; a deletion has its key by name, as far as that is known
     */
    private function checked(array $rows): array
    {
        foreach ($rows as $at => $row) {
            $table = $this->tables->of($row->table, $row);
            if (!$row->isDeletion) {
                $table->bind($row);
            } elseif ($table->key !== [] || !$table->isUpsert()) {
                $rows[$at] = new Row($row->table, $table->bindDeletion($row), null, true);
            }
        }

        return $rows;
    }

    /** @param list<Row> $rows */
    private function take(array $rows, ?string $tag = null): void
    {
        if ($rows === []) {
            return;
        }
        $rows = $this->checked($rows);
        $given = $this->makeRoom(count($rows), PendingGroups::sizeOf($rows));
        $this->pending->add($rows, ++$this->lastTicket, $tag);
        $this->counters->add('rows_added', count($rows));
        if ($given !== null) {
            $this->failures->told();
            throw $given;
        }
        $isDue = $this->pending->oldestAgeMs() >= $this->flushIntervalMs || $this->isFull();
        if ($isDue && $this->mayWrite()) {
            $this->writeAndTell(null);
        }
    }

    /** @return RefusedException|null of groups given up: thrown when the new one is taken */
    private function makeRoom(int $rows, int $bytes): ?RefusedException
    {
        $hasRoom = fn (): bool => $this->pending->rows() + $rows <= $this->maxPendingRows
            && $this->pending->bytes() + $bytes <= $this->maxPendingBytes;
        if ($hasRoom()) {
            return null;
        }
        if ($rows > $this->maxPendingRows || $bytes > $this->maxPendingBytes) {
            throw $this->tooLarge();
        }
        $given = $reason = null;
        try {
            $this->write(null);
        } catch (FlushException | ConnectionException $e) {
            $given = $e instanceof RefusedException ? $e : null;
            $reason = $e;
        }
        if (!$hasRoom()) {
            throw new FullException(
                "the buffer is full: {$this->pending->rows()} rows, {$this->pending->bytes()} bytes;"
                . ' the rows were not taken'
                . ($reason === null ? '' : "; the last flush failed: {$reason->getMessage()}"),
                0,
                $reason,
            );
        }

        return $given;
    }

    /** What it throws tells the caller of the groups that were given up. */
    private function writeAndTell(?int $timeoutMs): int
    {
        try {
            $rows = $this->write($timeoutMs);
        } catch (FlushException $e) {
            $this->failures->told();
            if ($this->untold === [] || $e->getFailures() === []) {
                throw $e;
            }
            $this->untold = [...$this->untold, ...$e->getFailures()];
        }
        if ($this->untold !== []) {
            [$letters, $this->untold] = [$this->untold, []];
            $this->failures->told();
            throw $this->flusher->refusal($letters);
        }

        return $rows ?? 0;
    }

    /** @param int|null $groups so many, from the first on; null: all */
    private function write(?int $timeoutMs, ?int $groups = null): int
    {
        if (count($this->pending) === 0) {
            return 0;
        }
        if (!$this->mayWrite()) {
            throw new BlockedException('the driver php writes over a connection that has an open transaction, whose'
                . " rollback would take the rows with it ({$this->pending->rows()} rows still buffered)");
        }

        return $this->flusher->flush($timeoutMs, $groups);
    }

    private function mayWrite(): bool
    {
        return $this->mayWrite === null || ($this->mayWrite)();
    }

    private function refuseWhenClosed(): void
    {
        if ($this->isClosed) {
            throw new ClosedException('the buffer is closed');
        }
    }
}
