<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use Closure;
use Illuminate\Database\Connection;
use SyncWriteBuffer;
use Throwable;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Drivers\Tickets;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\OpenGroup;
use WriteBuffer\Laravel\Rows\OpenGroups;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Rows\RowRuns;
use WriteBuffer\Laravel\Rows\Tag;
use WriteBuffer\Laravel\Rows\TakesRows;
use WriteBuffer\Laravel\Tables\KeySearch;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\NotTaken;
use WriteBuffer\RefusedException;
use WriteBuffer\Retryable;

/**
 * Owns how the rows of a buffer follow Laravel's transactions on one connection. A group that is
 * added within a transaction is held, with its values of that moment. The commit adds it to the
 * inner buffer; the rollback drops it.
 *
 * Invariant: a group whose transaction was committed is in one of three places:
 * - the inner buffer;
 * - `late`: the inner buffer was full. It is added, in order, before anything else is added or
 *   flushed;
 * - the failures: the inner buffer can never take it, or keeps nothing and has not written it. If
 *   the inner buffer does not take a group, the commit throws, and the transaction stays committed.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class AfterCommitBuffer implements Buffer, HeldGroupOwner, HoldsRows
{
    /** How long the end may take to make room for rows that had none. */
    private const END_TIMEOUT_MS = 10_000;

    /** @var list<array{list<Row>, ?string}> each with its tag */
    private array $late = [];

    /** @var list<Letter> */
    private array $failures = [];

    private int $failedRows = 0;

    private int $failedGroups = 0;

    private readonly OpenGroups $groups;

    /** Calls of the inner buffer's group() that have begun, in whatever fiber. */
    private int $openGroups = 0;

    private readonly RowReader $reader;

    /** Whether the inner buffer still has what it could not write. */
    private readonly bool $keepsRows;

    /** @param Closure(): Connection $connection */
    public function __construct(
        private readonly Buffer $buffer,
        private readonly OpenTransactions $transactions,
        private readonly Closure $connection,
        RowReader $reader,
        private readonly TableCatalog $tables,
        private readonly string $orderTable,
        private readonly string $tradeTable,
    ) {
        $this->groups = new OpenGroups();
        $this->keepsRows = $buffer instanceof TakesRows ? $buffer->keepsRows() : !$buffer instanceof SyncWriteBuffer;
        $this->reader = $reader->withIdentities($tables->identity(...));
    }

    public function __destruct()
    {
        try {
            if ($this->late !== []) {
                // The inner buffer's own end writes the rest.
                $this->drain(self::END_TIMEOUT_MS);
            }
        } catch (RefusedException) {
            // They are the inner buffer's failures, and its end tells of them.
        } catch (Throwable $e) {
            $rows = self::countRows(array_column($this->late, 0));
            trigger_error(
                "WriteBuffer: {$rows} rows of committed transactions are lost: {$e->getMessage()}",
                E_USER_WARNING,
            );
        }
    }

    /** The inner buffer, which writes the rows. */
    public function inner(): Buffer
    {
        return $this->buffer;
    }

    public function isHolding(): bool
    {
        return $this->openConnection() !== null;
    }

    public function heldRows(): int
    {
        return self::countRows($this->waitingGroups()) - self::countRows(array_column($this->late, 0));
    }

    public function holdsRowsOf(string $table): bool
    {
        $name = $this->reader->table($table);
        foreach ($this->waitingGroups() as $rows) {
            foreach ($rows as $row) {
                if ($row->table === $name) {
                    return true;
                }
            }
        }

        return false;
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        if (!$this->isCollecting()) {
            $this->addLate();

            return $this->buffer->add($order, $trade);
        }
        $rows = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);

        return $this->collect([
            ...$rows,
            ...$this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true),
        ]);
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        if (!$this->isCollecting()) {
            $this->addLate();

            return $this->buffer->put($table, $row, $tag);
        }

        Tag::check($tag);

        return $this->collect($this->reader->read($row, $table, 'Argument #2 ($row)', false), $tag);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $import = new Import(
            $this,
            fn (array $row): array => $this->reader->read($row, $table, Import::PARAMETER, false),
            function (array $rows): void {
                if ($this->isCollecting()) {
                    $this->collect($rows);
                } elseif ($rows !== []) {
                    $this->addLate();
                    $this->addToInner($rows, null);
                }
            },
            fn (): bool => $this->openGroups > 0 || $this->groups->current() !== null,
            $this->keepsRows,
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        if (!$this->isCollecting()) {
            $this->addLate();

            return $this->buffer->delete($table, $key, $tag);
        }

        Tag::check($tag);

        return $this->collect([$this->reader->deletion($table, $key)], $tag);
    }

    /**
     * Within a transaction the group is held as a whole. Outside of one the inner buffer collects
     * it: what is added in a transaction that begins and is committed within joins it then.
     */
    public function group(callable $rows, ?string $tag = null): mixed
    {
        if (!$this->isCollecting()) {
            $this->addLate();

            $this->openGroups++;
            try {
                return $this->buffer->group($rows, $tag);
            } finally {
                $this->openGroups--;
            }
        }

        return $this->groups->run(
            $rows,
            function (OpenGroup $group): void {
                if ($group->rows !== []) {
                    // Its transaction was committed within it.
                    $this->addCommitted($group->rows, $group->tag);
                }
            },
            $this->transactions->takeBack(...),
            $tag,
        );
    }

    /** Finds held rows too, so a transaction reads what it added. */
    public function find(string $table, mixed $key): array|false|null
    {
        return KeySearch::find(
            $this->tables,
            $this->reader->table($table),
            $key,
            array_merge(...$this->waitingGroups()),
            $this->buffer->find($table, $key),
        );
    }

    /**
     * Writes what was added outside of a transaction or in a committed one, also what had no room
     * at its commit. Held rows go on waiting.
     */
    public function flush(?int $timeoutMs = null): int
    {
        return $this->late === [] ? $this->buffer->flush($timeoutMs) : $this->drain($timeoutMs);
    }

    /** What had no room at its commit is added first. Held rows go on waiting. */
    public function sync(?int $timeoutMs = null): void
    {
        $this->addLate();
        $this->buffer->sync($timeoutMs);
    }

    /** The last ticket of the inner buffer. Held rows have none yet. */
    public function lastTicket(): int
    {
        return $this->buffer->lastTicket();
    }

    public function committedThrough(): int
    {
        return $this->buffer->committedThrough();
    }

    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        try {
            $this->addLate();
        } catch (FullException) {
            // They come later than every ticket that there is.
        }
        if ($ticket === 0) {
            $isGathering = $this->groups->areAny() || self::countRows($this->waitingGroups()) > 0;
            Tickets::check($ticket, $timeoutMs, $this->buffer->lastTicket(), $isGathering);
        }
        $this->buffer->waitFor($ticket, $timeoutMs);
    }

    public function isFull(): bool
    {
        return $this->buffer->isFull();
    }

    public function getMetrics(): array
    {
        $metrics = $this->buffer->getMetrics();
        $waiting = self::countRows($this->waitingGroups());
        $metrics['rows_added'] += $waiting + $this->failedRows;
        $metrics['rows_pending'] += $waiting;
        $metrics['rows_refused'] += $this->failedRows;
        $metrics['groups_refused'] += $this->failedGroups;

        return $metrics;
    }

    public function count(): int
    {
        return count($this->buffer) + self::countRows($this->waitingGroups());
    }

    public function failures(): array
    {
        return [...$this->failures, ...$this->buffer->failures()];
    }

    public function takeFailures(): array
    {
        [$failures, $this->failures] = [$this->failures, []];

        return [...$failures, ...$this->buffer->takeFailures()];
    }

    public function retry(array $failures): int
    {
        return $this->buffer->retry($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        if ($this->late !== []) {
            $this->drain($timeoutMs);
        }
        $this->buffer->close($timeoutMs);
    }

    /** Adds a group whose transaction was committed. */
    public function addCommitted(array $rows, ?string $tag = null): void
    {
        $this->late[] = [$rows, $tag];
        $this->addLate();
    }

    public function keepsWhatFailed(Throwable $e): bool
    {
        return $e instanceof FullException || ($this->keepsRows && $e instanceof Retryable);
    }

    /** The connection, if it has a transaction open; null: it has none, and rows need not wait. */
    private function openConnection(): ?Connection
    {
        // This is for speed: to ask Laravel for the connection takes longer than the extension's
        // add().
        if (!$this->transactions->areAny()) {
            return null;
        }
        $connection = ($this->connection)();

        return $this->transactions->isOpen($connection) ? $connection : null;
    }

    /**
     * Flushes as often as it takes to make room for all that is late. Groups that are given up
     * meanwhile are told at the end, and hold up nothing.
     */
    private function drain(?int $timeoutMs): int
    {
        $deadline = $timeoutMs === null ? null : hrtime(true) + $timeoutMs * 1_000_000;
        $left = static fn (): ?int => $deadline === null
            ? null
            : max(0, (int) ceil(($deadline - hrtime(true)) / 1_000_000));
        $rows = $flushes = 0;
        $refused = null;
        $failures = [];
        $collect = static function (RefusedException $e) use (&$refused, &$failures): void {
            $refused ??= $e;
            $failures = [...$failures, ...$e->getFailures()];
        };
        do {
            $before = count($this->late);
            try {
                $this->addLate();
            } catch (RefusedException $e) {
                $collect($e);
            } catch (FullException $full) {
                // The flush makes room.
            } catch (Retryable $e) {
                throw $e;
            } catch (TypeError | NotTaken $e) {
                // It was given up. The others are written all the same.
                $wrong ??= $e;
            }
            $isDone = $this->late === [];
            try {
                $rows += $this->buffer->flush($left());
            } catch (RefusedException $e) {
                $collect($e);
            }
            // The first flush makes room, and from then on each one is for at least one group.
            if (!$isDone && $flushes++ > 0 && count($this->late) === $before) {
                throw $full;
            }
        } while (!$isDone);
        if ($refused === null) {
            return isset($wrong) ? throw $wrong : $rows;
        }

        throw count($failures) === count($refused->getFailures())
            ? $refused
            : new RefusedException($refused->getMessage(), $refused->getCode(), $refused, $failures);
    }

    private function addLate(): void
    {
        while ($this->late !== []) {
            try {
                $this->addToInner(...$this->late[0]);
            } catch (FullException $e) {
                throw $e;
            } catch (TypeError | NotTaken $e) {
                // What may help later is a buffer's that keeps nothing: it has only tried it.
                $status = $e instanceof Retryable ? DeadLetter::UNWRITTEN : DeadLetter::REFUSED;
                $this->giveUp($e, $status, ...array_shift($this->late));
                throw $e;
            } catch (Throwable $e) {
                // Any other exception says that the group was taken. But a buffer that keeps
                // nothing keeps no failure either.
                $group = array_shift($this->late);
                if (!$this->keepsRows) {
                    $this->giveUp($e, DeadLetter::REFUSED, ...$group);
                }
                throw $e;
            }
            array_shift($this->late);
        }
    }

    /** @param list<Row> $rows one group */
    private function addToInner(array $rows, ?string $tag): void
    {
        if ($this->buffer instanceof TakesRows) {
            $this->buffer->addRows($rows, $tag);
        } else {
            RowRuns::addTo($this->buffer, $rows, $tag);
        }
    }

    /** @param list<Row> $rows */
    private function giveUp(Throwable $e, string $status, array $rows, ?string $tag): void
    {
        if ($e instanceof RefusedException && $e->getFailures() !== []) {
            // The inner buffer has counted them.
            $this->failures = [...$this->failures, ...$e->getFailures()];

            return;
        }
        $this->failedRows += count($rows);
        $this->failedGroups++;
        $isOfServer = $e instanceof BufferException && ($e instanceof Retryable || !$e instanceof NotTaken);
        $code = $isOfServer ? (int) $e->getCode() : 0;
        $this->failures[] = DeadLetter::of($rows, $status, $code, $e->getMessage(), $tag);
    }

    /** Whether rows are read here: for a group, or to be held. */
    private function isCollecting(): bool
    {
        return $this->groups->current() !== null || $this->openConnection() !== null;
    }

    /**
     * @param list<Row> $rows
     *
     * @return int 0: they have no ticket before the inner buffer takes them
     */
    private function collect(array $rows, ?string $tag = null): int
    {
        if ($rows === []) {
            return 0;
        }
        $group = $this->groups->current();
        $connection = $this->openConnection();
        if ($connection !== null) {
            $this->transactions->hold($connection, new HeldGroup($this, $rows, $group, $tag));
        } else {
            $group?->add($rows, $tag);
        }

        return 0;
    }

    /** @return list<list<Row>> the groups that the inner buffer does not have yet, in order */
    private function waitingGroups(): array
    {
        $waiting = array_column($this->late, 0);
        $connection = $this->openConnection();
        foreach ($connection === null ? [] : $this->transactions->held($connection) as $group) {
            if ($group->buffer === $this) {
                $waiting[] = $group->rows;
            }
        }
        $waiting[] = $this->groups->current()?->rows ?? [];

        return $waiting;
    }

    /** @param list<list<Row>> $groups */
    private static function countRows(array $groups): int
    {
        return array_sum(array_map('count', $groups));
    }
}
