<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** The end of a buffer, and of its process, writes what is buffered, and warns if it can't. */
final class DestructionTest extends MemoryTestCase
{
    private const ADVICE = 'Call flush() or close() before the end to handle this, or set deadLetterFile to keep them';

    public function testUnsetFlushes(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1], ['id' => 2]);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertSame([], $warnings);
        self::assertSame(['orders' => [['id' => 1]], 'trades' => [['id' => 2]]], MemorySink::tables());
    }

    public function testAnUnusedAnEmptyAndAClosedBufferEndInSilence(): void
    {
        $warnings = self::warningsOf(function (): void {
            MemorySink::failNext(1146, 10);
            new \WriteBuffer('memory:');
            $written = $this->buffer();
            $written->flush();
            unset($written);
            MemorySink::reset();
            $closed = $this->buffer();
            $closed->add(['id' => 1]);
            $closed->close();
            MemorySink::failNext(1146, 10);
            unset($closed);
        });
        self::assertSame([], $warnings);
    }

    public function testAWarningReachesTheErrorHandlerWhileAnExceptionUnwinds(): void
    {
        $lose = function (): void {
            $buffer = $this->buffer();
            $buffer->add(['id' => 1]);
            MemorySink::failNext(1146, 1);
            throw new \DomainException('unwinds');
        };
        $caught = null;
        $warnings = self::warningsOf(static function () use ($lose, &$caught): void {
            try {
                $lose();
            } catch (\DomainException $exception) {
                $caught = $exception;
            }
        });
        self::assertCount(1, $warnings);
        self::assertStringContainsString('lost 1 buffered row', $warnings[0]);
        self::assertSame('unwinds', $caught?->getMessage());
        self::assertNull($caught->getPrevious());
    }

    public function testWhatTheErrorHandlerThrowsWhileAnExceptionUnwindsComesAfterIt(): void
    {
        $lose = function (): void {
            $buffer = $this->buffer();
            $buffer->add(['id' => 1]);
            MemorySink::failNext(1146, 1);
            // The exception that was caught last is none of the two.
            try {
                throw new \LogicException('over');
            } catch (\LogicException) {
                throw new \DomainException('unwinds');
            }
        };
        set_error_handler(static function (int $kind, string $message): bool {
            throw new \ErrorException($message);
        });
        try {
            $lose();
            self::fail('nothing was thrown');
        } catch (\ErrorException $exception) {
            self::assertStringContainsString('lost 1 buffered row', $exception->getMessage());
            self::assertSame('unwinds', $exception->getPrevious()?->getMessage());
        } finally {
            restore_error_handler();
        }
    }

    public function testAWarningSaysWhatIsLostAndWhy(): void
    {
        foreach (
            [
                [1213, 5, 'simulated deadlock, asked for by MemorySink::failNext()'],
                [2006, 4, 'simulated lost connection, asked for by MemorySink::failNext()'],
                [1146, 1, 'simulated error, asked for by MemorySink::failNext()'],
            ] as [$code, $times, $why]
        ) {
            $buffer = $this->buffer();
            $buffer->add([['id' => 1], ['id' => 2]], ['id' => 3]);
            MemorySink::failNext($code, $times);
            $warnings = self::warningsOf(static function () use (&$buffer): void {
                $buffer = null;
            });
            self::assertSame(
                [
                    "WriteBuffer: lost 3 buffered rows: {$why}. They were: 2 rows of orders (id 1, id 2); "
                        . '1 row of trades (id 3). ' . self::ADVICE,
                ],
                $warnings,
            );
            self::assertSame([], MemorySink::tables());
            MemorySink::reset();
        }
    }

    public function testShutdownTimeoutBoundsTheRetries(): void
    {
        $buffer = $this->buffer(maxRetries: 100, shutdownTimeoutMs: 50);
        $buffer->add(['id' => 1]);
        // At most five attempts fit into 50 ms, with the waits between them. The seventh would
        // succeed.
        MemorySink::failNext(1213, 6);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertSame(
            [
                'WriteBuffer: lost 1 buffered row: the time given is over; the last error: '
                    . 'simulated deadlock, asked for by MemorySink::failNext(). They were: 1 row of orders (id 1). '
                    . self::ADVICE,
            ],
            $warnings,
        );
    }

    public function testAWarningMayBecomeAnException(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1146);
        set_error_handler(static function (int $level, string $message): bool {
            throw new \ErrorException($message, 0, $level);
        });
        try {
            $thrown = self::thrownBy(static function () use (&$buffer): void {
                $buffer = null;
            });
        } finally {
            restore_error_handler();
        }
        self::assertInstanceOf(\ErrorException::class, $thrown);
        self::assertSame(E_WARNING, $thrown->getSeverity());
        self::assertStringStartsWith('WriteBuffer: lost 1 buffered row', $thrown->getMessage());
    }

    public function testABufferInACycleIsFlushedWhenItIsCollected(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        $holder = new \stdClass();
        $holder->self = $holder;
        $holder->buffer = $buffer;
        unset($holder, $buffer);
        self::assertSame([], MemorySink::tables());
        gc_collect_cycles();
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables());
    }

    /** A buffer, and an object that is destroyed later and prints what was written. */
    private const WITNESS = <<<'PHP'
        final class Witness
        {
            public ?WriteBuffer $buffer;
            public function __destruct()
            {
                $this->buffer = null;
                echo json_encode(WriteBuffer\MemorySink::tables()), "\n";
            }
        }
        function witness(): WriteBuffer
        {
            global $witness;
            $witness = new Witness();
            return $witness->buffer = new WriteBuffer('memory:');
        }
        PHP;

    public function testEveryEndOfAProcessFlushes(): void
    {
        $written = '{"orders":[{"id":1}]}' . "\n";
        foreach (
            [
                'the last line' => ['witness()->add(["id" => 1]);', $written],
                'exit' => ['witness()->add(["id" => 1]); exit(3);', $written],
                'exit in a function' => ['(function () { witness()->add(["id" => 1]); exit; })();', $written],
            ] as $case => [$code, $expected]
        ) {
            self::assertSame($expected, PhpProcess::run(self::WITNESS . $code), $case);
        }
    }

    /** Integration/ProcessEndTest tests what is written. Here, an end that can't write says so. */
    public function testAnUncaughtExceptionAndAFatalErrorStillFlush(): void
    {
        $lost = 'WriteBuffer: lost 1 buffered row: simulated error, asked for by '
            . 'MemorySink::failNext(). They were: 1 row of orders (id 1). ' . self::ADVICE;
        foreach (
            [
                'an exception' => 'throw new Exception("uncaught");',
                'a fatal error' => 'ini_set("memory_limit", "16M"); str_repeat("x", 1 << 28);',
            ] as $case => $end
        ) {
            $code = '$buffer = new WriteBuffer("memory:"); $buffer->add(["id" => 1]); ';
            $written = PhpProcess::run($code . $end);
            self::assertStringContainsString('Fatal error', $written, $case);
            self::assertStringNotContainsString('are lost', $written, $case);
            $refused = PhpProcess::run($code . 'WriteBuffer\MemorySink::failNext(1146, 9); ' . $end);
            self::assertStringContainsString($lost, $refused, $case);
        }
    }

    public function testTheWarningAtTheEndOfAProcess(): void
    {
        $output = PhpProcess::run(<<<'PHP'
            $buffer = new WriteBuffer('memory:');
            $buffer->add([['id' => 1], ['id' => 2]]);
            WriteBuffer\MemorySink::failNext(1146);
            PHP);
        self::assertStringContainsString(
            'Warning: WriteBuffer: lost 2 buffered rows: simulated error, asked for by '
                . 'MemorySink::failNext(). They were: 2 rows of orders (id 1, id 2). ' . self::ADVICE,
            $output,
        );
    }

    public function testAForkedChildHasNoRowsOfItsParent(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('the extension pcntl is not there');
        }
        $output = PhpProcess::run(<<<'PHP'
            $buffer = new WriteBuffer('memory:');
            $buffer->add(['id' => 1]);
            $child = pcntl_fork();
            if ($child === 0) {
                echo count($buffer), ' in the child, ', $buffer->getMetrics()['rows_added'], " added\n";
                $buffer->add(['id' => 2]);
                $buffer->flush();
                echo json_encode(WriteBuffer\MemorySink::tables()), "\n";
                exit;
            }
            pcntl_waitpid($child, $status);
            echo count($buffer), " in the parent\n";
            $buffer->flush();
            echo json_encode(WriteBuffer\MemorySink::tables()), "\n";
            PHP);
        self::assertSame(
            "0 in the child, 0 added\n{\"orders\":[{\"id\":2}]}\n1 in the parent\n{\"orders\":[{\"id\":1}]}\n",
            $output,
        );
    }
}
