<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use ArrayIterator;
use DateTimeImmutable;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\FullException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\Arrayable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Expressions\Expression;
use WriteBuffer\Tests\Support\Expressions\Literal;
use WriteBuffer\Tests\Support\Expressions\RawSum;
use WriteBuffer\Tests\Support\Model;
use WriteBuffer\Tests\Support\Opaque;
use WriteBuffer\Tests\Support\Side;
use WriteBuffer\Tests\Support\Suit;
use WriteBuffer\TooLargeException;

final class AddErrorTest extends MemoryTestCase
{
    private const SUPPORT = 'WriteBuffer\Tests\Support';

    /**
     * @return iterable<string, array{\Closure(): mixed, string}> an argument, and what the message
     *         says of it
     */
    public static function wrongRows(): iterable
    {
        foreach (['bool' => true, 'int' => 5, 'float' => 1.5, 'string' => 'row'] as $type => $value) {
            yield "the {$type}" => [
                static fn () => $value,
                "must be null, a row or a list of rows, {$type} given",
            ];
            yield "a list of the {$type}" => [
                static fn () => [['id' => 1], $value],
                "must be a list of rows: an element is {$type}, which is neither an array nor an object",
            ];
        }
        yield 'a resource' => [
            static fn () => fopen('php://memory', 'r'),
            'must be null, a row or a list of rows, resource given',
        ];
        yield 'a list with null' => [
            static fn () => [['id' => 1], null],
            'must be a list of rows: an element is null, which is neither an array nor an object',
        ];
        yield 'a row without names' => [
            static fn () => [1, '1.50'],
            'must be a list of rows: an element is int, which is neither an array nor an object',
        ];
        yield 'a row that begins with a number' => [
            static fn () => ['2023' => 1, 'id' => 'c'],
            'must be a list of rows: an element is int, which is neither an array nor an object; the array was read as a list, '
                . 'since its first key is the number 2023: begin a row with a column whose name is no number',
        ];
        yield 'a list of lists' => [
            static fn () => [[['id' => 1]]],
            'must be a list of rows, and a row an associative array: an element is a list',
        ];
        yield 'a list with an empty list' => [
            static fn () => [['id' => 1], []],
            'must be a list of rows, and a row an associative array: an element is a list',
        ];
        yield 'an object of any class' => [
            static fn () => new Opaque(),
            'must be a row, ' . self::SUPPORT . '\Opaque given: it has neither getAttributes() nor toArray()',
        ];
        yield 'an object of a class without a name' => [
            static fn () => new class () {
            },
            'must be a row, class@anonymous given: it has neither getAttributes() nor toArray()',
        ];
        yield 'a closure' => [
            static fn () => static fn () => ['id' => 1],
            'must be a row, Closure given: it has neither getAttributes() nor toArray()',
        ];
        yield 'a date' => [
            static fn () => new DateTimeImmutable(),
            'must be a row, DateTimeImmutable given: it is a value, not a row',
        ];
        yield 'an enum' => [
            static fn () => Side::Buy,
            'must be a row, ' . self::SUPPORT . '\Side given: it is a value, not a row',
        ];
        yield 'toArray() without an array' => [
            static fn () => new Arrayable(5),
            'must be a row: ' . self::SUPPORT . '\Arrayable::toArray() gave int',
        ];
        yield 'getAttributes() without an array' => [
            static fn () => new Model(null),
            'must be a row: ' . self::SUPPORT . '\Model::getAttributes() gave null',
        ];
        yield 'getAttributes() with a list' => [
            static fn () => new Model(['a', 'b', 'c']),
            'must be a row: ' . self::SUPPORT . '\Model::getAttributes() gave a list; return an associative array, by column',
        ];
        yield 'a list of iterators' => [
            static fn () => [new ArrayIterator([['id' => 1]])],
            'must be a list of rows: an element is the list ArrayIterator',
        ];
        yield 'a list of lists by toArray()' => [
            static fn () => [new Arrayable([['id' => 1]])],
            'must be a list of rows: ' . self::SUPPORT . '\Arrayable::toArray() of an element gave a list',
        ];
        yield 'a generator that has run' => [
            static function (): \Generator {
                $generator = (static fn () => yield ['id' => 1])();
                iterator_to_array($generator);

                return $generator;
            },
            // PHP's own message, and no TypeError.
            '',
        ];
    }

    /**
     * @dataProvider wrongRows
     */
    #[DataProvider('wrongRows')]
    public function testRefusesWhatIsNoRow(\Closure $argument, string $message): void
    {
        if ($message === '') {
            self::assertNothingTaken(
                $this->buffer(),
                \Exception::class,
                'Cannot traverse an already closed generator',
                static fn (Buffer $buffer) => $buffer->add($argument()),
            );

            return;
        }
        foreach ([false, true] as $sync) {
            $buffer = $sync ? $this->syncBuffer() : $this->buffer();
            $method = $sync ? 'SyncWriteBuffer::add()' : 'WriteBuffer::add()';
            self::assertNothingTaken(
                $buffer,
                TypeError::class,
                "{$method}: Argument #1 (\$order) {$message}",
                static fn (Buffer $buffer) => $buffer->add($argument(), ['id' => 1]),
            );
            self::assertNothingTaken(
                $buffer,
                TypeError::class,
                "{$method}: Argument #2 (\$trade) {$message}",
                static fn (Buffer $buffer) => $buffer->add(['id' => 1], $argument()),
            );
        }
    }

    /**
     * @return iterable<string, array{\Closure(): mixed, string}> a value, and what the message says
     *         of it
     */
    public static function wrongValues(): iterable
    {
        yield 'an array' => [static fn () => [], 'array is no value, json_encode() it for a JSON column'];
        yield 'a resource' => [static fn () => fopen('php://memory', 'r'), 'resource is no value'];
        yield 'a stdClass' => [static fn () => new \stdClass(), 'an object of stdClass is no value'];
        yield 'a closure' => [static fn () => static fn () => 1, 'an object of Closure is no value'];
        yield 'an object' => [
            static fn () => new Opaque(),
            'an object of ' . self::SUPPORT . '\Opaque is no value',
        ];
        yield 'an enum without values' => [
            static fn () => Suit::Hearts,
            'the enum ' . self::SUPPORT . '\Suit has no backing value',
        ];
        foreach ([new Expression(), new RawSum(), new Literal()] as $expression) {
            $class = $expression::class;
            yield "SQL, {$class}" => [
                static fn () => $expression,
                "an object of {$class} stands for SQL; give its value, or run the statement yourself",
            ];
        }
        yield 'no number' => [static fn () => NAN, 'NAN is no finite number'];
        yield 'infinity' => [static fn () => INF, 'INF is no finite number'];
        yield 'minus infinity' => [static fn () => -INF, '-INF is no finite number'];
        yield 'the year 10000' => [
            static fn () => (new DateTimeImmutable('9999-12-31'))->modify('+1 day'),
            'the DateTimeImmutable is not within the years 0 to 9999',
        ];
        yield 'a year before 0' => [
            static fn () => (new DateTimeImmutable('0000-01-01'))->modify('-1 day'),
            'the DateTimeImmutable is not within the years 0 to 9999',
        ];
    }

    /**
     * @dataProvider wrongValues
     */
    #[DataProvider('wrongValues')]
    public function testRefusesValuesThatNoColumnHolds(\Closure $value, string $what): void
    {
        $advice = 'give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable';
        foreach (['a row' => false, 'the second row of a list' => true] as $list) {
            $row = ['id' => 2, 'ok' => 1, 'wrong' => $value(), 'last' => 1];
            self::assertNothingTaken(
                $this->buffer(),
                TypeError::class,
                "WriteBuffer::add(): Argument #1 (\$order) has a wrong value: table orders, column wrong: {$what}; {$advice}",
                static fn (Buffer $buffer) => $buffer->add($list ? [['id' => 1], $row] : $row),
            );
        }
        self::assertNothingTaken(
            $this->buffer(),
            TypeError::class,
            "WriteBuffer::add(): Argument #2 (\$trade) has a wrong value: table fills, column wrong: {$what}; {$advice}",
            static fn (Buffer $buffer) => $buffer->add(['id' => 1], new Model(['wrong' => $value()], 'fills')),
        );
    }

    /** @return iterable<string, array{array<array-key, mixed>|object, string}> */
    public static function rowsThatTheirTableCannotTake(): iterable
    {
        $advice = 'give it a value, or configure another key in `tables`';
        yield 'no key' => [['price' => 1], "table orders: a row has no key column id; {$advice}"];
        yield 'the key is null' => [
            ['id' => null],
            'table orders: key column id is null; a row without its key cannot be written',
        ];
        yield 'no column' => [new \stdClass(), 'table orders: a row has no column'];
        yield 'a column without a name' => [['id' => 1, '' => 1], 'table orders: "" is no column name'];
        yield 'a column of 65 letters' => [
            ['id' => 1, str_repeat('c', 65) => 1],
            'table orders: "' . str_repeat('c', 65) . '" is no column name',
        ];
        yield 'a column with a NUL byte' => [['id' => 1, "a\0b" => 1], 'table orders: "a\0b" is no column name'];
        yield 'a column with a space at its end' => [['id' => 1, 'a ' => 1], 'table orders: "a " is no column name'];
        yield 'a column beyond the basic plane' => [['id' => 1, '😀' => 1], 'table orders: "😀" is no column name'];
        yield 'a column that is not UTF-8' => [['id' => 1, "\xff" => 1], 'table orders: column "\xff" is not UTF-8'];
        yield 'a column given twice' => [
            ['id' => 1, 'price' => 1, 'PRICE' => 2],
            'table orders: column PRICE is given twice in one row; the server compares column names without case',
        ];
        yield 'more columns than a table has' => [
            array_fill_keys(array_map(static fn (int $at): string => "c{$at}", range(1, 4_097)), 1),
            'table orders: a row has 4097 columns; a table has 4096 at most',
        ];
    }

    /**
     * @dataProvider rowsThatTheirTableCannotTake
     *
     * @param array<array-key, mixed>|object $row
     */
    #[DataProvider('rowsThatTheirTableCannotTake')]
    public function testRefusesRowsThatTheirTableCannotTake(array|object $row, string $message): void
    {
        foreach ([[$row], [['id' => 1], $row], [$row, ['id' => 1]]] as $rows) {
            self::assertNothingTaken(
                $this->buffer(),
                ConfigException::class,
                $message,
                static fn (Buffer $buffer) => $buffer->add($rows, ['id' => 1]),
            );
        }
    }

    public function testRefusesRowsWithoutTheirGuardOrTheirNumber(): void
    {
        $tables = ['orders' => ['guard' => 'version', 'merge' => ['filled' => 'sum']]];
        foreach (
            [
                'table orders: a row has no guard column version' => ['id' => 1],
                'table orders: guard column version is null; a row without its guard cannot be compared' =>
                    ['id' => 1, 'version' => null],
                'table orders: column filled is summed and takes a number: an int, or a string such as \'12.50\'' =>
                    ['id' => 1, 'version' => 1, 'filled' => '1,5'],
            ] as $message => $row
        ) {
            self::assertNothingTaken(
                $this->buffer(tables: $tables),
                ConfigException::class,
                $message,
                static fn (Buffer $buffer) => $buffer->add([['id' => 1, 'version' => 1], $row]),
            );
        }
        foreach ([null, '', 'x', '0x10', ' 1', '1 ', new DateTimeImmutable()] as $value) {
            self::assertNothingTaken(
                $this->buffer(tables: $tables),
                ConfigException::class,
                'table orders: column filled is summed and takes a number: an int, or a string such as \'12.50\'',
                static fn (Buffer $buffer) => $buffer->add(['id' => 1, 'version' => 1, 'filled' => $value]),
            );
        }
    }

    public function testRefusesAModelWhoseTableIsNone(): void
    {
        self::assertNothingTaken(
            $this->buffer(),
            ConfigException::class,
            '"a.b.c" is no table name: give `table` or `database.table`, up to 64 characters each; '
                    . 'put a name that has a dot in backticks',
            static fn (Buffer $buffer) => $buffer->add(['id' => 1], new Model(['id' => 1], 'a.b.c')),
        );
    }

    public function testRefusesAfterClose(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $buffer->close();
            self::assertNothingTaken(
                $buffer,
                ClosedException::class,
                'the buffer is closed: create a new one, or add before close()',
                static fn (Buffer $buffer) => $buffer->add(['id' => 1]),
            );
        }
    }

    public function testSaysThatTheGroupWasTakenWhenItsFlushFails(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1146);
        self::assertThrows(
            BlockedException::class,
            'simulated error, asked for by MemorySink::failNext() (3 rows still buffered)',
            static fn () => $buffer->add(['id' => 2], ['id' => 20]),
            1146,
        );
        self::assertCount(3, $buffer);
        MemorySink::failNext(2013, 4);
        self::assertThrows(
            ConnectionException::class,
            'simulated lost connection, asked for by MemorySink::failNext() (4 rows still buffered)',
            static fn () => $buffer->add(['id' => 3]),
            2013,
        );
        self::assertSame(4, $buffer->flush());
        self::assertSame([['id' => 1], ['id' => 2], ['id' => 3]], self::rowsOf('orders'));
    }

    public function testRefusesAGroupThatDoesNotFit(): void
    {
        $buffer = $this->buffer(batchSize: 4, maxPendingRows: 5);
        MemorySink::failNext(2006, 100);
        $buffer->add([['id' => 1], ['id' => 2], ['id' => 3]]);
        $bound = 'maxPendingRows is 5, maxPendingBytes 67108864; 3 rows and \d+ bytes are buffered, '
            . 'the group has 3 rows and \d+ bytes';
        $thrown = self::assertThrowsMatching(
            FullException::class,
            "/^the buffer is full and cannot be flushed \\({$bound}\\): "
                . 'simulated lost connection, asked for by MemorySink::failNext\(\)$/D',
            static fn () => $buffer->add([['id' => 4], ['id' => 5], ['id' => 6]]),
        );
        self::assertSame(0, $thrown->getCode());
        self::assertCount(3, $buffer);
        MemorySink::reset();
        $buffer->add([['id' => 4], ['id' => 5], ['id' => 6]]);
        $buffer->flush();
        self::assertSame(range(1, 6), array_column(self::rowsOf('orders'), 'id'));
    }

    public function testRefusesAGroupThatCanNeverFit(): void
    {
        foreach (
            [
                [['batchSize' => 2, 'maxPendingRows' => 2], [['id' => 1], ['id' => 2], ['id' => 3]]],
                [['maxPendingBytes' => 1_024], ['id' => 1, 'text' => str_repeat('x', 1_024)]],
            ] as [$settings, $rows]
        ) {
            $buffer = $this->buffer(...$settings);
            $thrown = self::thrownBy(static fn () => $buffer->add($rows));
            self::assertInstanceOf(TooLargeException::class, $thrown, json_encode($settings));
            self::assertMatchesRegularExpression(
                '/^the group does not fit into the buffer \(maxPendingRows is \d+, maxPendingBytes \d+; 0 rows and '
                    . '0 bytes are buffered, the group has \d rows and \d+ bytes\): add fewer rows at once, or raise '
                    . 'the bound$/D',
                $thrown->getMessage(),
            );
            self::assertCount(0, $buffer);
            self::assertSame([], MemorySink::tables());
        }
    }

    public function testChecksItsArguments(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            self::assertNothingTaken(
                $buffer,
                ArgumentCountError::class,
                "{$class}::add() expects at least 1 argument, 0 given",
                static fn (Buffer $buffer) => $buffer->add(...[]),
            );
            self::assertNothingTaken(
                $buffer,
                ArgumentCountError::class,
                "{$class}::add() expects at most 2 arguments, 3 given",
                static fn (Buffer $buffer) => $buffer->add(...[['id' => 1], null, null]),
            );
        }
    }
}
