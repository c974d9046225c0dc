<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class MemorySinkTest extends MemoryTestCase
{
    protected function tearDown(): void
    {
        MemorySink::reset('other');
        parent::tearDown();
    }

    public function testBuffersOfOneNameShareTheirTables(): void
    {
        $first = $this->buffer();
        $second = $this->buffer();
        $first->add(['id' => 1, 'by' => 'first']);
        $first->flush();
        $second->add([['id' => 1, 'by' => 'second'], ['id' => 2, 'by' => 'second']]);
        $second->flush();
        self::assertSame(
            ['orders' => [['id' => 1, 'by' => 'second'], ['id' => 2, 'by' => 'second']]],
            MemorySink::tables(),
        );
    }

    public function testNamesAreApart(): void
    {
        $plain = $this->buffer();
        $other = $this->buffer(dsn: 'memory:other');
        $plain->add(['id' => 1]);
        $other->add(['id' => 2]);
        MemorySink::failNext(1146, 1, 'other');
        self::assertSame(1, $plain->flush());
        self::assertNotNull(self::thrownBy(static fn () => $other->flush()));
        $other->flush();
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables());
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables(''));
        self::assertSame(['orders' => [['id' => 2]]], MemorySink::tables('other'));
        self::assertSame([], MemorySink::tables('never used'));
        MemorySink::reset('other');
        self::assertSame([], MemorySink::tables('other'));
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables());
    }

    public function testResetForgetsRowsAndFailures(): void
    {
        $buffer = $this->buffer(maxRetries: 0);
        $buffer->add(['id' => 1]);
        $buffer->flush();
        MemorySink::failNext(1213, 10);
        MemorySink::reset();
        self::assertSame([], MemorySink::tables());
        $buffer->add(['id' => 2]);
        self::assertSame(1, $buffer->flush());
        self::assertSame(['orders' => [['id' => 2]]], MemorySink::tables());
    }

    public function testFailuresComeInTheOrderAskedFor(): void
    {
        $buffer = $this->buffer(maxRetries: 0);
        $buffer->add(['id' => 1]);
        MemorySink::failNext(1146);
        MemorySink::failNext(1054, 2);
        MemorySink::failNext(code: 1142, times: 1, name: '');
        $codes = [];
        while (($thrown = self::thrownBy(static fn () => $buffer->flush())) !== null) {
            $codes[] = $thrown->getCode();
        }
        self::assertSame([1146, 1054, 1054, 1142], $codes);
    }

    public function testGivesCopies(): void
    {
        $buffer = $this->buffer();
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $tables = MemorySink::tables();
        $tables['orders'][0]['id'] = 9;
        self::assertSame(['orders' => [['id' => 1]]], MemorySink::tables());
    }

    public function testRowsStandInTheOrderOfTheirInsert(): void
    {
        $buffer = $this->buffer();
        foreach ([3, 1, 2] as $id) {
            $buffer->add(['id' => $id]);
            $buffer->flush();
        }
        $buffer->add(['id' => 3, 'x' => 1]);
        $buffer->flush();
        self::assertSame([['id' => 3, 'x' => 1], ['id' => 1], ['id' => 2]], self::rowsOf('orders'));
    }
}
