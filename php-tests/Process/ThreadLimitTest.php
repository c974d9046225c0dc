<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConnectionException;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/**
 * The system starts no thread for a while (RLIMIT_NPROC). Whoever waits for rows starts the missing
 * one once that is over.
 */
final class ThreadLimitTest extends ProcessTestCase
{
    /** What every child does first: the limit counts for nobody with privileges. */
    private const WITHOUT_PRIVILEGES = <<<'PHP'
        $buffer = Child::buffer(maxPendingRows: 6, overflowTimeoutMs: 600_000);
        // Loaded while it may read files.
        class_exists(WriteBuffer\ConnectionException::class);
        Child::say('limit me');
        Child::hear();
        posix_setuid(65_534) || throw new RuntimeException('this is not root');
        [$class, $message] = Child::thrownBy(static fn () => Child::add($buffer, 1));
        Child::report('refused', [$class, $message]);
        Child::report('pending', count($buffer));

        PHP;

    /**
     * @return iterable<string, array{string, int, 2?: bool}> what waits, the last order, and
     *         whether it waits under the limit
     */
    public static function waits(): iterable
    {
        yield 'flush()' => ['Child::hear(); Child::report("flushed", $buffer->flush());', 1];
        yield 'add()' => ['Child::hear(); Child::add($buffer, 2);', 2];
        yield 'close()' => ['Child::hear(); $buffer->close();', 1];
        yield 'add() without room' => [
            'Child::thrownBy(static fn () => Child::add($buffer, 2)); Child::say("waits"); Child::add($buffer, 3);',
            3,
            true,
        ];
        yield 'the end of the object' => ['Child::say("waits"); unset($buffer);', 1, true];
        yield 'the end of the process' => ['Child::say("waits");', 1, true];
    }

    /**
     * @dataProvider waits
     */
    #[DataProvider('waits')]
    public function testWhoeverWaitsStartsTheThread(string $wait, int $last, bool $isUnderLimit = false): void
    {
        if (posix_getuid() !== 0) {
            self::markTestSkipped('the limit is for a process of another user, so this needs root');
        }
        $child = $this->start(self::WITHOUT_PRIVILEGES . $wait);
        $child->waitFor('limit me');
        self::limit($child);
        $child->send();
        [$class, $message] = $child->reported('refused');
        self::assertSame(ConnectionException::class, $class, $child->describe());
        self::assertStringContainsString('the group was taken, and waits: the flusher\'s thread cannot be started', $message);
        self::assertSame(3, $child->reported('pending'), 'the group is there all the same');
        if ($isUnderLimit) {
            $child->waitFor('waits');
            $main = "/proc/{$child->pid()}/task/{$child->pid()}";
            self::await('a call that waits', static fn (): bool => Child::status($main, 'State')[0] === 'S', $child);
            self::lift($child);
        } else {
            self::lift($child);
            $child->send();
        }
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, $last), $child, 'id');
    }

    /** As long as there is no thread, the caller is told at once, and may call again. */
    public function testAFlushWithoutAThreadFailsAtOnce(): void
    {
        if (posix_getuid() !== 0) {
            self::markTestSkipped('the limit is for a process of another user, so this needs root');
        }
        $child = $this->start(self::WITHOUT_PRIVILEGES . <<<'PHP'
            Child::report('flush', Child::thrownBy(static fn () => $buffer->flush()));
            Child::hear();
            Child::report('flushed', $buffer->flush());
            PHP);
        $child->waitFor('limit me');
        self::limit($child);
        $child->send();
        self::assertSame(ConnectionException::class, $child->reported('flush')[0], $child->describe());
        self::lift($child);
        $child->send();
        $this->assertEndsWell($child);
        self::assertSame(3, $child->reported('flushed'));
        $this->assertOrders([1], $child, 'id');
    }

    /** From now on it starts no thread, once it has no privileges. */
    private static function limit(ChildProcess $child): void
    {
        exec("prlimit --pid {$child->pid()} --nproc=0: 2>&1", $said, $code);
        self::assertSame(0, $code, implode("\n", $said));
    }

    /** Its own user lets the limit go. */
    private static function lift(ChildProcess $child): void
    {
        $said = PhpProcess::run(
            'posix_setuid(65_534) && pcntl_exec($argv[1], ["--pid", $argv[2], "--nproc=10000:"]); echo "no prlimit";',
            [],
            [(string) exec('command -v prlimit'), (string) $child->pid()],
        );
        self::assertSame('', $said);
    }
}
