<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\IncompleteException;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** User code within `putAll()`: it may throw, and use the same buffer. */
final class PutAllUserCodeTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test): Buffer => $test->buffer(background: true)];
        yield 'foreground' => [static fn (self $test): Buffer => $test->buffer()];
        yield 'sync' => [static fn (self $test): Buffer => $test->syncBuffer()];
    }

    /** @return \Generator<int, array{id: int}> */
    public static function rows(int $first, int $last): \Generator
    {
        for ($id = $first; $id <= $last; $id++) {
            yield ['id' => $id];
        }
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testWhatUserCodeThrowsPassesOn(\Closure $make): void
    {
        $buffer = $make($this);
        $thrower = static fn (): \Generator => yield from [
            ['id' => 1], ['id' => 2], ['id' => 3, 'v' => new class () {
                public function __toString(): string
                {
                    throw new \DomainException('no');
                }
            }], ['id' => 4],
        ];
        $ways = [
            'a generator' => static fn () => $buffer->putAll('t', (static function (): \Generator {
                yield ['id' => 1];
                yield ['id' => 2];
                throw new \DomainException('no');
            })()),
            'a value' => static fn () => $buffer->putAll('t', $thrower()),
        ];
        foreach ($ways as $name => $way) {
            $thrown = self::thrownBy($way);
            self::assertInstanceOf(\DomainException::class, $thrown, $name);
            self::assertNull($thrown->getPrevious(), $name);
            $buffer->flush();
            self::assertSame([1, 2], array_column(self::rowsOf('t'), 'id'), $name);
            MemorySink::reset();
        }
        $asked = 0;
        $rows = static function () use (&$asked): \Generator {
            foreach (self::rows(1, 3_000) as $row) {
                $asked++;
                yield $row;
            }
        };
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows(), static function (int $taken): void {
            $taken < 2_000 || throw new \DomainException("enough: {$taken}");
        }));
        self::assertSame('enough: 2000', $thrown?->getMessage());
        self::assertSame(2_000, $asked);
        $buffer->flush();
        self::assertCount(2_000, self::rowsOf('t'));
    }

    public function testWhatWasSkippedIsToldBehindWhatUserCodeThrows(): void
    {
        $before = new \LogicException('before');
        $thrown = self::thrownBy(fn () => $this->buffer()->putAll('t', (static function () use ($before): \Generator {
            yield ['id' => 1];
            yield 'no row';
            throw new \DomainException('no', 0, $before);
        })()));
        self::assertInstanceOf(\DomainException::class, $thrown);
        self::assertSame($before, $thrown->getPrevious());
        $incomplete = $before->getPrevious();
        self::assertInstanceOf(IncompleteException::class, $incomplete);
        self::assertSame([1, 1, [2]], [
            $incomplete->getTakenRows(), $incomplete->getSkippedRows(), array_keys($incomplete->getReasons()),
        ]);
        self::assertSame(
            'putAll() took 1 row; the rest was not read; 1 row skipped, the first was row 2: an element is string, which is'
                . ' neither an array nor an object',
            $incomplete->getMessage(),
        );
    }

    /**
     * Nothing else holds the row, so it ends when it is taken: before the next one is asked for.
     *
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testTheEndOfARowThatThrowsEndsTheImport(\Closure $make): void
    {
        $buffer = $make($this);
        $held = null;
        $asked = [];
        $rows = static function & () use (&$held, &$asked): \Generator {
            $held = new class ($held) {
                public function __construct(private mixed &$held)
                {
                }

                /** @return array{id: int} */
                public function toArray(): array
                {
                    $this->held = null;

                    return ['id' => 1];
                }

                public function __destruct()
                {
                    throw new \DomainException('the end of a row');
                }
            };
            yield $held;
            $asked[] = 2;
            $held = ['id' => 2];
            yield $held;
        };
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows()));
        self::assertSame('the end of a row', $thrown?->getMessage());
        self::assertSame([], $asked);
        $buffer->flush();
        self::assertSame([['id' => 1]], self::rowsOf('t'));
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testUserCodeMayUseTheSameBuffer(\Closure $make): void
    {
        $buffer = $make($this);
        $rows = static function () use ($buffer): \Generator {
            yield ['id' => 1];
            $buffer->put('t', ['id' => 10]);
            $buffer->flush();
            yield ['id' => 2];
            self::assertSame(2, $buffer->putAll('t', [['id' => 20], ['id' => 21]]));
            $buffer->group(static function () use ($buffer): void {
                $buffer->put('t', ['id' => 30]);
            });
            yield ['id' => 3];
            $buffer->getMetrics();
        };
        $taken = $buffer->putAll('t', $rows(), static fn () => $buffer->putAll('t', [['id' => 40]]));
        self::assertSame(3, $taken);
        $buffer->flush();
        self::assertEqualsCanonicalizing([1, 10, 2, 20, 21, 30, 3, 40], array_column(self::rowsOf('t'), 'id'));
    }

    /**
     * @dataProvider buffers
     *
     * @param \Closure(self): Buffer $make
     */
    #[DataProvider('buffers')]
    public function testACloseWithinEndsIt(\Closure $make): void
    {
        $buffer = $make($this);
        $rows = static function () use ($buffer): \Generator {
            yield ['id' => 1];
            $buffer->close();
            yield ['id' => 2];
        };
        $thrown = self::thrownBy(static fn () => $buffer->putAll('t', $rows()));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertSame(1, $thrown->getTakenRows());
        self::assertInstanceOf(ClosedException::class, $thrown->getPrevious());
        self::assertSame([['id' => 1]], self::rowsOf('t'));
        $asked = false;
        $none = static function () use (&$asked): \Generator {
            $asked = true;
            yield ['id' => 1];
        };
        self::assertInstanceOf(ClosedException::class, self::thrownBy(static fn () => $buffer->putAll('t', $none())));
        self::assertFalse($asked);
    }
}
