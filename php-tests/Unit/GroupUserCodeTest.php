<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DomainException;
use Fiber;
use Generator;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\Text;

/** What runs within group(), beside plain calls: fibers, generators, destructors. */
final class GroupUserCodeTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
        yield 'lanes' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true, lanes: 4)];
        yield 'sync' => [static fn (self $test, mixed ...$more) => $test->syncBuffer(...$more)];
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAFiberHasAGroupOfItsOwn(\Closure $make): void
    {
        $buffer = $make($this);
        $gatherer = static fn (int $first, bool $fails) => new Fiber(
            static fn () => $buffer->group(static function () use ($buffer, $first, $fails): int {
                $buffer->put('t', ['id' => $first]);
                Fiber::suspend();
                $buffer->group(static function () use ($buffer, $first): void {
                    Fiber::suspend();
                    $buffer->put('t', ['id' => $first + 1]);
                });
                self::assertNull($buffer->find('t', 6 - $first), 'of the other fiber');
                self::assertSame(['id' => $first], $buffer->find('t', $first));
                Fiber::suspend();
                if ($fails) {
                    throw new DomainException('in a fiber');
                }

                return $first;
            }),
        );
        [$one, $other, $dropped] = [$gatherer(1, false), $gatherer(5, true), $gatherer(20, false)];
        $written = static function () use ($buffer): array {
            $buffer->flush();

            return array_column(self::rowsOf('t'), 'id');
        };
        $buffer->group(static function () use ($buffer, $one, $other, $dropped, $written): void {
            $buffer->put('t', ['id' => 30]);
            foreach ([$one, $other, $dropped] as $fiber) {
                $fiber->start();
            }
            self::assertSame([], $written());
        });
        self::assertSame([30], $written(), 'the group of what is outside of all fibers');
        $one->resume();
        $other->resume();
        $buffer->put('t', ['id' => 31]);
        self::assertSame([30, 31], $written());
        $one->resume();
        $other->resume();
        $one->resume();
        self::assertSame(1, $one->getReturn());
        self::assertSame([30, 31, 1, 2], $written());
        self::assertInstanceOf(DomainException::class, self::thrownBy(static fn () => $other->resume()));
        self::assertSame([30, 31, 1, 2], $written());
        unset($dropped);
        gc_collect_cycles();
        $new = new Fiber(static fn () => $buffer->put('t', ['id' => 32]));
        $new->start();
        self::assertSame([30, 31, 1, 2, 32], $written(), 'a fiber that ends within group() leaves no group');
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testUserCodeThatRunsMeanwhileAddsToIt(\Closure $make): void
    {
        $buffer = $make($this);
        $add = static fn (int $id) => $buffer->put('t', ['id' => $id]);
        $rows = static function () use ($buffer, $add): Generator {
            $add(2);
            yield ['id' => 3];
            $buffer->group(static fn () => $add(4));
            yield ['id' => 5, 'v' => new Text(static function () use ($add): string {
                $add(6);

                return 'text';
            })];
        };
        $destroyed = static fn (int $id) => new class (static fn () => $add($id)) {
            public function __construct(private \Closure $act)
            {
            }

            public function __destruct()
            {
                ($this->act)();
            }
        };
        $gather = static function () use ($buffer, $add, $rows, $destroyed): object {
            $local = $destroyed(7);
            $add(1);
            $buffer->put('t', $rows());

            return $destroyed(8);
        };
        $thrown = self::thrownBy(static fn () => $buffer->group(static function () use ($gather): void {
            $gather();
            throw new DomainException();
        }));
        self::assertInstanceOf(DomainException::class, $thrown);
        $buffer->flush();
        self::assertSame([], MemorySink::tables());
        $returned = $buffer->group($gather);
        $buffer->flush();
        self::assertEqualsCanonicalizing(range(1, 7), array_column(self::rowsOf('t'), 'id'));
        unset($returned);
        $buffer->flush();
        self::assertEqualsCanonicalizing(range(1, 8), array_column(self::rowsOf('t'), 'id'));
    }

    /** A generator function runs nothing before its result is iterated. */
    public function testAGeneratorFunctionAddsNothing(): void
    {
        $buffer = $this->buffer();
        $rows = $buffer->group(static function () use ($buffer): Generator {
            $buffer->put('t', ['id' => 1]);
            yield 5;
        });
        self::assertInstanceOf(Generator::class, $rows);
        self::assertCount(0, $buffer);
        self::assertSame([5], iterator_to_array($rows));
        self::assertCount(1, $buffer);
    }

    public function testTheBufferMayGoMeanwhile(): void
    {
        $buffer = $this->buffer();
        $weak = \WeakReference::create($buffer);
        $returned = $buffer->group(static function () use (&$buffer): string {
            $buffer->put('t', ['id' => 1]);
            $buffer = null;
            gc_collect_cycles();

            return 'returned';
        });
        self::assertSame('returned', $returned);
        self::assertNull($weak->get());
        self::assertSame([['id' => 1]], self::rowsOf('t'));
    }
}
