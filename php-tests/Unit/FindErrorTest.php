<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use TypeError;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Model;
use WriteBuffer\Tests\Support\Suit;

final class FindErrorTest extends MemoryTestCase
{
    public function testRefusesWhatIsNoKey(): void
    {
        foreach ([[$this->buffer(), 'WriteBuffer'], [$this->syncBuffer(), 'SyncWriteBuffer']] as [$buffer, $class]) {
            foreach (
                [
                    null, true, 1.5, NAN, new \stdClass(), Suit::Hearts, new Model(['id' => 1]), [NAN], ['id' => null], [[1]],
                    ["\xff" => 1],
                ] as $key
            ) {
                self::assertThrows(
                    TypeError::class,
                    "{$class}::find(): Argument #2 (\$key) must be an int or a string, or for a composite key an array of "
                        . 'these',
                    static fn () => $buffer->find('orders', $key),
                );
            }
        }
    }

    public function testRefusesAKeyOfAnotherShape(): void
    {
        $buffer = $this->buffer(tables: ['balances' => ['key' => ['user_id', 'asset']]]);
        $buffer->add(['id' => 1]);
        $buffer->put('balances', ['user_id' => 1, 'asset' => 'BTC']);
        foreach ([[], [1, 2], ['uuid' => 1]] as $key) {
            self::assertThrows(
                TypeError::class,
                'table orders: its key has the columns (id); give their values by name, or in this order',
                static fn () => $buffer->find('orders', $key),
            );
        }
        foreach ([1, 'BTC', [1], [1, 'BTC', 2], ['user_id' => 1, 'coin' => 'BTC'], ['user_id' => 1]] as $key) {
            self::assertThrows(
                TypeError::class,
                'table balances: its key has the columns (user_id, asset); give their values by name, or in this order',
                static fn () => $buffer->find('balances', $key),
            );
        }
        self::assertCount(2, $buffer);
    }

    public function testRefusesWhatIsNoTable(): void
    {
        $buffer = $this->buffer();
        self::assertThrows(
            ConfigException::class,
            '"\xff" is no table name: it is not UTF-8',
            static fn () => $buffer->find("\xff", 1),
        );
    }

    public function testChecksItsArguments(): void
    {
        $buffer = $this->buffer();
        foreach (
            [
                [ArgumentCountError::class, 'WriteBuffer::find() expects exactly 2 arguments, 1 given', ['orders']],
                [ArgumentCountError::class, 'WriteBuffer::find() expects exactly 2 arguments, 3 given', ['orders', 1, 2]],
                [TypeError::class, 'WriteBuffer::find(): Argument #1 ($table) must be of type string, null given', [null, 1]],
            ] as [$class, $message, $arguments]
        ) {
            self::assertThrows($class, $message, static fn () => $buffer->find(...$arguments));
        }
    }
}
