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

/**
 * The transactions that the application has open on Laravel's connections, and the groups that wait for their end.
 *
 * Transactions are known by their events. That is what tells them from the one that RefreshDatabase and DatabaseTransactions put
 * around a test: it is begun without events, and nothing waits for it, since it is never committed.
 *
 * Invariant: a group is released once, after its outermost transaction was committed, or dropped with the innermost one that was
 * rolled back around it. A level that the connection is no longer at, without an event (its COMMIT failed, the connection was lost), was
 * rolled back.
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
            $event instanceof TransactionRolledBack => $this->dropAbove($event->connection, $event->connection->transactionLevel()),
            default => null,
        };
    }

    /** Whether there may be one on any connection: what isOpen() says, without naming the connection, and cheaply. */
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
        $this->dropAbove($connection, $connection->transactionLevel());

        return isset($this->levels[$name]);
    }

    /** Keeps a group until the transaction ends. There is one: see isOpen(). */
    public function hold(Connection $connection, HeldGroup $group): void
    {
        $levels = $this->levels[(string) $connection->getName()];
        $levels[count($levels) - 1]->groups[] = $group;
    }

    /** @return list<HeldGroup> what waits, in the order in which it came */
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
        // Laravel runs what waits for the commit before it says so by an event. Such a callback may add rows of its own, behind
        // those that were held; so they are released by the first callback there is. Under a test's transaction Laravel 8 never
        // runs them, and the event releases.
        if ($isOutermost && $this->container->bound('db.transactions')) {
            $connection->afterCommit(fn () => $this->committed($connection));
        }
    }

    private function committed(Connection $connection): void
    {
        $name = (string) $connection->getName();
        $level = $connection->transactionLevel();
        // A deeper one had no event: see the invariant.
        $this->dropAbove($connection, $level + 1);
        $last = count($this->levels[$name] ?? []) - 1;
        if ($last < 0 || $this->levels[$name][$last]->number !== $level + 1) {
            return;
        }
        $ended = array_pop($this->levels[$name]);
        if ($last > 0) {
            // A savepoint: the rows wait on, with the transaction around it.
            $around = $this->levels[$name][$last - 1];
            $around->groups = [...$around->groups, ...$ended->groups];

            return;
        }
        unset($this->levels[$name]);
        $thrown = null;
        foreach ($ended->groups as $group) {
            try {
                $group->release();
            } catch (Throwable $e) {
                // The group is in the buffer's hands; the others follow it all the same.
                $thrown ??= $e;
            }
        }
        if ($thrown !== null) {
            throw $thrown;
        }
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
