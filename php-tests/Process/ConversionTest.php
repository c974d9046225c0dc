<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * `add()` itself runs PHP code: accessors and `__toString()`. That code may throw, end the process,
 * or use the same buffer. What was added before is written, a group is taken whole or not at all,
 * and nothing hangs.
 */
final class ConversionTest extends ProcessTestCase
{
    /**
     * The two kinds of user code that `add()` runs. `%s` is what it does before it returns its
     * value.
     */
    private const WAYS = [
        '__toString' => <<<'PHP'
            class Evil {
                public function __toString(): string { global $buffer; %s return 'order 8'; }
            }
            $evil = ['id' => 8, 'v' => new Evil(), 'n' => 1];

            PHP,
        'getAttributes' => <<<'PHP'
            class Evil {
                public function getAttributes(): array {
                    global $buffer; %s return ['id' => 8, 'v' => 'order 8', 'n' => 1];
                }
                public function getTable() { return Child::ORDERS; }
                public function getKeyName() { return 'id'; }
            }
            $evil = new Evil();

            PHP,
        'a generator' => <<<'PHP'
            $evil = (static function () { global $buffer; %s yield ['id' => 8, 'v' => 'order 8', 'n' => 1]; })();

            PHP,
    ];

    /**
     * @return iterable<string, array{string, string, string, list<int>}> what the code does, what
     *         the process says, how it ends, and the orders that are there then, beside those added
     *         before
     */
    private static function deeds(): iterable
    {
        yield 'nothing' => ['', 'taken', 'exit 0', [8]];
        yield 'throws' => ['throw new DomainException("no");', 'DomainException: no', 'exit 0', []];
        yield 'triggers a fatal error' => ['trigger_error("the end", E_USER_ERROR);', '', 'exit 255', []];
        yield 'exhausts memory_limit' => [
            'ini_set("memory_limit", "16M"); $x = str_repeat("x", 1 << 28);',
            '',
            'exit 255',
            [],
        ];
        yield 'runs out of time' => ['set_time_limit(1); while (true) { strlen("x"); }', '', 'exit 255', []];
        yield 'exits' => ['exit(3);', '', 'exit 3', []];
        yield 'adds to the same buffer' => ['Child::add($buffer, 7);', 'taken', 'exit 0', [7, 8]];
        yield 'fills the same buffer' => ['Child::add($buffer, 6, 7); Child::add($buffer, 20, 60);', 'taken', 'exit 0', [
            6, 7, 8, ...range(20, 60),
        ]];
        yield 'adds to the same buffer, and throws' => [
            'Child::add($buffer, 7); throw new DomainException("no");',
            'DomainException: no',
            'exit 0',
            [7],
        ];
        yield 'adds to the same buffer, and exits' => ['Child::add($buffer, 7); exit(3);', '', 'exit 3', [7]];
        yield 'flushes the same buffer' => ['$buffer->flush();', 'taken', 'exit 0', [8]];
        yield 'closes the same buffer' => ['$buffer->close();', 'WriteBuffer\ClosedException', 'exit 0', []];
        yield 'asks the same buffer' => [
            '$buffer->find(Child::ORDERS, 8); $buffer->getMetrics(); count($buffer); $buffer->takeFailures();',
            'taken',
            'exit 0',
            [8],
        ];
        yield 'unsets the only variable of the buffer' => ['unset($GLOBALS["buffer"]);', 'taken', 'exit 0', [8]];
        yield 'unsets the only variable of the buffer, and throws' => [
            'unset($GLOBALS["buffer"]); throw new DomainException("no");',
            'DomainException: no',
            'exit 0',
            [],
        ];
        yield 'unsets the only variable of the buffer, and exits' => ['unset($GLOBALS["buffer"]); exit(3);', '', 'exit 3', []];
        yield 'replaces the buffer' => [
            '$buffer = Child::buffer(); Child::add($buffer, 7);',
            'taken',
            'exit 0',
            [7, 8],
        ];
        yield 'collects cycles' => ['gc_collect_cycles();', 'taken', 'exit 0', [8]];
    }

    /** @return iterable<string, array{string, string, string, string, list<int>, bool}> */
    public static function deedsOnAllWays(): iterable
    {
        foreach (self::WAYS as $way => $code) {
            foreach (self::deeds() as $name => $deed) {
                yield "{$way} {$name}, background" => [$code, ...$deed, true];
                // Without a thread one kind of user code for each is enough.
                if ($way === '__toString') {
                    yield "{$way} {$name}, foreground" => [$code, ...$deed, false];
                }
            }
        }
    }

    /**
     * @dataProvider deedsOnAllWays
     *
     * @param list<int> $ids
     */
    #[DataProvider('deedsOnAllWays')]
    public function testUserCodeDuringAddMayDoAnything(
        string $way,
        string $deed,
        string $said,
        string $ending,
        array $ids,
        bool $background,
    ): void {
        $begin = sprintf('$buffer = Child::buffer(background: %s);', var_export($background, true));
        $child = $this->start($begin . sprintf($way, $deed) . <<<'PHP'
            Child::add($buffer, 1, 5);
            try {
                $buffer->add($evil, Child::trades(8));
                Child::say('taken');
            } catch (Throwable $thrown) {
                Child::say($thrown::class . ': ' . $thrown->getMessage());
            }
            PHP);
        self::assertSame($ending, $child->finish(20), $child->describe());
        if ($said === '') {
            self::assertSame('', $child->said(), $child->describe());
        } else {
            self::assertStringStartsWith($said, $child->said(), $child->describe());
        }
        self::assertStringNotContainsString('WriteBuffer:', $child->complained(), $child->describe());
        $this->assertOrders([1, 2, 3, 4, 5, ...$ids], $child, 'id');
    }
}
