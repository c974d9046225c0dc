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

final class PutErrorTest extends MemoryTestCase
{
    /** @return iterable<string, array{string, string}> */
    public static function wrongNames(): iterable
    {
        $advice = 'give `table` or `database.table`, up to 64 characters each; '
                    . 'put a name that has a dot in backticks';
        foreach (
            [
                'empty' => ['', '""'],
                'no table' => ['db.', '"db."'],
                'no database' => ['.table', '".table"'],
                'two points' => ['a.b.c', '"a.b.c"'],
                'too long' => [str_repeat('t', 65), '"' . str_repeat('t', 65) . '"'],
                'a database too long' => [str_repeat('d', 65) . '.t', '"' . str_repeat('d', 65) . '.t"'],
                'with a NUL byte' => ["a\0b", '"a\0b"'],
            ] as $case => [$name, $shown]
        ) {
            yield $case => [$name, "{$shown} is no table name: {$advice}"];
        }
        yield 'not UTF-8' => ["a\xff", '"a\xff" is no table name: it is not UTF-8'];
    }

    /**
     * @dataProvider wrongNames
     */
    #[DataProvider('wrongNames')]
    public function testRefusesWhatIsNoTable(string $name, string $message): void
    {
        $buffer = $this->buffer();
        self::assertThrows(ConfigException::class, $message, static fn () => $buffer->put($name, ['id' => 1]));
        self::assertCount(0, $buffer);
    }

    public function testRefusesWhatIsNoRow(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach (['null' => null, 'int' => 5, 'string' => 'x', 'bool' => false, 'float' => 0.5] as $type => $row) {
                self::assertThrows(
                    TypeError::class,
                    "{$class}::put(): Argument #2 (\$row) must be a row or a list of rows, {$type} given",
                    static fn () => $buffer->put('accounts', $row),
                );
            }
            self::assertThrows(
                TypeError::class,
                "{$class}::put(): Argument #2 (\$row) must be a list of rows: an element is int, which is neither an array "
                    . 'nor an object',
                static fn () => $buffer->put('accounts', [['id' => 1], 2]),
            );
            self::assertCount(0, $buffer);
        }
        self::assertSame([], MemorySink::tables());
    }

    public function testNamesTheTableOfAWrongValue(): void
    {
        $buffer = $this->buffer();
        self::assertThrows(
            TypeError::class,
            'WriteBuffer::put(): Argument #2 ($row) has a wrong value: table shop.accounts, column extra: array is no '
                . 'value, json_encode() it for a JSON column; give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable',
            static fn () => $buffer->put('shop.accounts', ['id' => 1, 'extra' => ['a']]),
        );
        self::assertThrows(
            ConfigException::class,
            'table shop.accounts: a row has no key column id; give it a value, or configure another key in `tables`',
            static fn () => $buffer->put('shop.accounts', ['name' => 'x']),
        );
    }

    public function testRefusesMoreTablesThanItsBound(): void
    {
        $buffer = $this->buffer(batchSize: 10_000);
        // The order table and the trade table count among the thousand.
        for ($at = 0; $at < 998; $at++) {
            $buffer->put("table{$at}", ['id' => 1]);
        }
        self::assertThrows(
            ConfigException::class,
            'table one_more: one buffer writes to 1000 tables at most; use another buffer',
            static fn () => $buffer->put('one_more', ['id' => 1]),
        );
        self::assertSame(998, $buffer->flush());
    }

    public function testRefusesAfterClose(): void
    {
        $buffer = $this->buffer();
        $buffer->close();
        self::assertThrows(
            ClosedException::class,
            'the buffer is closed: create a new one, or add before close()',
            static fn () => $buffer->put('accounts', ['id' => 1]),
        );
    }

    public function testChecksItsArguments(): void
    {
        $buffer = $this->buffer();
        foreach (
            [
                [ArgumentCountError::class, 'WriteBuffer::put() expects at least 2 arguments, 1 given', ['t']],
                [ArgumentCountError::class, 'WriteBuffer::put() expects at most 3 arguments, 4 given', ['t', [], null, 1]],
                [TypeError::class, 'WriteBuffer::put(): Argument #1 ($table) must be of type string, array given', [[], []]],
                [TypeError::class, 'WriteBuffer::put(): Argument #1 ($table) must be of type string, int given', [5, []]],
            ] as [$class, $message, $arguments]
        ) {
            self::assertThrows($class, $message, static fn () => $buffer->put(...$arguments));
        }
        self::assertThrows(
            \Error::class,
            'Unknown named parameter $rows',
            static fn () => $buffer->put(table: 't', rows: []),
        );
    }
}
