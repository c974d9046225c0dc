<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Journal;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\JournalTestCase;

/** What a buffer with a journal does while it lives, and at its end. */
final class JournalBufferTest extends JournalTestCase
{
    public function testAnEndWhileTheServerIsAwayIsNoLoss(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(
                journal: $argv[1], batchSize: 10_000, shutdownTimeoutMs: 300, flushIntervalMs: 3_600_000, lanes: 2,
            );
            Child::add($buffer, 1, 5);
            $buffer->flush();
            Child::say('written');
            Child::hear();
            Child::add($buffer, 6, 40);
            PHP, [$this->journal]);
        $child->waitFor('written');
        $this->stopDatabase();
        $child->send();
        // No warning, and a good end.
        $this->assertEndsWell($child);
        self::assertSame([], $this->deadLetters());
        self::assertCount(1, $this->folders());
        $this->continueDatabase();
        [$recovered] = $this->recover();
        self::assertNull($recovered['error']);
        $this->assertOrders(range(1, 40), $child, 'id');
        $this->assertNothingIsLeft();
    }

    public function testSyncAsksNoServer(): void
    {
        $child = $this->holder(5, self::NEVER . ', shutdownTimeoutMs: 200', '$buffer->sync(0);');
        self::kill($child);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(journal: $argv[1], batchSize: 10_000, shutdownTimeoutMs: 200);
            Child::hear();
            Child::add($buffer, 6, 9);
            $buffer->sync();
            Child::report('count', count($buffer));
            $buffer->sync(0);
            PHP, [$this->journal]);
        $this->stopDatabase();
        $child->send();
        self::assertSame(4 * Child::ROWS_PER_GROUP, $child->reported('count'));
        $this->assertEndsWell($child);
        $this->continueDatabase();
        $this->recover();
        $this->assertOrders(range(1, 9), $child, 'id');
        $this->assertNothingIsLeft();
    }

    public function testSyncWithoutAJournalIsFlush(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer();
            Child::add($buffer, 1, 5);
            $buffer->sync();
            Child::report('count', count($buffer));
            PHP);
        self::assertSame(0, $child->reported('count'));
        $this->assertOrders(range(1, 5), $child);
    }

    /** @return iterable<string, array{string, string}> */
    public static function overflows(): iterable
    {
        yield 'throw' => ["overflow: 'throw'", 'journalMaxBytes'];
        yield 'block' => ["overflow: 'block', overflowTimeoutMs: 200", 'journalMaxBytes'];
    }

    /**
     * @dataProvider overflows
     */
    #[DataProvider('overflows')]
    public function testAFullJournalRefusesAndGoesOn(string $overflow, string $said): void
    {
        $child = $this->start(<<<PHP
            \$buffer = Child::buffer(
                journal: \$argv[1], journalMaxBytes: 32 << 20, maxPendingRows: 10_000_000, maxPendingBytes: 1 << 30,
                batchSize: 1_000, shutdownTimeoutMs: 600_000, flushIntervalMs: 1, {$overflow},
            );
            Child::hear();
            \$id = 0;
            \$pad = str_repeat('x', 10_000);
            do {
                \$id++;
                \$thrown = Child::thrownBy(static function () use (\$buffer, \$id, \$pad): void {
                    \$buffer->group(static function () use (\$buffer, \$id, \$pad): void {
                        Child::add(\$buffer, \$id);
                        \$buffer->put('wb_process_pads', ['id' => \$id, 'pad' => \$pad]);
                    });
                });
            } while (\$thrown[0] === '');
            Child::report('thrown', \$thrown);
            Child::report('taken', \$id - 1);
            Child::hear();
            \$buffer->flush();
            Child::add(\$buffer, \$id);
            Child::say('room');
            PHP, [$this->journal]);
        $this->createTable('wb_process_pads', 'id INT PRIMARY KEY, pad TEXT NOT NULL');
        $this->stopDatabase();
        $child->send();
        [$class, $message] = $child->reported('thrown');
        self::assertSame('WriteBuffer\FullException', $class, $message);
        self::assertStringContainsString($said, $message);
        $taken = $child->reported('taken');
        self::assertGreaterThan(1_000, $taken);
        $this->continueDatabase();
        $child->send();
        $child->waitFor('room');
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, $taken + 1), $child);
        self::assertSame((string) $taken, $this->value('SELECT COUNT(*) FROM wb_process_pads'));
        $this->assertNothingIsLeft();
    }

    public function testWhatIsDeletedFoundGroupedAndWaitedFor(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 10_000, flushIntervalMs: 3_600_000, journal: $argv[1]);
            Child::add($buffer, 1, 9);
            $buffer->waitFor($buffer->lastTicket());
            $buffer->delete(Child::ORDERS, 3);
            $buffer->group(static function () use ($buffer): void {
                $buffer->delete(Child::ORDERS, 4);
                Child::add($buffer, 10, 12);
                $buffer->delete(Child::ORDERS, 11);
            });
            Child::report('found', [$buffer->find(Child::ORDERS, 3), $buffer->find(Child::ORDERS, 12)]);
            Child::thrownBy(static fn () => $buffer->group(static function () use ($buffer): void {
                Child::add($buffer, 13);
                throw new Exception('dropped');
            }));
            Child::say('taken');
            Child::hear();
            PHP, [$this->journal]);
        $child->waitFor('taken');
        self::assertSame([false, Child::order(12)], $child->reported('found'));
        self::kill($child);
        self::assertSame(2, $this->recover()[0]['groups']);
        self::assertSame(
            ['1', '2', '5', '6', '7', '8', '9', '10', '12'],
            array_column($this->rows(Child::ORDERS, 'id', 'id'), 'id'),
        );
        self::assertSame(24, count($this->rows(Child::TRADES)));
        $this->assertNothingIsLeft();
    }

    /** What was given up is in the journal's dead-letter file, and comes back from there. */
    public function testFailuresThatArePutBackSurviveToo(): void
    {
        foreach (['retry' => '$buffer->retry($buffer->takeFailures());', 'file' => ''] as $way => $putBack) {
            $this->pdo()->exec('DELETE FROM ' . Child::ORDERS);
            $this->pdo()->exec('DELETE FROM ' . Child::TRADES);
            @unlink("{$this->journal}/dead-letters.jsonl");
            $child = $this->start(<<<PHP
                \$buffer = Child::buffer(batchSize: 10_000, flushIntervalMs: 3_600_000, journal: \$argv[1]);
                Child::add(\$buffer, 1, 5);
                \$buffer->put(Child::ORDERS, ['id' => 6, 'v' => str_repeat('x', 30), 'n' => 1]);
                Child::add(\$buffer, 7, 9);
                Child::report('thrown', Child::thrownBy(static fn () => \$buffer->flush())[0]);
                Child::hear();
                {$putBack}
                Child::say('put back');
                Child::hear();
                PHP, [$this->journal]);
            self::assertSame('WriteBuffer\RefusedException', $child->reported('thrown'));
            self::assertSame(['refused'], array_column($this->deadLetters(), 'status'));
            $this->pdo()->exec('ALTER TABLE ' . Child::ORDERS . ' MODIFY v VARCHAR(40) NOT NULL');
            $child->send();
            $child->waitFor('put back');
            self::kill($child);
            $recovered = $this->recover();
            self::assertSame($way === 'retry' ? 1 : 0, array_sum(array_column($recovered, 'groups')), $way);
            if ($way === 'file') {
                $next = $this->runToItsEnd(<<<'PHP'
                    $buffer = Child::buffer(journal: $argv[1]);
                    Child::report('written', WriteBuffer\DeadLetterFile::retry($buffer, "{$argv[1]}/dead-letters.jsonl"));
                    PHP, [$this->journal]);
                self::assertSame(1, $next->reported('written'));
            }
            self::assertSame(range(1, 9), array_map('intval', array_column($this->rows(Child::ORDERS, 'id', 'id'), 'id')), $way);
            self::assertSame([], $this->folders());
            $this->pdo()->exec('DELETE FROM ' . Child::ORDERS . ' WHERE id = 6');
            $this->pdo()->exec('ALTER TABLE ' . Child::ORDERS . ' MODIFY v VARCHAR(20) NOT NULL');
        }
    }

    public function testTheTimeOfARecoveryIsOver(): void
    {
        $child = $this->holder(30);
        self::kill($child);
        $this->stopDatabase();
        $began = hrtime(true);
        $thrown = null;
        try {
            $recovered = Journal::recover($this->journal, $this->writersDsn(), 300);
            self::assertNotNull($recovered[0]['error'] ?? null);
        } catch (\WriteBuffer\TimeoutException $thrown) {
            self::assertStringContainsString('server', $thrown->getMessage());
        }
        self::assertGreaterThan(300_000_000, hrtime(true) - $began);
        $this->continueDatabase();
        self::await('all of it', function (): bool {
            $this->recover();

            return $this->folders() === [];
        });
        $this->assertOrders(range(1, 30), $child, 'id');
    }

    public function testASignalsHandlerEndsARecovery(): void
    {
        self::kill($this->holder(30));
        $child = $this->start(<<<'PHP'
            pcntl_async_signals(true);
            $seen = 0;
            pcntl_signal(SIGUSR1, static function () use (&$seen): void {
                $seen++;
                Child::say("seen {$seen}");
            });
            pcntl_signal(SIGUSR2, static function (): void {
                throw new LogicException('enough');
            });
            Child::say('ready');
            Child::hear();
            Child::report('thrown', Child::thrownBy(static fn () => WriteBuffer\Journal::recover($argv[1], $argv[2])));
            PHP, [$this->journal, $this->writersDsn()]);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        // Before the method waits, PHP itself runs the handler.
        $child->signal(SIGUSR1);
        $child->waitFor('seen 1');
        $child->signal(SIGUSR2);
        self::assertSame(['LogicException', 'enough'], $child->reported('thrown'));
        $this->assertEndsWell($child);
        $this->continueDatabase();
        self::await('all of it', function (): bool {
            $this->recover();

            return $this->folders() === [];
        });
        $this->assertOrders(range(1, 30), $child, 'id');
    }
}
