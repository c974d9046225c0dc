<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;
use WriteBuffer\Tests\Support\Proxies;

/**
 * User code within `putAll()` may end its call or its process at any row: what came before is
 * written once, and nothing hangs. A server that is away ends the call.
 */
final class PutAllTest extends ProcessTestCase
{
    use Proxies;

    protected function tearDown(): void
    {
        $this->stopProxies();
        parent::tearDown();
    }

    /** @return iterable<string, array{string, string, string, list<int>}> see ConversionTest */
    private static function deeds(): iterable
    {
        yield 'nothing' => ['', 'took 4', 'exit 0', [1, 2, 3, 4]];
        yield 'throws' => ['throw new DomainException("no");', 'DomainException: no', 'exit 0', [1, 2]];
        yield 'triggers a fatal error' => ['trigger_error("the end", E_USER_ERROR);', '', 'exit 255', [1, 2]];
        yield 'exhausts memory_limit' => [
            'ini_set("memory_limit", "16M"); $x = str_repeat("x", 1 << 28);',
            '',
            'exit 255',
            [1, 2],
        ];
        yield 'runs out of time' => ['set_time_limit(1); while (true) { strlen("x"); }', '', 'exit 255', [1, 2]];
        yield 'exits' => ['exit(3);', '', 'exit 3', [1, 2]];
        yield 'exits after a row that was skipped' => ['yield "no row"; exit(3);', '', 'exit 3', [1, 2]];
        yield 'fills the same buffer' => [
            'Child::add($buffer, 20, 60);',
            'took 4',
            'exit 0',
            [1, 2, 3, 4, ...range(20, 60)],
        ];
        yield 'flushes the same buffer' => ['$buffer->flush();', 'took 4', 'exit 0', [1, 2, 3, 4]];
        yield 'closes the same buffer' => [
            '$buffer->close();',
            'WriteBuffer\IncompleteException: putAll() took 2 rows; row 3 ended it: the buffer is closed',
            'exit 0',
            [1, 2],
        ];
        yield 'unsets the only variable of the buffer' => ['unset($GLOBALS["buffer"]);', 'took 4', 'exit 0', [1, 2, 3, 4]];
        yield 'replaces the buffer' => ['$buffer = Child::buffer();', 'took 4', 'exit 0', [1, 2, 3, 4]];
        yield 'forks, and the child goes on' => [
            'if (($pid = pcntl_fork()) > 0) { pcntl_waitpid($pid, $status); throw new DomainException("the child did"); }',
            'took 4',
            'exit 0',
            [1, 2, 3, 4],
        ];
        yield 'forks, and the child ends' => [
            'if (($pid = pcntl_fork()) === 0) { exit(0); } pcntl_waitpid($pid, $status);',
            'took 4',
            'exit 0',
            [1, 2, 3, 4],
        ];
    }

    /** @return iterable<string, array{string, string, string, list<int>, bool}> */
    public static function deedsInBothModes(): iterable
    {
        foreach (self::deeds() as $name => $deed) {
            yield "{$name}, background" => [...$deed, true];
            yield "{$name}, foreground" => [...$deed, false];
        }
    }

    /**
     * @dataProvider deedsInBothModes
     *
     * @param list<int> $ids
     */
    #[DataProvider('deedsInBothModes')]
    public function testUserCodeWithinMayDoAnything(
        string $deed,
        string $said,
        string $ending,
        array $ids,
        bool $background,
    ): void {
        $begin = sprintf('$buffer = Child::buffer(background: %s);', var_export($background, true));
        $child = $this->start($begin . sprintf(<<<'PHP'
            $rows = static function () {
                global $buffer;
                yield Child::order(1);
                yield Child::order(2);
                %s
                yield Child::order(3);
                yield Child::order(4);
            };
            try {
                $taken = $buffer->putAll(Child::ORDERS, $rows());
                Child::say("took {$taken}");
            } catch (Throwable $thrown) {
                Child::say($thrown::class . ': ' . $thrown->getMessage());
            }
            PHP, $deed));
        self::assertSame($ending, $child->finish(60), $child->describe());
        if ($said === '') {
            self::assertSame('', $child->said(), $child->describe());
        } else {
            self::assertStringContainsString($said, $child->said(), $child->describe());
        }
        $rows = $this->pdo()->query('SELECT id, n FROM wb_process_orders ORDER BY id')->fetchAll(\PDO::FETCH_KEY_PAIR);
        self::assertSame(array_fill_keys($ids, 1), array_map('intval', $rows), $child->describe());
    }

    public function testAServerThatIsNeverThereEndsIt(): void
    {
        $port = $this->reservePort();
        $dsn = str_replace(':' . self::setting('DB_PORT') . '/', ":{$port}/", $this->dsn(), $count);
        self::assertSame(1, $count);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], flushIntervalMs: 1, shutdownTimeoutMs: 300, maxPendingRows: 30,
                overflow: 'throw', overflowTimeoutMs: 200);
            $rows = static function () {
                for ($id = 1; true; $id++) {
                    yield Child::order($id);
                }
            };
            try {
                $buffer->putAll(Child::ORDERS, $rows());
            } catch (WriteBuffer\IncompleteException $e) {
                Child::report('taken', $e->getTakenRows());
                Child::report('cause', [$e->getPrevious()::class, $e->getPrevious()->getMessage()]);
            }
            PHP, [$dsn]);
        self::assertSame('exit 0', $child->finish(), $child->describe());
        self::assertSame(30, $child->reported('taken'));
        self::assertSame('WriteBuffer\FullException', $child->reported('cause')[0]);
        self::assertStringContainsString('the buffer is full', $child->reported('cause')[1]);
    }

    /** Memory stays flat while a real server takes the rows. */
    public function testManyRowsInFlatMemory(): void
    {
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(batchSize: 1000, maxPendingRows: 5000, flushIntervalMs: 50, overflowTimeoutMs: 60000);
            $rows = static function () {
                for ($id = 1; $id <= 200_000; $id++) {
                    yield Child::order($id);
                }
            };
            $peak = 0;
            $taken = $buffer->putAll(Child::ORDERS, $rows(), static function () use (&$peak) {
                preg_match('/VmRSS:\s+(\d+)/', file_get_contents('/proc/self/status'), $found);
                $peak = max($peak, (int) $found[1]);
            });
            $buffer->close();
            Child::report('taken', $taken);
            Child::report('memory', memory_get_peak_usage());
            Child::report('mib', intdiv($peak, 1024));
            PHP);
        self::assertSame('exit 0', $child->finish(), $child->describe());
        self::assertSame(200_000, $child->reported('taken'));
        self::assertLessThan(2 << 20, $child->reported('memory'));
        self::assertLessThan(150, $child->reported('mib'));
        $rows = $this->pdo()->query('SELECT COUNT(*), SUM(n), MAX(id) FROM wb_process_orders')->fetch(\PDO::FETCH_NUM);
        self::assertSame([200_000, 200_000, 200_000], array_map('intval', $rows));
    }
}
