<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\BlockedException;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\NotTaken;
use WriteBuffer\RefusedException;
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

    /** @return array<string, mixed> */
    private static function failure(int $id, array $rows): array
    {
        $named = array_map(static fn (array $row): array => ['table' => 'orders', 'row' => $row], $rows);

        return ['id' => "f{$id}", 'rows' => $named];
    }

    /** A class that says that nothing was taken is behind one that says what was. */
    public function testSaysHowManyWerePutBackIfOneCannotBe(): void
    {
        foreach ([true, false] as $background) {
            $buffer = $this->buffer(background: $background);
            $failures = [
                self::failure(1, [['id' => 1]]),
                self::failure(2, [['id' => 2], ['id' => 3]]),
                self::failure(3, [['v' => 1]]),
                self::failure(4, [['id' => 4]]),
            ];
            $thrown = self::thrownBy(static fn () => $buffer->retry($failures));
            self::assertInstanceOf(IncompleteException::class, $thrown);
            self::assertNotInstanceOf(NotTaken::class, $thrown);
            self::assertStringStartsWith(
                'retry() put back 2 of 4 failures; failure 3 ended it: table orders: a row has no key column id',
                $thrown->getMessage(),
            );
            self::assertSame([2, 3, 0], [$thrown->getTakenGroups(), $thrown->getTakenRows(), $thrown->getSkippedRows()]);
            $cause = $thrown->getPrevious();
            self::assertInstanceOf(ConfigException::class, $cause);
            self::assertStringStartsWith('failure 3 of 4: table orders: a row has no key column id', $cause->getMessage());
            self::assertCount(3, $buffer, 'those before it were put back');
            self::assertSame(2, $buffer->lastTicket());

            // What is left is what was not put back, and none of it was.
            $left = array_slice($failures, $thrown->getTakenGroups());
            self::assertThrowsMatching(
                ConfigException::class,
                '/^failure 1 of 2: table orders: a row has no key column id/',
                static fn () => $buffer->retry($left),
            );
            self::assertCount(3, $buffer);
            self::assertSame(1, $buffer->retry(array_slice($left, 1)));
            self::assertSame(4, $buffer->flush());
        }
        self::assertSame([1, 2, 3, 4], array_column(self::rowsOf('orders'), 'id'));
    }

    /** In the foreground, as of putAll(): the group was taken whose flush failed. */
    public function testSaysHowManyWerePutBackIfAFlushFails(): void
    {
        foreach ([1264 => RefusedException::class, 2006 => ConnectionException::class, 1045 => BlockedException::class] as $code => $class) {
            $buffer = $this->buffer(background: false, batchSize: 2, maxRetries: 0);
            $failures = array_map(static fn (int $id): array => self::failure($id, [['id' => $id]]), [1, 2, 3]);
            MemorySink::failNext($code, 1_000);
            $thrown = self::thrownBy(static fn () => $buffer->retry($failures));
            MemorySink::reset();
            self::assertInstanceOf(IncompleteException::class, $thrown, "code {$code}");
            self::assertSame(2, $thrown->getTakenGroups());
            self::assertStringStartsWith(
                'retry() put back 2 of 3 failures; the flush that failure 2 made due failed: ',
                $thrown->getMessage(),
            );
            self::assertInstanceOf($class, $thrown->getPrevious());
            self::assertSame($thrown->getPrevious()->getCode(), $thrown->getCode());
            self::assertCount($code === 1264 ? 0 : 2, $buffer, 'buffered, or failures');
            self::assertCount($code === 1264 ? 2 : 0, $buffer->takeFailures());
            self::assertSame(1, $buffer->retry(array_slice($failures, 2)));
            $buffer->flush();
            $written = array_column(self::rowsOf('orders'), 'id');
            self::assertSame($code === 1264 ? [3] : [1, 2, 3], $written);

            // The last one: all were put back, as the class says.
            MemorySink::failNext($code, 1_000);
            $thrown = self::thrownBy(static fn () => $buffer->retry([self::failure(8, [['id' => 8]]), self::failure(9, [['id' => 9]])]));
            MemorySink::reset();
            self::assertInstanceOf($class, $thrown);
            $buffer->takeFailures();
            $buffer->flush();
            MemorySink::reset();
        }
    }

    public function testTheSynchronousBufferSaysHowManyWereCommitted(): void
    {
        $buffer = $this->syncBuffer(tables: ['orders' => ['mode' => 'insert']]);
        $failures = array_map(static fn (int $id): array => self::failure($id, [['id' => $id]]), [1, 2, 3]);
        $buffer->put('orders', ['id' => 2]);
        $thrown = self::thrownBy(static fn () => $buffer->retry($failures));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertInstanceOf(RefusedException::class, $thrown->getPrevious());
        self::assertSame([1, 1], [$thrown->getTakenGroups(), $thrown->getTakenRows()]);
        self::assertStringStartsWith('retry() put back 1 of 3 failures; failure 2 ended it: ', $thrown->getMessage());
        self::assertSame([2, 1], array_column(self::rowsOf('orders'), 'id'));
        self::assertInstanceOf(
            RefusedException::class,
            self::thrownBy(static fn () => $buffer->retry(array_slice($failures, 1))),
            'none was put back',
        );
        self::assertSame(1, $buffer->retry(array_slice($failures, 2)));
        self::assertSame([2, 1, 3], array_column(self::rowsOf('orders'), 'id'));
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
                "failure 2 is \"{$status}\": its rows may be in the database already, and would be doubled."
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
