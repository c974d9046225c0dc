<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\Connection;
use Illuminate\Database\Events\ConnectionEvent;
use Illuminate\Database\Events\TransactionBeginning;
use Illuminate\Database\Events\TransactionCommitted;
use Illuminate\Database\Events\TransactionRolledBack;
use Throwable;
use WeakMap;
use WriteBuffer\Laravel\Rows\OpenGroup;

/**
 * Owns the transactions that the application has open on Laravel's connections, and the groups that
 * wait for their end.
 *
 * Transactions are known by their events. RefreshDatabase and DatabaseTransactions begin a
 * transaction around a test without an event. It is never committed, so nothing waits for it.
 *
 * Invariant: a group is released once, when the outermost transaction around it was committed; or
 * it is dropped, when any level around it was rolled back. If the connection has left a level
 * without an event (its COMMIT failed, or the connection was lost), that level was rolled back.
 */
final class OpenTransactions
{
    /**
     * By the connection itself, the outermost level first: when a name means another database, as
     * after DB::purge(), the transactions of the old connection are not those of the new one.
     *
     * @var WeakMap<Connection, list<TransactionLevel>>
     */
    private WeakMap $levels;

    /**
     * What commits are to throw once all callbacks after them have run; null: nothing. If one of
     * the callbacks threw it, Laravel would take a lost race in it for one of its own, and run the
     * whole transaction again that is committed. A callback may commit another transaction: the
     * last one ends first.
     *
     * @var WeakMap<Connection, list<Throwable|null>>
     */
    private WeakMap $thrown;

    public function __construct(private readonly Container $container)
    {
        $this->levels = new WeakMap();
        $this->thrown = new WeakMap();
    }

    public function handle(ConnectionEvent $event): void
    {
        match (true) {
            $event instanceof TransactionBeginning => $this->began($event->connection),
            $event instanceof TransactionCommitted => $this->ended($event->connection),
            $event instanceof TransactionRolledBack => $this->rolledBack($event->connection),
            default => null,
        };
    }

    /**
     * Whether any connection may have a transaction open. Costs less than isOpen(), which needs the
     * connection.
     */
    public function areAny(): bool
    {
        return count($this->levels) > 0;
    }

    public function isOpen(Connection $connection): bool
    {
        if (!isset($this->levels[$connection])) {
            return false;
        }
        $this->rolledBack($connection);

        return isset($this->levels[$connection]);
    }

    /** Keeps a group until the transaction ends. The connection has one open: see isOpen(). */
    public function hold(Connection $connection, HeldGroup $group): void
    {
        $levels = $this->levels[$connection];
        $levels[count($levels) - 1]->groups[] = $group;
    }

    /** Drops the parts of a group, from a number on. */
    public function takeBack(OpenGroup $whole, int $from): void
    {
        foreach ($this->levels as $levels) {
            foreach ($levels as $level) {
                $level->groups = array_values(array_filter(
                    $level->groups,
                    static fn (HeldGroup $group): bool => !$group->isPartOf($whole, $from),
                ));
            }
        }
    }

    /** @return list<HeldGroup> the groups that wait, in the order in which they were added */
    public function held(Connection $connection): array
    {
        return $this->isOpen($connection)
            ? array_merge(...array_column($this->levels[$connection], 'groups'))
            : [];
    }

    private function began(Connection $connection): void
    {
        $this->dropAbove($connection, $connection->transactionLevel() - 1);
        $isOutermost = !isset($this->levels[$connection]);
        $this->levels[$connection] = [
            ...$this->levels[$connection] ?? [],
            new TransactionLevel($connection->transactionLevel()),
        ];
        // Laravel calls afterCommit() callbacks before it dispatches the commit's event. A callback
        // of the application may add rows, which must come after the held ones. So the first
        // callback releases them. Within a test's transaction Laravel 8 calls none, and the event
        // releases them.
        if ($isOutermost && $this->container->bound('db.transactions')) {
            $pdo = $connection->getRawPdo();
            // Laravel keeps callbacks by the connection's name: after DB::purge() the next commit
            // of a new connection calls them too.
            $connection->afterCommit(function () use ($connection, $pdo): void {
                $thrown = null;
                try {
                    $connection->getRawPdo() === $pdo && $this->committed($connection);
                } catch (Throwable $thrown) {
                }
                $this->thrown[$connection] = [...$this->thrown[$connection] ?? [], $thrown];
            });
        }
    }

    /** The commit and all callbacks after it are over. */
    private function ended(Connection $connection): void
    {
        $this->committed($connection);
        $waiting = $this->thrown[$connection] ?? [];
        if ($connection->transactionLevel() > 0 || $waiting === []) {
            return;
        }
        $thrown = array_pop($waiting);
        $this->thrown[$connection] = $waiting;
        if ($thrown !== null) {
            throw $thrown;
        }
    }

    /** Reports what a commit has not thrown, since a callback after it threw something else. */
    public function reportUnthrown(): void
    {
        foreach ($this->thrown as $waiting) {
            array_map($this->report(...), array_filter($waiting));
        }
        $this->thrown = new WeakMap();
    }

    private function report(Throwable $e): void
    {
        if ($this->container->bound(ExceptionHandler::class)) {
            $this->container->make(ExceptionHandler::class)->report($e);
        }
    }

    private function committed(Connection $connection): void
    {
        $level = $connection->transactionLevel();
        // A deeper level ended without an event: see the invariant.
        $this->dropAbove($connection, $level + 1);
        $levels = $this->levels[$connection] ?? [];
        $ended = array_pop($levels);
        if ($ended?->number !== $level + 1) {
            return;
        }
        if ($levels !== []) {
            // A savepoint: its groups go on waiting, with the level around it.
            $around = $levels[count($levels) - 1];
            $around->groups = [...$around->groups, ...$ended->groups];
            $this->levels[$connection] = $levels;

            return;
        }
        unset($this->levels[$connection]);
        $thrown = null;
        foreach (HeldGroup::whole($ended->groups) as $group) {
            try {
                $group->release();
            } catch (Throwable $e) {
                // The others are released all the same. One call throws one exception.
                if ($thrown !== null && !$group->buffer->keepsWhatFailed($e)) {
                    $this->report($e);
                }
                $thrown ??= $e;
            }
        }
        if ($thrown !== null) {
            throw $thrown;
        }
    }

    private function rolledBack(Connection $connection): void
    {
        $this->dropAbove($connection, $connection->transactionLevel());
    }

    private function dropAbove(Connection $connection, int $level): void
    {
        $left = array_values(array_filter(
            $this->levels[$connection] ?? [],
            static fn (TransactionLevel $open): bool => $open->number <= $level,
        ));
        if ($left === []) {
            unset($this->levels[$connection]);
        } else {
            $this->levels[$connection] = $left;
        }
    }
}
