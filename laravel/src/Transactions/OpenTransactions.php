<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Transactions;

use Illuminate\Contracts\Container\Container;
use Illuminate\Database\Connection;
use Illuminate\Database\Events\ConnectionEvent;
use Illuminate\Database\Events\TransactionBeginning;
use Illuminate\Database\Events\TransactionCommitted;
use Illuminate\Database\Events\TransactionRolledBack;
use Throwable;
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
    /** @var array<string, list<TransactionLevel>> by the connection's name, the outermost first */
    private array $levels = [];

    public function __construct(private readonly Container $container)
    {
    }

    public function handle(ConnectionEvent $event): void
    {
        match (true) {
            $event instanceof TransactionBeginning => $this->began($event->connection),
            $event instanceof TransactionCommitted => $this->committed($event->connection),
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
        return $this->levels !== [];
    }

    public function isOpen(Connection $connection): bool
    {
        $name = (string) $connection->getName();
        if (!isset($this->levels[$name])) {
            return false;
        }
        $this->rolledBack($connection);

        return isset($this->levels[$name]);
    }

    /** Keeps a group until the transaction ends. The connection has one open: see isOpen(). */
    public function hold(Connection $connection, HeldGroup $group): void
    {
        $levels = $this->levels[(string) $connection->getName()];
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
            ? array_merge(...array_column($this->levels[(string) $connection->getName()], 'groups'))
            : [];
    }

    private function began(Connection $connection): void
    {
        $name = (string) $connection->getName();
        $this->dropAbove($connection, $connection->transactionLevel() - 1);
        $isOutermost = !isset($this->levels[$name]);
        $this->levels[$name][] = new TransactionLevel($connection->transactionLevel());
        // Laravel calls afterCommit() callbacks before it dispatches the commit's event. A callback
        // of the application may add rows, which must come after the held ones. So the first
        // callback releases them. Within a test's transaction Laravel 8 calls none, and the event
        // releases them.
        if ($isOutermost && $this->container->bound('db.transactions')) {
            $connection->afterCommit(fn () => $this->committed($connection));
        }
    }

    private function committed(Connection $connection): void
    {
        $name = (string) $connection->getName();
        $level = $connection->transactionLevel();
        // A deeper level ended without an event: see the invariant.
        $this->dropAbove($connection, $level + 1);
        $last = count($this->levels[$name] ?? []) - 1;
        if ($last < 0 || $this->levels[$name][$last]->number !== $level + 1) {
            return;
        }
        $ended = array_pop($this->levels[$name]);
        if ($last > 0) {
            // A savepoint: its groups go on waiting, with the level around it.
            $around = $this->levels[$name][$last - 1];
            $around->groups = [...$around->groups, ...$ended->groups];

            return;
        }
        unset($this->levels[$name]);
        $thrown = null;
        foreach (HeldGroup::whole($ended->groups) as $group) {
            try {
                $group->release();
            } catch (Throwable $e) {
                // The buffer keeps this group, and the others are released all the same.
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
        $name = (string) $connection->getName();
        $left = array_values(array_filter(
            $this->levels[$name] ?? [],
            static fn (TransactionLevel $open): bool => $open->number <= $level,
        ));
        if ($left === []) {
            unset($this->levels[$name]);
        } else {
            $this->levels[$name] = $left;
        }
    }
}
