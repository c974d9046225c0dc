<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DomainException;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use ValueError;
use WriteBuffer\Buffer;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** What a caller calls a group comes back in its failure. */
final class TagsTest extends MemoryTestCase
{
    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
        yield 'lanes' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true, lanes: 4)];
    }

    /**
     * All rows of `trades` have the key that is there, so each group is refused.
     *
     * @return array<int, ?string> the tags of the failures, by the number that their first row has
     */
    private static function tagsOf(Buffer $buffer): array
    {
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        $tags = [];
        foreach ($buffer->takeFailures() as $failure) {
            $tags[$failure['rows'][0]['row']['n']] = $failure['tag'];
        }
        ksort($tags);

        return $tags;
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testEachFailureHasItsOwn(\Closure $make): void
    {
        $buffer = $make($this);
        $buffer->put('trades', ['id' => 1]);
        $buffer->flush();
        $refused = static fn (int $n): array => ['id' => 1, 'n' => $n];
        $buffer->put('trades', $refused(1), 'one');
        $buffer->put('trades', $refused(2));
        $buffer->put('log', ['id' => 1], 'of a group that is written');
        $buffer->add(null, $refused(3));
        $buffer->put('trades', $refused(4), '');
        $buffer->put('trades', $refused(5), "\u{20ac} \" \\ \n");
        $buffer->put('trades', $refused(6), tag: null);
        $buffer->group(static fn () => $buffer->add(null, $refused(7)), 'a group');
        $buffer->group(static fn () => $buffer->put('trades', $refused(8), 'inside'));
        $buffer->group(static fn () => $buffer->put('trades', $refused(9), 'inside'), 'outside');
        $buffer->group(static function () use ($buffer, $refused): void {
            $buffer->put('trades', $refused(10));
            $buffer->group(static fn () => $buffer->put('log', ['id' => 2], 'third'), 'second');
            $buffer->delete('log', 3, 'fourth');
        });
        $buffer->group(static function () use ($buffer, $refused): void {
            self::thrownBy(static fn () => $buffer->group(static function () use ($buffer): never {
                $buffer->put('log', ['id' => 4], 'dropped too');
                throw new DomainException('dropped');
            }, 'dropped'));
            $buffer->put('trades', $refused(11), 'stays');
        });
        self::assertSame(
            [
                1 => 'one', 2 => null, 3 => null, 4 => '', 5 => "\u{20ac} \" \\ \n", 6 => null, 7 => 'a group', 8 => 'inside',
                9 => 'outside', 10 => 'second', 11 => 'stays',
            ],
            self::tagsOf($buffer),
        );
    }

    /** Put back, refused again: it has the tag still. */
    public function testAFailureKeepsItWhenItIsPutBack(): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'write-buffer-tags-');
        try {
            $buffer = $this->buffer(background: false, deadLetterFile: $file);
            $buffer->put('trades', ['id' => 1]);
            $buffer->flush();
            $buffer->put('trades', ['id' => 1, 'n' => 1], 'order 7');
            $buffer->put('trades', ['id' => 1, 'n' => 2]);
            self::thrownBy(static fn () => $buffer->flush());
            self::assertSame(2, $buffer->retry($buffer->takeFailures()));
            self::assertSame([1 => 'order 7', 2 => null], self::tagsOf($buffer));
            $lines = array_map(static fn (string $line): array => json_decode($line, true), file($file));
            self::assertSame(['order 7', null, 'order 7', null], array_column($lines, 'tag'));
            self::assertSame(2, $buffer->retry(array_slice($lines, 2)));
            self::assertSame([1 => 'order 7', 2 => null], self::tagsOf($buffer));
        } finally {
            unlink($file);
        }
    }

    public function testADeletionHasOneToo(): void
    {
        $buffer = $this->buffer(background: false, tables: ['t' => ['key' => ['a', 'b']]]);
        $sync = $this->syncBuffer();
        $sync->delete('t', 1, 'nobody hears of it');
        $sync->put('t', ['id' => 1], 'nobody hears of it');
        self::assertSame(1, $buffer->delete('t', ['a' => 1, 'b' => 2], 'a deletion'));
        \WriteBuffer\MemorySink::failNext(1451);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame('a deletion', $thrown->getFailures()[0]['tag'] ?? null, (string) $thrown);
        $buffer->takeFailures();
    }

    public function testRefusesWhatIsNoTag(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $class = $buffer::class;
            foreach (["\xff", str_repeat('x', 1_001)] as $tag) {
                $wrong = static fn (string $method, int $number): string => "{$class}::{$method}(): Argument #{$number} (\$tag)"
                    . ' must be UTF-8, and at most 1000 bytes long';
                self::assertThrows(ValueError::class, $wrong('put', 3), static fn () => $buffer->put('t', ['id' => 1], $tag));
                self::assertThrows(ValueError::class, $wrong('delete', 3), static fn () => $buffer->delete('t', 1, $tag));
                self::assertThrows(
                    ValueError::class,
                    $wrong('group', 2),
                    static fn () => $buffer->group(static fn () => self::fail('it runs'), $tag),
                );
            }
            self::assertInstanceOf(TypeError::class, self::thrownBy(static fn () => $buffer->put('t', ['id' => 1], [])));
            self::assertSame(0, $buffer->lastTicket());
            self::assertSame(1, $buffer->put('t', ['id' => 1], str_repeat('x', 1_000)));
        }
    }
}
