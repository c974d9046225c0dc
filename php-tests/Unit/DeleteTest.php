<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Text;

final class DeleteTest extends MemoryTestCase
{
    /** @return iterable<string, array{mixed, array<string, mixed>}> the key, and the row's */
    public static function keys(): iterable
    {
        yield 'an int' => [7, ['id' => 7]];
        yield 'a string' => ['7', ['id' => 7]];
        yield 'a word' => ['a-7', ['id' => 'a-7']];
        yield 'an object with a text' => [new Text('a-7'), ['id' => 'a-7']];
        yield 'by column' => [['id' => 7], ['id' => 7]];
        yield 'by column, in another case' => [['ID' => 7], ['id' => 7]];
        yield 'in the key\'s order' => [[7], ['id' => 7]];
        yield 'in the key\'s order, of two columns' => [[7, 'x'], ['a' => 7, 'b' => 'x']];
        yield 'by column, of two columns' => [['b' => 'x', 'a' => 7], ['a' => 7, 'b' => 'x']];
    }

    /**
     * @dataProvider keys
     *
     * @param array<string, mixed> $row
     */
    #[DataProvider('keys')]
    public function testDeletesTheRowOfTheKeyAndNoOther(mixed $key, array $row): void
    {
        $other = array_map(static fn (): int => 8, $row);
        foreach ([[], ['background' => true], null] as $settings) {
            MemorySink::reset();
            $tables = ['t' => ['key' => array_keys($row)]];
            $buffer = $settings === null ? $this->syncBuffer(tables: $tables) : $this->buffer(...$settings, tables: $tables);
            $buffer->put('t', [$row, $other]);
            $buffer->flush();
            $buffer->delete('t', $key);
            $buffer->flush();
            self::assertSame([$other], self::rowsOf('t'));
            $buffer->delete('t', $key);
            $buffer->flush();
            self::assertSame([$other], self::rowsOf('t'), 'a row that is not there is no error');
        }
    }

    public function testIsInOrderWithTheRowsOfItsKey(): void
    {
        $buffer = $this->buffer();
        $buffer->put('t', [['id' => 1, 'v' => 1, 'w' => 1], ['id' => 2, 'v' => 2], ['id' => 3, 'v' => 3]]);
        $buffer->flush();
        $buffer->put('t', ['id' => 1, 'v' => 9]);
        $buffer->delete('t', 1);
        $buffer->put('t', ['id' => 1, 'v' => 5]);
        $buffer->delete('t', 2);
        $buffer->put('t', ['id' => 4]);
        $buffer->delete('t', 4);
        self::assertSame(['id' => 1, 'v' => 5], $buffer->find('t', 1), 'from nothing');
        self::assertFalse($buffer->find('t', 2));
        self::assertNull($buffer->find('t', 3));
        self::assertFalse($buffer->find('t', 4));
        self::assertCount(6, $buffer);
        $buffer->flush();
        self::assertEqualsCanonicalizing([['id' => 1, 'v' => 5], ['id' => 3, 'v' => 3]], self::rowsOf('t'));
        self::assertNull($buffer->find('t', 2));
    }

    public function testCountsAsARow(): void
    {
        $buffer = $this->buffer();
        $buffer->put('t', ['id' => 1]);
        $buffer->delete('t', 1);
        $buffer->delete('t', 1);
        self::assertSame(3, $buffer->getMetrics()['rows_pending']);
        self::assertSame(3, $buffer->flush());
        $metrics = $buffer->getMetrics();
        self::assertSame([3, 3, 2, 0], [
            $metrics['rows_added'],
            $metrics['rows_committed'],
            $metrics['rows_coalesced'],
            $metrics['rows_pending'],
        ]);
    }

    public function testTheGuardDecidesFirst(): void
    {
        $buffer = $this->buffer(tables: ['t' => ['guard' => 'v']]);
        $rows = [['id' => 1, 'v' => 5], ['id' => 2, 'v' => 5], ['id' => 3, 'v' => 5], ['id' => 4, 'v' => 5]];
        foreach ([true, false] as $isBuffered) {
            MemorySink::reset();
            $buffer->put('t', $rows);
            if (!$isBuffered) {
                $buffer->flush();
            }
            $buffer->delete('t', ['id' => 1, 'v' => 4]);
            $buffer->delete('t', ['id' => 2, 'v' => 5]);
            $buffer->delete('t', ['v' => 6, 'id' => 3]);
            $buffer->delete('t', 4);
            $found = array_map(static fn (int $id): mixed => $buffer->find('t', $id), [1, 2, 3, 4]);
            self::assertSame([$isBuffered ? $rows[0] : false, false, false, false], $found);
            $buffer->flush();
            self::assertSame([$rows[0]], self::rowsOf('t'));
        }
    }

    public function testWhatComesAfterItBeginsAnew(): void
    {
        $buffer = $this->buffer(tables: ['t' => ['merge' => ['n' => 'sum', 'k' => 'keep']]]);
        $buffer->put('t', ['id' => 1, 'n' => 5, 'k' => 'first']);
        $buffer->flush();
        $buffer->put('t', ['id' => 1, 'n' => 5]);
        $buffer->delete('t', 1);
        $buffer->put('t', ['id' => 1, 'n' => 2, 'k' => 'second']);
        $buffer->put('t', ['id' => 1, 'n' => 2]);
        $buffer->flush();
        self::assertSame([['id' => 1, 'n' => 4, 'k' => 'second']], self::rowsOf('t'));
    }

    public function testALongHistoryOfOneKeyIsItsLastStep(): void
    {
        foreach ([1, 10, 500] as $batchSize) {
            MemorySink::reset();
            $buffer = $this->buffer(batchSize: $batchSize);
            mt_srand(7);
            $expected = [];
            for ($step = 0; $step < 2_000; $step++) {
                $id = mt_rand(1, 20);
                if (mt_rand(0, 3) === 0) {
                    $buffer->delete('t', $id);
                    unset($expected[$id]);
                } else {
                    $row = ['id' => $id, 'c' . mt_rand(0, 1) => $step];
                    $buffer->put('t', $row);
                    $expected[$id] = $row + ($expected[$id] ?? []);
                }
            }
            $buffer->flush();
            $found = array_column(self::rowsOf('t'), null, 'id');
            self::assertEquals($expected, $found, "batches of {$batchSize}");
        }
    }

    public function testRefusedOnesAreFailuresAndRetryTakesThem(): void
    {
        $buffer = $this->buffer(maxRetries: 0);
        $buffer->put('t', [['id' => 1], ['id' => 2]]);
        $buffer->flush();
        MemorySink::failNext(1451);
        $buffer->delete('t', 1);
        self::assertNotNull(self::thrownBy(static fn () => $buffer->flush()));
        $failures = $buffer->takeFailures();
        self::assertSame([['table' => 't', 'delete' => ['id' => 1]]], $failures[0]['rows']);
        self::assertSame(1451, $failures[0]['code']);
        self::assertSame(1, $buffer->retry($failures));
        self::assertFalse($buffer->find('t', 1));
        $buffer->flush();
        self::assertSame([['id' => 2]], self::rowsOf('t'));
    }

    public function testRetryTakesGroupsOfRowsAndDeletions(): void
    {
        $buffer = $this->buffer(tables: ['c' => ['key' => ['a', 'b']]]);
        $buffer->put('c', [['a' => 1, 'b' => 1], ['a' => 1, 'b' => "\xff"]]);
        $buffer->retry([['rows' => [
            ['table' => 'c', 'delete' => [1, ['base64' => '/w==']]],
            ['table' => 't', 'row' => ['id' => 1]],
            ['table' => 't', 'delete' => 1],
            ['table' => 'c', 'delete' => ['b' => 2, 'a' => 1]],
        ]]]);
        $buffer->flush();
        self::assertSame([['a' => 1, 'b' => 1]], self::rowsOf('c'));
        self::assertSame([], self::rowsOf('t'));
    }

    /** The rows in memory keep their order, and their places are found after any deletion. */
    public function testTheTablesInMemoryCloseTheirGaps(): void
    {
        $buffer = $this->buffer(batchSize: 1);
        $ids = range(1, 60);
        $buffer->put('t', array_map(static fn (int $id): array => ['id' => $id], $ids));
        foreach ([3, 60, 1, 30, 31, 32, ...range(33, 59), 2, 4] as $id) {
            $buffer->delete('t', $id);
            $ids = array_values(array_diff($ids, [$id]));
            self::assertSame($ids, array_column(self::rowsOf('t'), 'id'));
            $buffer->put('t', ['id' => $ids[0], 'v' => $id]);
            self::assertSame($id, self::rowsOf('t')[0]['v']);
        }
    }

    public function testTheMethodIsTheInterfaces(): void
    {
        $method = new \ReflectionMethod(Buffer::class, 'delete');
        self::assertSame('int', (string) $method->getReturnType());
        self::assertSame('array|false|null', (string) (new \ReflectionMethod(Buffer::class, 'find'))->getReturnType());
    }
}
