<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DateTimeImmutable;
use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\Tests\Support\Arrayable;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Model;
use WriteBuffer\Tests\Support\Text;

/** Code of the caller that `add()` runs while it converts a group may throw, add, or close. */
final class AddUserCodeTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{\Closure(\Closure): mixed}> an argument, made from code that
     *         throws
     */
    public static function throwingCode(): iterable
    {
        yield 'in __toString()' => [static fn (\Closure $throw) => ['id' => 2, 'x' => new Text($throw), 'y' => 1]];
        yield 'in __toString() of a stdClass' => [static fn (\Closure $throw) => (object) ['id' => new Text($throw)]];
        yield 'in getAttributes()' => [static fn (\Closure $throw) => new Model($throw)];
        yield 'in getTable()' => [static fn (\Closure $throw) => new Model(['id' => 2], $throw)];
        yield 'in getKeyName()' => [static fn (\Closure $throw) => new Model(['id' => 2], 'orders', $throw)];
        yield 'in toArray()' => [static fn (\Closure $throw) => new Arrayable($throw)];
        yield 'in toArray() of an element' => [static fn (\Closure $throw) => [['id' => 2], new Arrayable($throw)]];
        yield 'in a generator, at once' => [
            static fn (\Closure $throw) => (static function () use ($throw): \Generator {
                yield $throw();
            })(),
        ];
        yield 'in a generator, later' => [
            static fn (\Closure $throw) => (static function () use ($throw): \Generator {
                yield ['id' => 2];
                yield ['id' => 3];
                yield $throw();
            })(),
        ];
        yield 'in an iterator' => [
            static fn (\Closure $throw) => new class ($throw) implements \IteratorAggregate {
                public function __construct(private \Closure $throw)
                {
                }

                public function getIterator(): \Iterator
                {
                    return ($this->throw)();
                }
            },
        ];
        yield 'in format() of a date' => [
            static fn (\Closure $throw) => ['id' => 2, 'at' => new class ($throw) extends DateTimeImmutable {
                public function __construct(private \Closure $throw)
                {
                    parent::__construct('2024-01-01');
                }

                public function format(string $format): string
                {
                    return ($this->throw)();
                }
            }],
        ];
    }

    /**
     * @dataProvider throwingCode
     */
    #[DataProvider('throwingCode')]
    public function testPassesOnWhatUserCodeThrows(\Closure $argument): void
    {
        $exception = new DomainException('of the user', 42);
        $throw = static fn () => throw $exception;
        foreach (
            [
                static fn (Buffer $buffer) => $buffer->add($argument($throw), ['id' => 1]),
                static fn (Buffer $buffer) => $buffer->add(['id' => 1], $argument($throw)),
            ] as $act
        ) {
            foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
                $thrown = self::assertNothingTaken($buffer, DomainException::class, 'of the user', $act, 42);
                self::assertSame($exception, $thrown);
                self::assertNull($thrown->getPrevious());
            }
        }
    }

    public function testKeepsWhatUserCodeAddedBeforeItThrew(): void
    {
        $buffer = $this->buffer();
        $inner = static function () use ($buffer): string {
            $buffer->add(['id' => 7]);
            throw new DomainException('after the inner add()');
        };
        self::assertThrows(
            DomainException::class,
            'after the inner add()',
            static fn () => $buffer->add(['id' => 1, 'x' => new Text($inner)]),
        );
        $buffer->flush();
        self::assertSame([['id' => 7]], self::rowsOf('orders'));
    }

    public function testUserCodeMayCloseTheBuffer(): void
    {
        $buffer = $this->buffer();
        $close = static function () use ($buffer): string {
            $buffer->close();

            return 'x';
        };
        self::assertNothingTaken(
            $buffer,
            ClosedException::class,
            'the buffer is closed: create a new one, or add before close()',
            static fn (Buffer $buffer) => $buffer->add(['id' => 1, 'x' => new Text($close)]),
        );
    }
}
