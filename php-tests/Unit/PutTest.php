<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArrayIterator;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Model;

final class PutTest extends MemoryTestCase
{
    public function testTakesARowAListAndAModelOfAnyTable(): void
    {
        $buffer = $this->buffer();
        $buffer->put('accounts', ['id' => 1]);
        $buffer->put('accounts', [['id' => 2], (object) ['id' => 3]]);
        $buffer->put('accounts', new ArrayIterator([['id' => 4]]));
        $buffer->put('accounts', new Model(['id' => 5], 'others'));
        $buffer->put('accounts', []);
        self::assertCount(5, $buffer);
        $buffer->flush();
        self::assertSame(
            ['accounts' => [['id' => 1], ['id' => 2], ['id' => 3], ['id' => 4]], 'others' => [['id' => 5]]],
            MemorySink::tables(),
        );
    }

    public function testTablesHaveAnyNameThatAServerTakes(): void
    {
        $names = ['a', 'db.table', 'with space', "back`tick", 'größe', str_repeat('t', 64), str_repeat('d', 64) . '.t', '5'];
        $buffer = $this->buffer();
        foreach ($names as $name) {
            $buffer->put($name, ['id' => $name]);
        }
        $buffer->flush();
        $expected = [];
        foreach ($names as $name) {
            $expected[$name] = [['id' => $name]];
        }
        self::assertSame($expected, MemorySink::tables());
    }

    public function testWritesTheOrderTableToo(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1, 'status' => 'open']);
        $buffer->put('orders', ['id' => 1, 'status' => 'filled']);
        $buffer->flush();
        self::assertSame([['id' => 1, 'status' => 'filled']], self::rowsOf('orders'));
    }

    public function testMakesTheBufferFullByItself(): void
    {
        $buffer = $this->buffer(batchSize: 2);
        $buffer->put('a', ['id' => 1]);
        $buffer->put('b', ['id' => 1]);
        self::assertCount(2, $buffer);
        $buffer->put('b', ['id' => 2]);
        self::assertCount(0, $buffer);
        self::assertSame(['a' => [['id' => 1]], 'b' => [['id' => 1], ['id' => 2]]], MemorySink::tables());
    }

    public function testTakesATableNameAsPhpDoes(): void
    {
        $buffer = $this->buffer();
        $buffer->put(...['row' => ['id' => 1], 'table' => 'named']);
        $buffer->flush();
        self::assertSame(['named' => [['id' => 1]]], MemorySink::tables());
    }

    public function testTheSynchronousBufferWritesAtOnce(): void
    {
        $buffer = $this->syncBuffer();
        $buffer->put('accounts', [['id' => 1], ['id' => 2]]);
        self::assertSame(['accounts' => [['id' => 1], ['id' => 2]]], MemorySink::tables());
        self::assertCount(0, $buffer);
    }
}
