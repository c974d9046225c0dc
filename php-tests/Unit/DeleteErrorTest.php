<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Model;
use WriteBuffer\TooLargeException;

final class DeleteErrorTest extends MemoryTestCase
{
    private const EXPECTED = "must be an int or a string, or an array of the key's columns, and the guard if the row is to stay "
        . 'when it is newer';

    private const TABLES = [
        'g' => ['guard' => 'v'],
        'c' => ['key' => ['a', 'b']],
        'i' => ['mode' => 'insert'],
        's' => ['key' => 'server'],
    ];

    /** @return iterable<string, array{mixed, string}> */
    public static function wrongTypes(): iterable
    {
        foreach (
            [
                'null' => [null, 'null given'],
                'a bool' => [true, 'bool given'],
                'a float' => [1.5, 'float given'],
                'an empty array' => [[], 'an empty array given'],
                'names and numbers' => [[1, 'id' => 1], 'an array that mixes names and numbers given'],
                'no list' => [[1 => 1], 'an array that mixes names and numbers given'],
                'an object' => [new \stdClass(), 'an object of stdClass is no value given'],
                'a list in it' => [['id' => [1]], 'array is no value given for id'],
                'INF in it' => [['id' => INF], 'INF is no finite number given for id'],
                'a model' => [
                    new Model(['id' => 1]),
                    'the model ' . Model::class . ' given: give its key, as getKey() returns it',
                ],
            ] as $case => [$key, $given]
        ) {
            yield $case => [$key, self::EXPECTED . ", {$given}"];
        }
    }

    /**
     * @dataProvider wrongTypes
     */
    #[DataProvider('wrongTypes')]
    public function testRefusesWhatIsNoKey(mixed $key, string $message): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            self::assertThrows(
                TypeError::class,
                "{$class}::delete(): Argument #2 (\$key) {$message}",
                static fn () => $buffer->delete('t', $key),
            );
            self::assertCount(0, $buffer);
        }
    }

    /** @return iterable<string, array{string, mixed, string}> */
    public static function wrongKeys(): iterable
    {
        $needs = 'a deletion needs the table\'s key';
        yield 'another column' => ['t', ['x' => 1], "table t: {$needs} (id), and no other column"];
        yield 'a column more' => ['t', ['id' => 1, 'x' => 1], "table t: {$needs} (id), and no other column"];
        yield 'a value more' => ['t', [1, 2], "table t: {$needs} (id), and no other column"];
        yield 'a part of the key' => ['c', 1, "table c: {$needs} (a, b), and no other column"];
        yield 'a part of the key, by name' => ['c', ['a' => 1], "table c: {$needs} (a, b), and no other column"];
        yield 'a guard by its place' => ['g', [1, 5], "table g: {$needs} (id), if you like with the guard v, and no other column"];
        yield 'null' => ['t', ['id' => null], 'table t: key column id is null; a row is deleted by its whole key'];
        yield 'a guard of null' => [
            'g',
            ['id' => 1, 'v' => null],
            'table g: guard column v is null; a row without its guard cannot be compared',
        ];
        yield 'an insert-only table' => [
            'i',
            1,
            "table i is insert-only, so its rows are not deleted: set 'mode' => 'upsert' for it in `tables`, or run the DELETE "
                . 'yourself',
        ];
        yield 'the trade table' => [
            'trades',
            ['id' => 1],
            "table trades is insert-only, so its rows are not deleted: set 'mode' => 'upsert' for it in `tables`, or run the "
                . 'DELETE yourself',
        ];
        yield 'a key of the server' => [
            's',
            1,
            "table s: its key is the server's to know, so no row can be named: give its columns with 'key' in `tables`, or run "
                . 'the DELETE yourself',
        ];
    }

    /**
     * @dataProvider wrongKeys
     */
    #[DataProvider('wrongKeys')]
    public function testRefusesWhatIsNoKeyOfTheTable(string $table, mixed $key, string $message): void
    {
        $act = static fn (Buffer $buffer) => $buffer->delete($table, $key);
        self::assertNothingTaken($this->buffer(tables: self::TABLES), ConfigException::class, $message, $act);
        // In retry() the whole group is refused.
        $group = [['rows' => [['table' => 't', 'row' => ['id' => 1]], ['table' => $table, 'delete' => $key]]]];
        $retry = static fn (Buffer $buffer) => $buffer->retry($group);
        self::assertNothingTaken($this->buffer(tables: self::TABLES), ConfigException::class, $message, $retry);
    }

    public function testWhatPutRefusesToo(): void
    {
        $buffer = $this->buffer();
        self::assertThrows(
            ArgumentCountError::class,
            'WriteBuffer::delete() expects at least 2 arguments, 1 given',
            static fn () => $buffer->delete('t'),
        );
        self::assertThrows(
            ConfigException::class,
            '"" is no table name: give `table` or `database.table`, up to 64 characters each; put a name that has a dot in '
                . 'backticks',
            static fn () => $buffer->delete('', 1),
        );
        $small = $this->buffer(batchSize: 1, maxPendingRows: 1);
        $group = [['rows' => [['table' => 't', 'delete' => 1], ['table' => 't', 'delete' => 2]]]];
        self::assertInstanceOf(TooLargeException::class, self::thrownBy(static fn () => $small->retry($group)));
        $buffer->close();
        self::assertInstanceOf(ClosedException::class, self::thrownBy(static fn () => $buffer->delete('t', 1)));
    }

    public function testWhatUserCodeThrowsPassesThrough(): void
    {
        $buffer = $this->buffer();
        $text = new class () {
            public function __toString(): string
            {
                throw new \LogicException('no text');
            }
        };
        foreach ([$text, ['id' => $text]] as $key) {
            self::assertThrows(\LogicException::class, 'no text', static fn () => $buffer->delete('t', $key));
        }
        self::assertCount(0, $buffer);
    }
}
