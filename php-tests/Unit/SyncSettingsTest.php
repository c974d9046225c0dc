<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\MemorySink;
use WriteBuffer\Overflow;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\TooLargeException;

/** SyncWriteBuffer takes WriteBuffer's arguments, and heeds those that mean something to it. */
final class SyncSettingsTest extends MemoryTestCase
{
    public function testBothClassesHaveTheSameParameters(): void
    {
        [$buffered, $synchronous] = array_map(
            static fn (string $class): array => array_map(
                static fn (\ReflectionParameter $parameter): string => (string) $parameter,
                (new \ReflectionMethod($class, '__construct'))->getParameters(),
            ),
            [\WriteBuffer::class, \SyncWriteBuffer::class],
        );
        self::assertSame($buffered, $synchronous);
        self::assertCount(27, $synchronous);
    }

    public function testIgnoresWhatHasNoMeaningForIt(): void
    {
        $file = sys_get_temp_dir() . '/wb-ignored-' . bin2hex(random_bytes(6)) . '.jsonl';
        $buffer = $this->syncBuffer(
            batchSize: 2,
            flushIntervalMs: 1,
            background: true,
            overflow: Overflow::Throw,
            overflowTimeoutMs: 0,
            shutdownTimeoutMs: 1,
            lanes: 64,
            routeBy: 'symbol',
            persistent: 'name',
            deadLetterFile: $file,
            parkTimeoutMs: 1,
            journal: $file,
            journalSync: 'always',
            journalSyncMs: 1,
            journalMaxBytes: PHP_INT_MAX,
        );
        $settings = static fn (\SyncWriteBuffer $of): array => array_diff_key($of->__debugInfo(), ['metrics' => 0]);
        self::assertSame($settings($this->syncBuffer()), $settings($buffer));
        $buffer->put('t', ['id' => 1]);
        self::assertSame([['id' => 1]], self::rowsOf('t'), 'the row is committed at once');
        MemorySink::failNext(1062);
        self::assertThrowsMatching(RefusedException::class, '/simulated/', static fn () => $buffer->put('t', ['id' => 2]), 1062);
        self::assertFileDoesNotExist($file);
        self::assertSame(1, $buffer->getMetrics()['lanes']);
    }

    public function testHeedsTheBoundsOfOneCall(): void
    {
        $buffer = $this->syncBuffer(maxPendingRows: 2);
        $buffer->add([['id' => 1], ['id' => 2]]);
        self::assertThrowsMatching(
            TooLargeException::class,
            '/maxPendingRows/',
            static fn () => $buffer->add([['id' => 3], ['id' => 4], ['id' => 5]]),
        );
        $small = $this->syncBuffer(maxPendingBytes: 1_024);
        self::assertThrowsMatching(
            TooLargeException::class,
            '/maxPendingBytes/',
            static fn () => $small->add(['id' => 3, 'text' => str_repeat('x', 2_048)]),
        );
        self::assertSame([['id' => 1], ['id' => 2]], self::rowsOf('orders'));
    }

    /**
     * @return iterable<string, array{array<string, mixed>}> what WriteBuffer refuses of the
     *         arguments that SyncWriteBuffer ignores
     */
    public static function wrongArguments(): iterable
    {
        yield 'batchSize' => [['batchSize' => 0]];
        yield 'flushIntervalMs' => [['flushIntervalMs' => 0]];
        yield 'an unknown overflow' => [['background' => true, 'overflow' => 'drop']];
        yield 'overflow in the foreground' => [['background' => false, 'overflow' => 'block']];
        yield 'overflowTimeoutMs' => [['background' => true, 'overflowTimeoutMs' => -1]];
        yield 'overflowTimeoutMs in the foreground' => [['background' => false, 'overflowTimeoutMs' => 1]];
        yield 'shutdownTimeoutMs' => [['shutdownTimeoutMs' => 0]];
        yield 'lanes' => [['background' => true, 'lanes' => 65]];
        yield 'lanes in the foreground' => [['background' => false, 'lanes' => 2]];
        yield 'routeBy' => [['background' => true, 'routeBy' => "\xff"]];
        yield 'persistent in the foreground' => [['background' => false, 'persistent' => 'name']];
        yield 'deadLetterFile' => [['deadLetterFile' => '/tmp']];
        yield 'parkTimeoutMs' => [['parkTimeoutMs' => -1]];
        yield 'journal' => [['background' => true, 'journal' => "/tmp/a\0b"]];
        yield 'journal in the foreground' => [['background' => false, 'journal' => '/tmp/journal']];
        yield 'journalSync' => [['background' => true, 'journalSync' => 'often']];
        yield 'journalSync in the foreground' => [['background' => false, 'journalSync' => 'none']];
        yield 'journalSyncMs' => [['background' => true, 'journalSyncMs' => 0]];
        yield 'journalMaxBytes' => [['background' => true, 'journalMaxBytes' => (4 << 23) - 1]];
    }

    /**
     * @dataProvider wrongArguments
     *
     * @param array<string, mixed> $arguments
     */
    #[DataProvider('wrongArguments')]
    public function testRefusesWhatWriteBufferRefuses(array $arguments): void
    {
        $arguments += ['dsn' => 'memory:'];
        $refusal = self::thrownBy(static fn () => new \WriteBuffer(...$arguments));
        self::assertInstanceOf(ConfigException::class, $refusal);
        self::assertThrows(
            ConfigException::class,
            $refusal->getMessage(),
            static fn () => new \SyncWriteBuffer(...$arguments),
        );
    }

    /** @return iterable<string, array{string, mixed}> */
    public static function wrongTypes(): iterable
    {
        foreach ((new \ReflectionMethod(\WriteBuffer::class, '__construct'))->getParameters() as $parameter) {
            yield $parameter->getName() => [$parameter->getName(), new \stdClass()];
        }
    }

    /**
     * @dataProvider wrongTypes
     */
    #[DataProvider('wrongTypes')]
    public function testRefusesTheTypesThatWriteBufferRefuses(string $name, mixed $value): void
    {
        $refusal = self::thrownBy(static fn () => new \WriteBuffer(...[$name => $value]));
        self::assertInstanceOf(\TypeError::class, $refusal);
        self::assertThrows(
            \TypeError::class,
            'Sync' . $refusal->getMessage(),
            static fn () => new \SyncWriteBuffer(...[$name => $value]),
        );
    }

    /** What php.ini has there is for other buffers. */
    public function testDoesNotLookAtWhatPhpIniHasForOthers(): void
    {
        $output = PhpProcess::run(
            '$buffer = new SyncWriteBuffer("memory:"); $buffer->put("t", ["id" => 1]); echo "written";'
                . 'try { new WriteBuffer("memory:"); } catch (WriteBuffer\ConfigException $e) { echo ", refused"; }',
            ['write_buffer.batch_size' => 'none', 'write_buffer.overflow' => 'none', 'write_buffer.lanes' => '65'],
        );
        self::assertSame('written, refused', $output);
    }
}
