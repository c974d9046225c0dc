<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\TooLargeException;

/** A group is refused as soon as it passes the bounds, and before its memory is taken. */
final class GroupBoundsTest extends MemoryTestCase
{
    private const MIB = 1 << 20;

    /** More than PHP, the bound, a copy and one string take, and a third of what is given. */
    private const MOST_MIB = 400;

    /** @return iterable<string, array{string}> how the buffer is made */
    public static function buffers(): iterable
    {
        yield 'background' => ["new WriteBuffer(dsn: 'memory:', background: true)"];
        yield 'foreground' => ["new WriteBuffer(dsn: 'memory:', background: false)"];
        yield 'sync' => ["new SyncWriteBuffer(dsn: 'memory:')"];
    }

    /**
     * @dataProvider buffers
     *
     * @testdox References to one string are refused where they pass the bound: $_dataName
     */
    #[DataProvider('buffers')]
    public function testReferencesAreRefusedWhereTheyPassTheBound(string $buffer): void
    {
        $output = PhpProcess::run("\$buffer = {$buffer};" . <<<'PHP'
            $text = str_repeat('x', 50 << 20);
            $list = $wide = [];
            for ($id = 0; $id < 24; $id++) {
                $list[] = ['id' => $id, 'text' => &$text];
                $wide["c{$id}"] = &$text;
            }
            foreach ([$list, $wide + ['id' => 1]] as $rows) {
                try {
                    $buffer->add($rows);
                    echo "taken\n";
                } catch (WriteBuffer\TooLargeException) {
                    echo "refused\n";
                }
            }
            preg_match('/VmHWM:\s+(\d+)/', file_get_contents('/proc/self/status'), $peak);
            echo intdiv((int) $peak[1], 1024);
            PHP, ['memory_limit' => '192M']);
        self::assertMatchesRegularExpression("/^refused\nrefused\n\d+$/D", $output);
        self::assertLessThan(self::MOST_MIB, (int) substr($output, strlen("refused\nrefused\n")));
    }

    /** @return iterable<string, array{\Closure(self): Buffer}> */
    public static function boundedBuffers(): iterable
    {
        yield 'background' => [static fn (self $test) => $test->buffer(background: true, maxPendingRows: 1_000)];
        yield 'foreground' => [static fn (self $test) => $test->buffer(background: false, maxPendingRows: 1_000)];
    }

    /**
     * @param \Closure(self): Buffer $make
     *
     * @dataProvider boundedBuffers
     */
    #[DataProvider('boundedBuffers')]
    public function testAGeneratorIsReadNoFurtherThanTheBound(\Closure $make): void
    {
        $buffer = $make($this);
        $yielded = 0;
        $endless = static function () use (&$yielded): \Generator {
            try {
                for (;;) {
                    yield ['id' => ++$yielded];
                }
            } finally {
                $yielded = -$yielded;
            }
        };
        self::assertThrowsMatching(
            TooLargeException::class,
            '/^the group does not fit into the buffer \(maxPendingRows is 1000, .*, the group has 1001 rows and /',
            static fn () => $buffer->put('t', $endless()),
        );
        self::assertGreaterThan(1_000, -$yielded, 'the generator has ended');
        self::assertLessThan(1_100, -$yielded);
        self::assertCount(0, $buffer);
    }

    public function testAGeneratorsRowsAreTakenInTheirOrder(): void
    {
        $buffer = $this->buffer(batchSize: 1_000);
        $buffer->put('t', (static function (): \Generator {
            for ($id = 1; $id <= 300; $id++) {
                yield 'any key' => ['id' => $id];
            }
        })());
        $buffer->flush();
        self::assertSame(range(1, 300), array_column(MemorySink::tables()['t'], 'id'));
    }

    public function testARowThatCannotBeTakenEndsAGenerator(): void
    {
        $buffer = $this->buffer();
        $ended = false;
        $rows = static function () use (&$ended): \Generator {
            try {
                yield ['id' => 1];
                yield 'no row';
                yield from array_fill(0, 1_000, ['id' => 2]);
            } finally {
                $ended = true;
            }
        };
        self::assertThrowsMatching(
            \TypeError::class,
            '/must be a list of rows: an element is string/',
            static fn () => $buffer->put('t', $rows()),
        );
        self::assertTrue($ended);
        self::assertCount(0, $buffer);
    }

    public function testSyncWriteBufferTakesItsBoundsFromPhpIni(): void
    {
        $output = PhpProcess::run(<<<'PHP'
            $buffer = new SyncWriteBuffer(dsn: 'memory:');
            $buffer->put('t', [['id' => 1], ['id' => 2], ['id' => 3]]);
            try {
                $buffer->put('t', [['id' => 1], ['id' => 2], ['id' => 3], ['id' => 4]]);
            } catch (WriteBuffer\TooLargeException $e) {
                echo $e->getMessage(), "\n";
            }
            echo count(WriteBuffer\MemorySink::tables()['t']);
            PHP, ['write_buffer.max_pending_rows' => '3', 'write_buffer.max_pending_bytes' => '4096']);
        self::assertMatchesRegularExpression(
            "/^the group is too large \(maxPendingRows is 3, maxPendingBytes 4096; "
                . "the group has 4 rows and \d+ bytes\): add fewer rows at once, or raise the bound\n3$/D",
            $output,
        );
    }

    public function testALargeGroupsMemoryIsGivenBack(): void
    {
        $output = PhpProcess::run(<<<'PHP'
            $rss = static function (): int {
                preg_match('/VmRSS:\s+(\d+)/', file_get_contents('/proc/self/status'), $now);
                return intdiv((int) $now[1], 1024);
            };
            $buffer = new WriteBuffer(dsn: 'memory:', background: false, maxPendingBytes: 1 << 30);
            $text = str_repeat('x', 1 << 20);
            $buffer->put('t', ['id' => 1, 'text' => $text]);
            $buffer->flush();
            $before = $rss();
            $buffer->put('t', array_fill(0, 64, ['id' => 1, 'text' => $text]));
            $buffer->flush();
            echo $rss() - $before;
            PHP);
        self::assertMatchesRegularExpression('/^-?\d+$/D', $output);
        // 64 MiB were taken twice.
        self::assertLessThan(32, (int) $output);
    }

    public function testRetryTakesNoMoreThanTheBoundsAtOnce(): void
    {
        $output = PhpProcess::run(<<<'PHP'
            $most = static function (): int {
                preg_match('/VmHWM:\s+(\d+)/', file_get_contents('/proc/self/status'), $most);
                return intdiv((int) $most[1], 1024);
            };
            $failure = ['rows' => [['table' => 't', 'row' => ['id' => 1, 'text' => str_repeat('x', 1 << 20)]]]];
            $buffer = new WriteBuffer(dsn: 'memory:', background: false, maxPendingBytes: 3 << 20);
            $buffer->retry([$failure, $failure, $failure]);
            $before = $most();
            echo $buffer->retry(array_fill(0, 256, $failure)), ' ', $most() - $before;
            PHP);
        self::assertMatchesRegularExpression('/^256 \d+$/D', $output);
        // The rows of all are 256 MiB.
        self::assertLessThan(64, (int) substr($output, 4));
    }
}
