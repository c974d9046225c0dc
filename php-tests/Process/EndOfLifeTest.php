<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\Extension;

/**
 * However a process ends, unless a signal kills it, what it has added is in the database. That is
 * what is being written, what waits in full batches, and what is in the open one.
 */
final class EndOfLifeTest extends ProcessTestCase
{
    /** An odd number, so that the last batch is open at the end. */
    private const ORDERS = 11;

    /**
     * @return iterable<string, array{string, string, string}> PHP code, how the process ends, and a
     *         part of what PHP says
     */
    private static function endings(): iterable
    {
        yield 'the end of the script' => ['', 'exit 0', ''];
        yield 'unset' => ['unset($buffer); posix_kill(getmypid(), SIGKILL);', 'signal 9', ''];
        yield 'null in its place' => ['$buffer = null; posix_kill(getmypid(), SIGKILL);', 'signal 9', ''];
        yield 'the end of its function' => [
            '(static function () { $inner = $GLOBALS["buffer"]; unset($GLOBALS["buffer"]); })();'
                . ' posix_kill(getmypid(), SIGKILL);',
            'signal 9',
            '',
        ];
        yield 'a cycle, collected' => [
            '$cycle = new stdClass(); $cycle->self = $cycle; $cycle->buffer = $buffer; unset($cycle, $buffer);'
                . ' gc_collect_cycles(); posix_kill(getmypid(), SIGKILL);',
            'signal 9',
            '',
        ];
        yield 'a cycle, not collected' => [
            '$cycle = new stdClass(); $cycle->self = $cycle; $cycle->buffer = $buffer; unset($cycle, $buffer);',
            'exit 0',
            '',
        ];
        yield 'a static variable' => [
            'function keep($it) { static $kept; $kept = $it; } keep($buffer); unset($buffer);',
            'exit 0',
            '',
        ];
        yield 'exit' => ['exit(3);', 'exit 3', ''];
        yield 'exit in a loop' => ['while (true) { foreach ([1, 2] as $n) { if ($n === 2) { exit(3); } } }', 'exit 3', ''];
        yield 'exit in array_map' => ['array_map(static function () { exit(3); }, [1]);', 'exit 3', ''];
        yield 'exit in usort' => ['$a = [2, 1]; usort($a, static function () { exit(3); });', 'exit 3', ''];
        yield 'exit in preg_replace_callback' => [
            'preg_replace_callback("/a/", static function () { exit(3); }, "a");',
            'exit 3',
            '',
        ];
        yield 'exit in a shutdown function' => [
            'register_shutdown_function(static function () { exit(3); });',
            'exit 3',
            '',
        ];
        yield 'exit in an output callback' => [
            'ob_start(static function ($text) { exit(3); }); ob_end_flush();',
            'exit 3',
            '',
        ];
        yield 'exit in a destructor' => [
            'class E { public function __destruct() { exit(3); } } $e = new E(); unset($e);',
            'exit 3',
            '',
        ];
        yield 'exit in a destructor at the end' => [
            'class E { public function __destruct() { exit(3); } } $e = new E();',
            'exit 3',
            '',
        ];
        yield 'exit in a generator' => [
            '$g = (static function () { yield 1; exit(3); })(); foreach ($g as $n) { continue; }',
            'exit 3',
            '',
        ];
        yield 'exit in a fiber' => ['(new Fiber(static function () { exit(3); }))->start();', 'exit 3', ''];
        yield 'a suspended fiber that holds it' => [
            '$f = new Fiber(static function ($kept) { Fiber::suspend(); }); $f->start($buffer); unset($buffer);',
            'exit 0',
            '',
        ];
        yield 'exit in an error handler' => [
            'set_error_handler(static function () { exit(3); }); echo $undefined;',
            'exit 3',
            '',
        ];
        yield 'exit in an exception handler' => [
            'set_exception_handler(static function () { exit(3); }); throw new Exception("x");',
            'exit 3',
            '',
        ];
        yield 'an uncaught exception' => ['throw new Exception("the end");', 'exit 255', 'Uncaught Exception: the end'];
        yield 'an uncaught exception that holds it' => [
            'class H extends Exception { public $held; } $h = new H("the end"); $h->held = $buffer; unset($buffer); throw $h;',
            'exit 255',
            'the end',
        ];
        yield 'an uncaught error in a callback' => [
            'array_map(static function () { undefined_function(); }, [1]);',
            'exit 255',
            'Uncaught Error',
        ];
        yield 'a user error' => ['@trigger_error("x"); trigger_error("the end", E_USER_ERROR);', 'exit 255', 'the end'];
        yield 'memory_limit' => [
            'ini_set("memory_limit", "16M"); $x = str_repeat("x", 1 << 28);',
            'exit 255',
            'Allowed memory size',
        ];
        yield 'memory_limit in a callback' => [
            'ini_set("memory_limit", "16M"); array_map(static function () { $x = []; while (true) { $x[] = "x"; } }, [1]);',
            'exit 255',
            'Allowed memory size',
        ];
        yield 'max_execution_time' => [
            'set_time_limit(1); while (true) { $x = ($x ?? 0) + 1; }',
            'exit 255',
            'Maximum execution time',
        ];
        yield 'max_execution_time in a callback' => [
            'set_time_limit(1); array_map(static function () { while (true) { strlen("x"); } }, [1]);',
            'exit 255',
            'Maximum execution time',
        ];
        yield 'a compile error' => ['eval("class A extends stdClass implements stdClass {}");', 'exit 255', 'Fatal error'];
        yield 'a handler that exits on SIGTERM' => [
            'pcntl_async_signals(true); pcntl_signal(SIGTERM, static function () { exit(3); });'
                . ' posix_kill(getmypid(), SIGTERM); while (true) { usleep(1000); }',
            'exit 3',
            '',
        ];
        yield 'a handler that exits on SIGINT' => [
            'pcntl_async_signals(true); pcntl_signal(SIGINT, static function () { exit(3); });'
                . ' posix_kill(getmypid(), SIGINT); while (true) { usleep(1000); }',
            'exit 3',
            '',
        ];
    }

    /** @return iterable<string, array{string, string, string, bool}> */
    public static function endingsOfBothKinds(): iterable
    {
        foreach (self::endings() as $name => $ending) {
            yield "{$name}, background" => [...$ending, true];
            yield "{$name}, foreground" => [...$ending, false];
        }
    }

    /**
     * @dataProvider endingsOfBothKinds
     */
    #[DataProvider('endingsOfBothKinds')]
    public function testTheEndWritesWhatWasAdded(string $code, string $ending, string $complaint, bool $background): void
    {
        $begin = sprintf(
            '$buffer = Child::buffer(background: %s); Child::add($buffer, 1, %d); Child::say("added");' . "\n",
            var_export($background, true),
            self::ORDERS,
        );
        $child = $this->start($begin . $code);
        self::assertSame($ending, $child->finish(), $child->describe());
        self::assertSame("added\n", $child->said(), $child->describe());
        if ($complaint === '') {
            self::assertSame('', $child->complained(), $child->describe());
        } else {
            self::assertStringContainsString($complaint, $child->complained(), $child->describe());
            self::assertStringNotContainsString('WriteBuffer', $child->complained(), $child->describe());
        }
        $this->assertOrders(range(1, self::ORDERS), $child);
    }

    public function testSeveralBuffersAllWrite(): void
    {
        $child = $this->runToItsEnd(<<<'PHP'
            $buffers = [];
            for ($id = 1; $id <= 20; $id++) {
                $buffers[$id] = Child::buffer(background: $id % 2 === 0);
                Child::add($buffers[$id], $id);
            }
            PHP);
        $this->assertOrders(range(1, 20), $child, 'id');
    }

    /** @return iterable<string, array{string}> */
    public static function deadServers(): iterable
    {
        yield 'at the end' => ['exit(0);'];
        yield 'at unset' => ['unset($buffer); exit(0);'];
        yield 'after a fatal error' => ['ini_set("memory_limit", "16M"); str_repeat("x", 1 << 28);'];
    }

    /**
     * @dataProvider deadServers
     */
    #[DataProvider('deadServers')]
    public function testTheEndIsBoundedWhenTheServerHangs(string $end): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(shutdownTimeoutMs: 300);
            Child::add($buffer, 1);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::add($buffer, 2, 12);

            PHP . $end);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        // It ends while the server is stopped, because its time is over.
        $child->finish();
        self::assertMatchesRegularExpression(
            '/Warning: +WriteBuffer: lost 33 buffered rows: \S+ did not take them within 300 ms: it has not answered /',
            $child->complained(),
            $child->describe(),
        );
        $this->continueDatabase();
        $this->awaitNoConnections();
        // What is said to be lost is not committed afterwards.
        $this->assertOrders([1], $child);
    }

    /**
     * A thread may still run when PHP unloads its extensions, so its code must stay where it is.
     */
    public function testTheLibraryIsNeverUnloaded(): void
    {
        exec('readelf -d ' . escapeshellarg((string) Extension::file()) . ' 2>&1', $lines, $status);
        self::assertSame(0, $status, implode("\n", $lines));
        self::assertMatchesRegularExpression('/FLAGS_1.*\bNODELETE\b/', implode("\n", $lines));
    }

    public function testAHundredThousandOrdersWithTradesAreThereAfterExit(): void
    {
        // No pause and no flush(). The buffer's bound holds add() back, and the end writes what is
        // left. The last order fills no batch, so it is left however fast the server is.
        $child = $this->runToItsEnd(<<<'PHP'
            $buffer = Child::buffer(batchSize: 1_000, overflowTimeoutMs: 60_000);
            Child::add($buffer, 1, 100_001);
            Child::report('pending', count($buffer));
            exit(0);
            PHP);
        self::assertGreaterThan(0, $child->reported('pending'), 'nothing was left for the end to write');
        $this->assertOrders(range(1, 100_001), $child);
    }
}
