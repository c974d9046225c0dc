<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** Failures are put back as the groups that they were. */
final class RetryTest extends MemoryTestCase
{
    public function testPutsBackEachGroupWhole(): void
    {
        $buffer = $this->buffer();
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id, 'v' => "order {$id}"], [['id' => $id * 10], ['id' => $id * 10 + 1]]);
        }
        // The whole batch, then each half of it.
        MemorySink::failNext(1264, 3);
        self::thrownBy(static fn () => $buffer->flush());
        $failures = $buffer->takeFailures();
        self::assertCount(2, $failures);
        self::assertSame(2, $buffer->retry($failures));
        self::assertCount(6, $buffer);
        // The group at fault is found again.
        MemorySink::failNext(1264, 2);
        self::thrownBy(static fn () => $buffer->flush());
        self::assertSame([['id' => 2, 'v' => 'order 2']], self::rowsOf('orders'));
        self::assertSame([['id' => 20], ['id' => 21]], self::rowsOf('trades'));
        self::assertSame(1, $buffer->retry($buffer->takeFailures()));
        self::assertSame(3, $buffer->flush());
        self::assertCount(2, self::rowsOf('orders'));
    }

    public function testTakesLinesOfTheDeadLetterFile(): void
    {
        $file = sys_get_temp_dir() . '/wb_retry_' . getmypid() . '.jsonl';
        try {
            $buffer = $this->buffer(deadLetterFile: $file);
            $row = ['id' => 1, 'text' => "ä \" \\ \n", 'raw' => "\xff\x00\x80", 'n' => -5, 'f' => 0.1, 'null' => null];
            $buffer->add($row);
            MemorySink::failNext(1264);
            self::thrownBy(static fn () => $buffer->flush());
            $lines = array_map(
                static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR),
                (array) file($file),
            );
            self::assertSame(['base64' => base64_encode("\xff\x00\x80")], $lines[0]['rows'][0]['row']['raw']);
            self::assertSame(1, $buffer->retry($lines));
            $buffer->flush();
            self::assertSame([$row], self::rowsOf('orders'), 'as it was given, to the byte');
            $buffer->takeFailures();
        } finally {
            @unlink($file);
        }
    }

    public function testTakesWhatWasLeftAtTheEndOfABuffer(): void
    {
        $buffer = $this->buffer();
        $letter = static fn (int $id, array $more): array => $more
            + ['rows' => [['table' => 'orders', 'row' => ['id' => $id]]]];
        self::assertSame(3, $buffer->retry([
            $letter(1, ['status' => 'unwritten']),
            $letter(2, ['status' => 'refused']),
            $letter(3, []),
        ]));
        $buffer->flush();
        self::assertSame([1, 2, 3], array_column(self::rowsOf('orders'), 'id'));
    }

    /** It is cut to its column's precision when it is written, as the first time. */
    public function testADateTimeOfATableThatWasNotKnownIsOneAgain(): void
    {
        $buffer = $this->buffer();
        $row = ['id' => 1, 'at' => ['datetime' => '2024-12-31 23:59:59.900000']];
        $buffer->retry([['status' => 'unwritten', 'rows' => [['table' => 'orders', 'row' => $row]]]]);
        $buffer->flush();
        self::assertSame([['id' => 1, 'at' => '2024-12-31 23:59:59.900000']], self::rowsOf('orders'));
        $row['at'] = ['datetime' => 'no time'];
        $thrown = self::thrownBy(static fn () => $buffer->retry([['rows' => [['table' => 'orders', 'row' => $row]]]]));
        self::assertInstanceOf(\TypeError::class, $thrown);
    }

    public function testSaysHowManyThereWasRoomFor(): void
    {
        $buffer = $this->buffer(background: true, maxPendingRows: 3, batchSize: 3, overflow: 'throw');
        $failure = static fn (int $id): array => ['rows' => [['table' => 'orders', 'row' => ['id' => $id]]]];
        MemorySink::failNext(1146, 1_000);
        $buffer->add(['id' => 1]);
        $failures = array_map($failure, [2, 3, 4, 5]);
        $thrown = self::thrownBy(static fn () => $buffer->retry($failures));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertInstanceOf(FullException::class, $thrown->getPrevious());
        self::assertSame([2, 2, 3], [$thrown->getTakenGroups(), $thrown->getTakenRows(), $buffer->lastTicket()]);
        self::assertCount(3, $buffer);
        MemorySink::reset();
        $buffer->flush();
        self::assertSame(2, $buffer->retry(array_slice($failures, $thrown->getTakenGroups())));
        self::assertSame(2, $buffer->flush());
        self::assertSame([1, 2, 3, 4, 5], array_column(self::rowsOf('orders'), 'id'));
    }

    public function testNothingIsPutBackOfAnEmptyList(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            self::assertSame(0, $buffer->retry([]));
        }
    }

    public function testTheSynchronousBufferCommitsEachAtOnce(): void
    {
        $buffer = $this->syncBuffer();
        self::assertSame(2, $buffer->retry([
            ['rows' => [['table' => 'orders', 'row' => ['id' => 1]], ['table' => 'trades', 'row' => ['id' => 10]]]],
            ['rows' => [['table' => 'orders', 'row' => ['id' => 2]]]],
        ]));
        self::assertSame(
            ['orders' => [['id' => 1], ['id' => 2]], 'trades' => [['id' => 10]]],
            MemorySink::tables(),
        );
    }
}
