<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\KeepsJournal;

/** A forked child has a journal of its own, and its parent goes on. */
final class JournalForkTest extends ProcessTestCase
{
    use KeepsJournal;

    protected function setUp(): void
    {
        parent::setUp();
        $this->makeJournal();
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        $this->removeJournal();
    }

    public function testForksUnderLoadHarmNobody(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 1, lanes: 2, journal: $argv[1], journalSync: 'interval', journalSyncMs: 1);
            $pids = [];
            for ($id = 1; $id <= 2_000; $id++) {
                Child::add($buffer, $id);
                if ($id % 100 === 50) {
                    $pids[] = Child::fork(static function () use ($id): void {
                        global $buffer;
                        // Every second one only ends.
                        if ($id % 200 === 50) {
                            Child::add($buffer, 10_000 + $id, 10_000 + $id + 9);
                        }
                    });
                }
            }
            Child::report('ends', Child::reapAll($pids));
            $buffer->flush();
            PHP, [$this->journal]);
        self::assertSame(['exit 0' => 20], $child->reported('ends'), $child->describe());
        $ids = range(1, 2_000);
        for ($first = 10_050; $first < 12_000; $first += 200) {
            array_push($ids, ...range($first, $first + 9));
        }
        $this->assertOrders($ids, $child, 'id');
        self::assertSame([], $this->folders());
        self::assertSame([], $this->deadLetters());
    }

    public function testAKilledChildsRowsAreRecoveredAndItsParentsAreNotTaken(): void
    {
        $parent = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 10_000, journal: $argv[1]);
            Child::add($buffer, 1, 50);
            $pid = Child::fork(static function (): void {
                global $buffer;
                Child::add($buffer, 101, 150);
                Child::report('child', getmypid());
                while (true) {
                    sleep(60);
                }
            });
            Child::report('end', Child::reap($pid));
            Child::hear();
            Child::add($buffer, 51, 60);
            PHP, [$this->journal]);
        $child = $parent->reported('child');
        // A process that lives looks for dead ones; one that is stopped does not.
        $parent->signal(SIGSTOP);
        self::assertTrue(posix_kill($child, SIGKILL));
        self::await('a folder that is nobody\'s', fn (): bool => in_array(
            null,
            array_column(\WriteBuffer\Journal::inspect($this->journal), 'pid'),
            true,
        ));
        self::assertCount(2, $this->folders());
        $dsn = $this->dsnWith('connect_timeout_ms=60000&lock_wait_timeout_ms=3600000');
        self::assertSame([50], array_column(\WriteBuffer\Journal::recover($this->journal, $dsn), 'groups'));
        self::assertCount(1, $this->folders());
        $this->assertOrders(range(101, 150), $parent);
        $parent->signal(SIGCONT);
        self::assertSame('signal 9', $parent->reported('end'));
        $parent->send();
        $this->assertEndsWell($parent);
        $this->assertOrders([...range(1, 60), ...range(101, 150)], $parent, 'id');
        self::assertSame([], $this->folders());
    }

    /** The parent dies, and its children live on: they do not hold its folder. */
    public function testChildrenOfADeadParentDoNotHoldItsFolder(): void
    {
        $parent = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 10_000, journal: $argv[1]);
            Child::add($buffer, 1, 50);
            $pid = Child::fork(static function (): void {
                Child::hear();
                Child::say('the child ends');
            });
            Child::say('forked');
            posix_kill(getmypid(), SIGKILL);
            PHP, [$this->journal]);
        $parent->waitFor('forked');
        self::await('the parent has ended', static fn (): bool => $parent->ending() !== null, $parent);
        $dsn = $this->dsnWith('connect_timeout_ms=60000&lock_wait_timeout_ms=3600000');
        self::assertSame([50], array_column(\WriteBuffer\Journal::recover($this->journal, $dsn), 'groups'));
        $parent->send();
        $parent->waitFor('the child ends');
        self::assertSame('signal 9', $parent->finish());
        $this->assertOrders(range(1, 50), $parent, 'id');
        self::assertSame([], $this->folders());
    }

    public function testAChildThatCannotOpenAJournalTakesNothingAndHarmsNobody(): void
    {
        if (posix_geteuid() !== 0) {
            self::markTestSkipped('only root becomes another user');
        }
        $parent = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(flushIntervalMs: 1, journal: $argv[1]);
            Child::add($buffer, 1, 50);
            $pid = Child::fork(static function (): void {
                global $buffer;
                posix_setuid(65_534);
                Child::report('thrown', Child::thrownBy(static fn () => Child::add($buffer, 99)));
                Child::report('count', count($buffer));
            });
            Child::report('end', Child::reap($pid));
            Child::add($buffer, 51, 60);
            PHP, [$this->journal]);
        [$class, $message] = $parent->reported('thrown');
        self::assertSame('WriteBuffer\ConfigException', $class, $message);
        self::assertSame(0, $parent->reported('count'));
        self::assertSame('exit 0', $parent->reported('end'));
        $this->assertOrders(range(1, 60), $parent);
        self::assertSame([], $this->folders());
    }
}
