<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** failures() looks without taking. Each failure has an id, and is put back once. */
final class FailuresTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
    }

    /** Gives up a group: its row is there already. */
    private static function giveUp(Buffer $buffer, int $id): FlushException
    {
        $buffer->put('trades', ['id' => $id, 'n' => 0]);
        $buffer->flush();
        $buffer->put('trades', ['id' => $id, 'n' => 1]);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);

        return $thrown;
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testLooksWithoutTaking(\Closure $make): void
    {
        $buffer = $make($this);
        self::assertSame([], $buffer->failures());
        $thrown = self::giveUp($buffer, 1);
        self::giveUp($buffer, 2);
        $failures = $buffer->failures();
        self::assertCount(2, $failures);
        self::assertSame($failures, $buffer->failures());
        self::assertSame([$failures[0]], $thrown->getFailures());
        self::assertSame($failures, $buffer->takeFailures());
        self::assertSame([[], []], [$buffer->failures(), $buffer->takeFailures()]);
        self::assertSame(
            ['id', 'tag', 'rows', 'status', 'code', 'message', 'time'],
            array_keys($failures[0]),
        );
        [$first, $second] = array_column($failures, 'id');
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/D', $first);
        self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/D', $second);
        self::assertNotSame($first, $second);
        self::assertSame([], $this->syncBuffer()->failures());
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testAFailureIsPutBackOnce(\Closure $make): void
    {
        $buffer = $make($this);
        self::giveUp($buffer, 1);
        self::giveUp($buffer, 2);
        [$one, $two] = $buffer->takeFailures();
        MemorySink::reset();
        $wrong = static fn (int $number): string => "none was put back: failure {$number} was put back already, by this buffer:"
            . " its rows would be written twice. Leave it out; if they are to be written twice, take its 'id' away";
        self::assertThrows(ConfigException::class, $wrong(2), static fn () => $buffer->retry([$one, $one]));
        self::assertCount(0, $buffer);
        self::assertSame(1, $buffer->retry([$one]));
        self::assertThrows(ConfigException::class, $wrong(2), static fn () => $buffer->retry([$two, $one]));
        self::assertCount(1, $buffer);
        $buffer->flush();
        self::assertThrows(ConfigException::class, $wrong(1), static fn () => $buffer->retry([$one]));
        self::assertSame([['id' => 1, 'n' => 1]], self::rowsOf('trades'));
        self::assertSame(1, $buffer->retry([$two]));
        $buffer->flush();

        // Given up once more it is another failure. Another buffer knows nothing of the first.
        unset($one['id']);
        self::assertSame(1, $buffer->retry([$one]));
        self::thrownBy(static fn () => $buffer->flush()) ?? self::fail('its row is there');
        $again = $buffer->takeFailures();
        self::assertNotSame($two['id'], $again[0]['id']);
        self::assertSame(1, $buffer->retry($again));
        self::thrownBy(static fn () => $buffer->flush()) ?? self::fail('its row is there');
        $buffer->takeFailures();
        self::assertSame(1, $this->buffer(background: false, tables: ['trades' => ['mode' => 'upsert']])->retry([$two]));
    }

    /** What was not taken may be put back later. */
    public function testAFailureThatDoesNotFitMayComeAgain(): void
    {
        $buffer = $this->buffer(background: true, batchSize: 2, maxPendingRows: 2, overflow: 'throw');
        $failure = static fn (int $id): array => ['id' => "f{$id}", 'rows' => [['table' => 'log', 'row' => ['id' => $id]]]];
        // Nothing is written, so it stays full.
        MemorySink::failNext(2006, 1_000);
        $buffer->put('log', ['id' => 9]);
        $thrown = self::thrownBy(static fn () => $buffer->retry([$failure(1), $failure(2)]));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertSame(1, $thrown->getTakenGroups());
        self::assertInstanceOf(FullException::class, self::thrownBy(static fn () => $buffer->retry([$failure(2)])));
        MemorySink::reset();
        $buffer->flush();
        self::assertInstanceOf(ConfigException::class, self::thrownBy(static fn () => $buffer->retry([$failure(1)])));
        self::assertSame(1, $buffer->retry([$failure(2)]));
        $buffer->flush();
        self::assertEqualsCanonicalizing([9, 1, 2], array_column(self::rowsOf('log'), 'id'));
    }

    /** A synchronous buffer keeps nothing of what it did not write. */
    public function testASynchronousBufferTakesOneAgainThatItCouldNotWrite(): void
    {
        $buffer = $this->syncBuffer(maxRetries: 0);
        $failure = ['id' => 'f', 'rows' => [['table' => 'log', 'row' => ['id' => 1]]]];
        MemorySink::failNext(1213);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->retry([$failure])));
        self::assertSame(1, $buffer->retry([$failure]));
        self::assertInstanceOf(ConfigException::class, self::thrownBy(static fn () => $buffer->retry([$failure])));
        self::assertSame([['id' => 1]], self::rowsOf('log'));
    }

    /** The line of the file has the id of the failure in memory. */
    public function testTheFileHasTheSameIds(): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'write-buffer-failures-');
        try {
            $buffer = $this->buffer(background: false, deadLetterFile: $file);
            self::giveUp($buffer, 1);
            self::giveUp($buffer, 2);
            $lines = array_map(
                static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR),
                file($file),
            );
            self::assertSame(array_column($buffer->failures(), 'id'), array_column($lines, 'id'));
            self::assertCount(2, array_unique(array_column($lines, 'id')));
            MemorySink::reset();
            self::assertSame(2, $buffer->retry($lines));
            self::assertInstanceOf(
                ConfigException::class,
                self::thrownBy(static fn () => $buffer->retry($buffer->takeFailures())),
                'they are the same',
            );
        } finally {
            unlink($file);
        }
    }
}
