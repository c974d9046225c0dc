<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use ValueError;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\ConnectionException;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\TimeoutException;

/** A ticket is a group's number, and one can wait for it. */
final class TicketsTest extends MemoryTestCase
{
    /** More than any buffer tries again by itself. */
    private const FAILURES = 1_000;

    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
        yield 'lanes' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true, lanes: 4)];
    }

    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function allBuffers(): iterable
    {
        yield from self::buffers();
        yield 'sync' => [static fn (self $test, mixed ...$more) => $test->syncBuffer(...$more)];
    }

    /** @dataProvider allBuffers */
    #[DataProvider('allBuffers')]
    public function testEachGroupHasTheNextOne(\Closure $make): void
    {
        $buffer = $make($this);
        self::assertSame([0, 0], [$buffer->lastTicket(), $buffer->committedThrough()]);
        self::assertSame(1, $buffer->add(['id' => 1], [['id' => 1], ['id' => 2]]));
        self::assertSame(2, $buffer->put('log', [['id' => 1], ['id' => 2]]));
        self::assertSame(3, $buffer->delete('log', 1));
        $inside = [];
        $returned = $buffer->group(static function () use ($buffer, &$inside): string {
            $inside = [
                $buffer->add(['id' => 2]),
                $buffer->put('log', ['id' => 3]),
                $buffer->delete('log', 2),
                $buffer->add(null),
                $buffer->lastTicket(),
            ];

            return 'returned';
        });
        self::assertSame('returned', $returned);
        self::assertSame([0, 0, 0, 0, 3], $inside, 'a group has none before it is taken');
        self::assertSame(4, $buffer->lastTicket());
        self::assertSame(4, $buffer->add(null), 'no row, no group');
        self::assertSame(4, $buffer->put('log', []));
        $buffer->group(static fn () => null);
        self::assertSame(4, $buffer->lastTicket());
        self::thrownBy(static fn () => $buffer->add(['id' => 1], 'no row'));
        self::thrownBy(static fn () => $buffer->group(static function () use ($buffer): never {
            $buffer->add(['id' => 3]);
            throw new \DomainException('dropped');
        }));
        self::assertSame(4, $buffer->lastTicket(), 'not taken');
        self::assertSame(5, $buffer->put('log', ['id' => 5]));
        for ($ticket = 1; $ticket <= 5; $ticket++) {
            $buffer->waitFor($ticket);
        }
        self::assertSame(5, $buffer->committedThrough());
        self::assertSame([['id' => 1], ['id' => 2]], self::rowsOf('orders'));
        self::assertSame([['id' => 3], ['id' => 5]], self::rowsOf('log'));
        $buffer->close();
        $buffer->waitFor(5);
        self::assertSame([5, 5], [$buffer->lastTicket(), $buffer->committedThrough()]);
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testReturnsWhenItsGroupIsWrittenWhateverWaitsBehind(\Closure $make): void
    {
        $buffer = $make($this);
        for ($id = 1; $id <= 40; $id++) {
            $ticket = $buffer->put('log', ['id' => $id]);
            self::assertSame($id, $ticket);
            if ($id % 3 === 0) {
                $buffer->waitFor($ticket);
                self::assertContains(['id' => $id], self::rowsOf('log'));
                self::assertGreaterThanOrEqual($ticket, $buffer->add(null));
            }
            // What is settled without a gap is in the table.
            $through = $buffer->committedThrough();
            self::assertLessThanOrEqual($ticket, $through);
            $written = array_column(self::rowsOf('log'), 'id');
            self::assertSame([], array_diff($through === 0 ? [] : range(1, $through), $written));
        }
        self::assertSame(0, $buffer->getMetrics()['transactions_failed']);
    }

    /** One lane's group is waited for. Nobody asked for those of the others. */
    public function testLeavesOtherLanesAlone(): void
    {
        $buffer = $this->buffer(background: true, lanes: 4, routeBy: 'id');
        for ($id = 1; $id <= 40; $id++) {
            $buffer->put('log', ['id' => $id]);
        }
        $buffer->waitFor(1);
        self::assertContains(['id' => 1], self::rowsOf('log'));
        self::assertGreaterThan(0, count($buffer), 'other lanes are not due');
        self::assertLessThan(40, $buffer->committedThrough());
        self::assertSame([], array_diff(
            range(1, $buffer->committedThrough()),
            array_column(self::rowsOf('log'), 'id'),
        ));
        $buffer->waitFor(40);
        self::assertContains(['id' => 40], self::rowsOf('log'));
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testThrowsWhatBecameOfARefusedGroup(\Closure $make): void
    {
        $buffer = $make($this);
        $buffer->put('trades', ['id' => 1]);
        $buffer->flush();
        $refused = $buffer->put('trades', [['id' => 1], ['id' => 2]]);
        $alsoRefused = $buffer->put('trades', ['id' => 1]);
        $fine = $buffer->put('trades', ['id' => 3]);
        $buffer->waitFor($fine);
        self::assertSame([['id' => 1], ['id' => 3]], self::rowsOf('trades'));
        $message = 'gave up 2 rows that can never be written, see takeFailures(); the first error: duplicate entry in'
            . ' table trades for key (id)';
        for ($time = 1; $time <= 2; $time++) {
            $thrown = self::assertThrows(RefusedException::class, $message, static fn () => $buffer->waitFor($refused), 1062);
            self::assertInstanceOf(RefusedException::class, $thrown);
            self::assertCount(1, $thrown->getFailures());
            self::assertSame([['id' => 1], ['id' => 2]], array_column($thrown->getFailures()[0]['rows'], 'row'));
        }
        self::assertGreaterThanOrEqual($fine, $buffer->committedThrough(), 'a refused group is settled');

        // What a wait has told is not told again. The other one's caller has not heard of it.
        $flushed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(RefusedException::class, $flushed);
        self::assertSame([['id' => 1]], array_column($flushed->getFailures()[0]['rows'], 'row'));
        self::assertCount(1, $flushed->getFailures());
        self::assertSame(0, $buffer->flush());

        $failures = $buffer->takeFailures();
        self::assertCount(2, $failures);
        $thrown = self::assertThrows(
            RefusedException::class,
            "ticket {$refused} was given up, and its failure is not held any more: takeFailures() has returned it, or it is in the"
                . ' deadLetterFile',
            static fn () => $buffer->waitFor($refused),
        );
        self::assertSame([], $thrown->getFailures());

        $failures[0]['rows'][0]['row']['id'] = 4;
        self::assertSame(1, $buffer->retry([$failures[0]]));
        $again = $buffer->lastTicket();
        self::assertGreaterThan($fine, $again);
        $buffer->waitFor($again);
        self::assertEqualsCanonicalizing([1, 3, 4, 2], array_column(self::rowsOf('trades'), 'id'));
        self::thrownBy(static fn () => $buffer->waitFor($refused)) ?? self::fail('it stays refused');
        self::thrownBy(static fn () => $buffer->waitFor($alsoRefused)) ?? self::fail('it stays refused');
        $buffer->waitFor($fine);
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testKeepsTheGroupWhenTheServerIsLost(\Closure $make): void
    {
        $buffer = $make($this, maxRetries: 0);
        $ticket = $buffer->put('log', ['id' => 1]);
        MemorySink::failNext(2006, self::FAILURES);
        $thrown = self::assertThrowsMatching(
            ConnectionException::class,
            '/^simulated lost connection, .*\(1 row still buffered\)$/D',
            static fn () => $buffer->waitFor($ticket),
            2006,
        );
        self::assertInstanceOf(ConnectionException::class, $thrown);
        self::assertSame([], self::rowsOf('log'));
        self::assertCount(1, $buffer);
        self::assertSame(0, $buffer->committedThrough());
        MemorySink::reset();
        $buffer->waitFor($ticket);
        self::assertSame([['id' => 1]], self::rowsOf('log'));
        self::assertSame(1, $buffer->committedThrough());
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testKeepsTheGroupWhenTheTimeIsOver(\Closure $make): void
    {
        $buffer = $make($this, maxRetries: 0);
        $ticket = $buffer->put('log', ['id' => 1]);
        MemorySink::failNext(2006, self::FAILURES);
        $thrown = self::thrownBy(static fn () => $buffer->waitFor($ticket, 0));
        self::assertTrue(
            $thrown instanceof TimeoutException || $thrown instanceof ConnectionException,
            (string) $thrown,
        );
        self::assertStringContainsString('1 row still buffered', $thrown->getMessage());
        self::assertCount(1, $buffer);
        MemorySink::reset();
        $buffer->waitFor($ticket, 60_000);
        self::assertSame([['id' => 1]], self::rowsOf('log'));
        $buffer->waitFor($ticket, 0);
    }

    /** @dataProvider allBuffers */
    #[DataProvider('allBuffers')]
    public function testRefusesATicketThatItHasNotGiven(\Closure $make): void
    {
        $buffer = $make($this);
        $class = $buffer::class;
        $prefix = "{$class}::waitFor(): Argument #1 (\$ticket) must be a ticket";
        $refuse = static fn (string $words, int $ticket) => self::assertThrows(
            ValueError::class,
            "{$prefix}{$words}",
            static fn () => $buffer->waitFor($ticket),
        );
        $none = ', and 0 is none: it is what add(), put() and delete() return within group(), whose own ticket'
            . ' lastTicket() returns afterwards';
        $refuse(' of this buffer, which has given none yet', 1);
        $refuse(' of this buffer, which has given none yet', -1);
        $buffer->waitFor($buffer->add(null));
        $buffer->group(static function () use ($buffer, $refuse, $none): void {
            $buffer->add(['id' => 1]);
            $refuse($none, 0);
        });
        $refuse($none, 0);
        $buffer->add(['id' => 2]);
        $refuse(' of this buffer, which has given those from 1 to 2', 3);
        $refuse(' of this buffer, which has given those from 1 to 2', PHP_INT_MAX);
        $refuse(' of this buffer, which has given those from 1 to 2', PHP_INT_MIN);
        self::assertThrows(
            ValueError::class,
            "{$class}::waitFor(): Argument #2 (\$timeoutMs) must be 0 or more",
            static fn () => $buffer->waitFor(1, -1),
        );
        $buffer->waitFor(2);
    }

    public function testIsGivenAlsoIfTheFlushFailsThatTheGroupMadeDue(): void
    {
        $buffer = $this->buffer(background: false, batchSize: 1, maxRetries: 0);
        $buffer->put('log', ['id' => 1]);
        MemorySink::failNext(1213, 1);
        $thrown = self::thrownBy(static fn () => $buffer->put('log', ['id' => 2]));
        self::assertInstanceOf(BlockedException::class, $thrown);
        self::assertSame([2, 1], [$buffer->lastTicket(), $buffer->committedThrough()]);
        $buffer->waitFor(2);
        self::assertSame([['id' => 1], ['id' => 2]], self::rowsOf('log'));
    }

    /** A refused group was never taken. */
    public function testASyncBufferGivesOneToEachGroupThatItCommits(): void
    {
        $buffer = $this->syncBuffer();
        $buffer->put('trades', ['id' => 1]);
        self::assertInstanceOf(RefusedException::class, self::thrownBy(static fn () => $buffer->put('trades', ['id' => 1])));
        self::assertSame([1, 1], [$buffer->lastTicket(), $buffer->committedThrough()]);
        self::assertInstanceOf(ValueError::class, self::thrownBy(static fn () => $buffer->waitFor(2)));
        MemorySink::failNext(1213, 100);
        self::thrownBy(static fn () => $buffer->put('trades', ['id' => 3]));
        MemorySink::failNext(2006, 100);
        self::thrownBy(static fn () => $buffer->put('trades', ['id' => 4]));
        self::assertSame([1, 1], [$buffer->lastTicket(), $buffer->committedThrough()]);
        MemorySink::reset();
        $ticket = $buffer->put('trades', ['id' => 2]);
        self::assertSame(2, $ticket);
        self::assertSame([$ticket, $ticket], [$buffer->lastTicket(), $buffer->committedThrough()]);
        $buffer->waitFor($ticket, 0);
        $buffer->waitFor(1, 0);
    }

    /** What was left at the end is in the file, and nobody says that it is committed. */
    public function testWhatIsLeftAtTheEndIsNotCommitted(): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'write-buffer-tickets-');
        $code = <<<'PHP'
            final class Late
            {
                public self $itself;

                public function __construct(private WriteBuffer $buffer, private array $tickets)
                {
                    // So it is destroyed after the buffer, which is older.
                    $this->itself = $this;
                }

                public function __destruct()
                {
                    foreach ($this->tickets as $ticket) {
                        try {
                            $this->buffer->waitFor($ticket);
                            echo "committed\n";
                        } catch (Throwable $e) {
                            echo $e::class, ' ', $e->getMessage(), "\n";
                        }
                    }
                    echo $this->buffer->committedThrough(), "\n";
                }
            }
            foreach ([false, true] as $background) {
                WriteBuffer\MemorySink::reset();
                $buffer = new WriteBuffer(
                    dsn: 'memory:',
                    background: $background,
                    maxRetries: 0,
                    flushIntervalMs: 3_600_000,
                    shutdownTimeoutMs: 1,
                    deadLetterFile: $argv[1],
                );
                $tickets = [$buffer->put('log', ['id' => 1])];
                $buffer->flush();
                $tickets[] = $buffer->put('log', ['id' => 2]);
                $late[] = new Late($buffer, $tickets);
                WriteBuffer\MemorySink::failNext(2006, 1_000);
            }
            unset($buffer, $late);
            PHP;
        try {
            $said = (new PhpProcess($code, [], [$file]))->finish();
            $each = "committed\nWriteBuffer\\RefusedException ticket 2 was given up, and its failure is not held any more: "
                . "takeFailures() has returned it, or it is in the deadLetterFile\n2\n";
            self::assertSame($each . $each, $said);
            self::assertSame(2, substr_count((string) file_get_contents($file), "\n"));
        } finally {
            unlink($file);
        }
    }
}
