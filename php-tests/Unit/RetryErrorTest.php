<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\TooLargeException;

final class RetryErrorTest extends MemoryTestCase
{
    /** @return iterable<string, array{mixed}> */
    public static function noFailures(): iterable
    {
        yield 'a number' => [5];
        yield 'a row' => [['id' => 1]];
        yield 'no rows' => [['rows' => []]];
        yield 'rows that are none' => [['rows' => 'x']];
        yield 'a row without its table' => [['rows' => [['row' => ['id' => 1]]]]];
        yield 'a table without its row' => [['rows' => [['table' => 'orders']]]];
        yield 'a row that is a text' => [['rows' => [['table' => 'orders', 'row' => 'x']]]];
    }

    /**
     * @dataProvider noFailures
     */
    #[DataProvider('noFailures')]
    public function testRefusesWhatIsNoFailure(mixed $element): void
    {
        $buffer = $this->buffer();
        $good = ['rows' => [['table' => 'orders', 'row' => ['id' => 1]]]];
        self::assertThrows(
            TypeError::class,
            'WriteBuffer::retry(): Argument #1 ($failures) must be a list of failures, as takeFailures() gives them; element 1 '
                . 'has no list of rows, each with its table',
            static fn () => $buffer->retry([$good, $element]),
        );
        self::assertCount(0, $buffer, 'none was put back');
    }

    /** @return iterable<string, array{string, mixed}> */
    public static function noTexts(): iterable
    {
        foreach (['id', 'status', 'tag'] as $name) {
            yield "{$name}: a number" => [$name, 5];
            yield "{$name}: a list" => [$name, ['uncertain']];
            yield "{$name}: false" => [$name, false];
        }
    }

    /**
     * What is not read could say that the rows are in the database.
     *
     * @dataProvider noTexts
     */
    #[DataProvider('noTexts')]
    public function testRefusesWhatIsNoText(string $name, mixed $value): void
    {
        $rows = [['table' => 'orders', 'row' => ['id' => 1]]];
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            self::assertThrows(
                TypeError::class,
                $buffer::class . '::retry(): Argument #1 ($failures) must be a list of failures, as takeFailures() gives them;'
                    . " the {$name} of element 1 is no string",
                static fn () => $buffer->retry([['rows' => $rows], [$name => $value, 'rows' => $rows]]),
            );
            self::assertCount(0, $buffer);
            self::assertSame([], MemorySink::tables());
        }
        $text = $name === 'status' ? 'refused' : 'a';
        $failures = [[$name => null, 'rows' => $rows], [$name => &$text, 'rows' => $rows]];
        self::assertSame(2, $this->buffer()->retry($failures), 'null is none, and a reference is its value');
    }

    public function testRefusesAValueThatIsNone(): void
    {
        $buffer = $this->buffer();
        $thrown = self::thrownBy(static fn () => $buffer->retry([
            ['rows' => [['table' => 'orders', 'row' => ['id' => 1, 'x' => ['base64' => '!']]]]],
        ]));
        self::assertInstanceOf(TypeError::class, $thrown);
        self::assertStringContainsString('orders', $thrown->getMessage());
        self::assertCount(0, $buffer);
    }

    public function testSaysWhichOneCannotBe(): void
    {
        $buffer = $this->buffer();
        $failure = static fn (array $row): array => ['rows' => [['table' => 'orders', 'row' => $row]]];
        $thrown = self::assertThrowsMatching(
            ConfigException::class,
            '/^failure 2 of 2: table orders: a row has no key column id/',
            static fn () => $buffer->retry([$failure(['id' => 1]), $failure(['v' => 1])]),
        );
        self::assertNotNull($thrown);
        self::assertCount(1, $buffer, 'those before it were put back');
    }

    /** @return iterable<string, array{string}> */
    public static function statuses(): iterable
    {
        yield 'uncertain' => ['uncertain'];
        yield 'one that is not known yet' => ['elsewhere'];
    }

    /**
     * What may be in the database would be doubled.
     *
     * @dataProvider statuses
     */
    #[DataProvider('statuses')]
    public function testRefusesWhatMayBeWrittenAlready(string $status): void
    {
        $rows = [['table' => 'orders', 'row' => ['id' => 1]]];
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            self::assertThrows(
                ConfigException::class,
                "failure 2 is \"{$status}\": its rows may be in the database already, and would be doubled. None was put back."
                    . " Look, and leave it out if they are there; else set its 'status' to 'unwritten', and retry() it",
                static fn () => $buffer->retry([
                    ['status' => 'unwritten', 'rows' => $rows],
                    ['status' => $status, 'rows' => $rows],
                ]),
            );
            self::assertCount(0, $buffer);
        }
        self::assertSame([], MemorySink::tables());
    }

    public function testThrowsWhereNotEvenTheFirstFits(): void
    {
        $buffer = $this->buffer(maxPendingRows: 2, batchSize: 2);
        $rows = array_map(static fn (int $id): array => ['table' => 'orders', 'row' => ['id' => $id]], [1, 2, 3]);
        self::assertThrowsMatching(
            TooLargeException::class,
            '/^the group does not fit into the buffer /',
            static fn () => $buffer->retry([['rows' => $rows]]),
        );
        self::assertCount(0, $buffer);
    }

    public function testRefusesAfterClose(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $buffer->close();
            self::assertThrowsMatching(
                ClosedException::class,
                '/^the buffer is closed/',
                static fn () => $buffer->retry([['rows' => [['table' => 'orders', 'row' => ['id' => 1]]]]]),
            );
            // As add([]) and put('orders', []) do.
            self::assertThrowsMatching(ClosedException::class, '/^the buffer is closed/', static fn () => $buffer->retry([]));
        }
        self::assertSame([], MemorySink::tables());
    }

    public function testChecksItsArguments(): void
    {
        $buffer = $this->buffer();
        self::assertThrows(
            TypeError::class,
            'WriteBuffer::retry(): Argument #1 ($failures) must be of type array, string given',
            static fn () => $buffer->retry(...['x']),
        );
        self::assertThrows(
            ArgumentCountError::class,
            'WriteBuffer::retry() expects exactly 1 argument, 0 given',
            static fn () => $buffer->retry(...[]),
        );
    }
}
