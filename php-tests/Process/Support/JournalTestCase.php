<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process\Support;

use WriteBuffer\Journal;
use WriteBuffer\Tests\Support\KeepsJournal;

/** Processes that keep a journal, and what they leave. */
abstract class JournalTestCase extends ProcessTestCase
{
    use KeepsJournal;

    /** Nothing is due before somebody asks for it. */
    protected const NEVER = 'batchSize: 10_000, flushIntervalMs: 3_600_000, journal: $argv[1]';

    protected function setUp(): void
    {
        parent::setUp();
        $this->makeJournal();
        if ($this->value("SHOW TABLES LIKE 'write_buffer_ledger'") !== null) {
            $this->pdo()->exec('DELETE FROM write_buffer_ledger');
        }
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        $this->removeJournal();
    }

    /** A process that has taken so many orders, and waits. */
    protected function holder(
        int $count,
        string $settings = self::NEVER,
        string $before = '',
        int $first = 1,
    ): ChildProcess {
        $last = $first + $count - 1;
        $child = $this->start(<<<PHP
            \$buffer = Child::buffer({$settings});
            {$before}
            Child::add(\$buffer, {$first}, {$last});
            Child::say('taken');
            Child::hear();
            PHP, [$this->journal]);
        $child->waitFor('taken');

        return $child;
    }

    protected static function kill(ChildProcess $child): void
    {
        $child->signal(SIGKILL);
        self::assertSame('signal 9', $child->finish());
    }

    /** The DSN that Child::buffer() has. */
    protected function writersDsn(): string
    {
        return $this->dsnWith('connect_timeout_ms=60000&lock_wait_timeout_ms=3600000');
    }

    /** @return list<array<string, mixed>> */
    protected function recover(?int $timeoutMs = null): array
    {
        return Journal::recover($this->journal, $this->writersDsn(), $timeoutMs);
    }

    protected function assertNothingIsLeft(): void
    {
        self::assertSame([], $this->folders());
        self::assertSame([], $this->deadLetters());
        // That of a writer that was taken over stays for a while.
        self::assertSame('0', $this->openLedgerRows());
    }

    /** The rows of writers that may go on. */
    protected function openLedgerRows(): ?string
    {
        $isOpen = "position IS NULL OR position NOT LIKE '%18446744073709551615%'";

        return $this->value("SELECT COUNT(*) FROM write_buffer_ledger WHERE {$isOpen}");
    }
}
