<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** However a process ends, unless a signal kills it, what it has buffered is in the database. */
final class ProcessEndTest extends DatabaseTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v VARCHAR(20)');
        $this->createTable('wb_trades', 'id INT PRIMARY KEY');
    }

    /**
     * @return iterable<string, array{string, string|null}> the end of a script, and a part of what
     *         PHP says
     */
    public static function ends(): iterable
    {
        yield 'the last line' => ['', null];
        yield 'unset' => ['unset($buffer);', null];
        yield 'exit' => ['exit(0);', null];
        yield 'exit in a function' => ['(static function (): void { exit; })();', null];
        yield 'exit in a destructor' => [
            'class E { public function __destruct() { exit; } } $e = new E(); unset($e);',
            null,
        ];
        yield 'exit in __toString() during add()' => [
            'class T { public function __toString(): string { exit; } } $buffer->add(["id" => 9, "v" => new T()]);',
            null,
        ];
        yield 'an uncaught exception' => ['throw new Exception("the end");', 'Uncaught Exception: the end'];
        yield 'an uncaught error' => ['undefined_function();', 'Uncaught Error'];
        yield 'an exception in a generator during add()' => [
            '$buffer->add((function () { yield ["id" => 9]; throw new Exception("in it"); })());',
            'Uncaught Exception: in it',
        ];
        yield 'out of memory' => [
            'ini_set("memory_limit", "16M"); $x = str_repeat("x", 1 << 28);',
            'Allowed memory size',
        ];
        yield 'out of memory during add()' => [
            'ini_set("memory_limit", "16M"); class T { public function __toString(): string '
                . '{ return str_repeat("x", 1 << 28); } } $buffer->add(["id" => 9, "v" => new T()]);',
            'Allowed memory size',
        ];
        yield 'out of time' => ['set_time_limit(1); while (true) { $x = ($x ?? 0) + 1; }', 'Maximum execution time'];
        yield 'a compile error' => ['eval("class A extends stdClass implements stdClass {}");', 'Fatal error'];
        yield 'a reference in a global' => ['$GLOBALS["cycle"] = [&$buffer, &$GLOBALS["cycle"]];', null];
        yield 'a static variable' => ['function keep($b) { static $kept; $kept = $b; } keep($buffer); unset($buffer);', null];
    }

    /**
     * @dataProvider ends
     */
    #[DataProvider('ends')]
    public function testTheEndWritesWhatIsBuffered(string $end, ?string $said): void
    {
        $begin = <<<'PHP'
            $buffer = new WriteBuffer(
                $argv[1],
                orderTable: 'wb_orders',
                tradeTable: 'wb_trades',
                flushIntervalMs: 3_600_000,
                shutdownTimeoutMs: 60_000,
            );
            $buffer->add(['id' => 1, 'v' => 'first'], [['id' => 10], ['id' => 11]]);
            $buffer->add(['id' => 2, 'v' => 'second']);

            PHP;
        $output = PhpProcess::run($begin . $end, [], [$this->dsn()]);
        if ($said === null) {
            self::assertSame('', $output);
        } else {
            self::assertStringContainsString($said, $output);
            self::assertStringNotContainsString('are lost', $output);
        }
        self::assertSame(
            [['id' => '1', 'v' => 'first'], ['id' => '2', 'v' => 'second']],
            $this->rows('wb_orders'),
        );
        self::assertSame(['10', '11'], array_column($this->rows('wb_trades', '*', '1'), 'id'));
    }

    public function testAForkedChildLeavesItsParentAlone(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('the extension pcntl is not there');
        }
        $output = PhpProcess::run(
            <<<'PHP'
                $buffer = new WriteBuffer(
                    $argv[1],
                    orderTable: 'wb_orders',
                    tradeTable: 'wb_trades',
                    flushIntervalMs: 3_600_000,
                    shutdownTimeoutMs: 60_000,
                );
                $buffer->add(['id' => 1, 'v' => 'parent']);
                $buffer->flush();
                $buffer->add(['id' => 2, 'v' => 'parent']);
                $children = [];
                foreach ([3, 4] as $id) {
                    if (($child = pcntl_fork()) === 0) {
                        if ($id === 3) {
                            $buffer->add(['id' => 3, 'v' => 'child']);
                        }
                        // The other child never touches its buffer.
                        exit(0);
                    }
                    $children[] = $child;
                }
                foreach ($children as $child) {
                    pcntl_waitpid($child, $status);
                    echo pcntl_wifexited($status) ? pcntl_wexitstatus($status) : 'killed', "\n";
                }
                $buffer->add(['id' => 5, 'v' => 'parent']);
                echo $buffer->flush(), " rows, ", $buffer->getMetrics()['reconnects'], " reconnects\n";
                PHP,
            [],
            [$this->dsn()],
        );
        self::assertSame("0\n0\n2 rows, 0 reconnects\n", $output);
        self::assertSame(
            ['1' => 'parent', '2' => 'parent', '3' => 'child', '5' => 'parent'],
            array_column($this->rows('wb_orders'), 'v', 'id'),
        );
    }
}
