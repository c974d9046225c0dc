<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Facades;

use Illuminate\Support\Facades\Facade;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Testing\BufferManagerFake;

/**
 * The buffers of config/write-buffer.php. A buffer's methods are called on the default buffer.
 *
 * @method static \WriteBuffer\Buffer buffer(?string $name = null)
 * @method static void purge(?string $name = null)
 * @method static int add(mixed $order, mixed $trade = null)
 * @method static int put(string $table, mixed $row, ?string $tag = null)
 * @method static int putAll(string $table, iterable $rows, ?callable $progress = null)
 * @method static int delete(string $table, mixed $key, ?string $tag = null)
 * @method static mixed group(callable $rows, ?string $tag = null)
 * @method static array|false|null find(string $table, mixed $key)
 * @method static int flush(?int $timeoutMs = null)
 * @method static int flushAll(?int $timeoutMs = null)
 * @method static int lastTicket()
 * @method static int committedThrough()
 * @method static void waitFor(int $ticket, ?int $timeoutMs = null)
 * @method static bool isFull()
 * @method static array getMetrics()
 * @method static int count()
 * @method static array failures()
 * @method static array takeFailures()
 * @method static int retry(array $failures)
 * @method static void close(?int $timeoutMs = null)
 * @method static BufferManagerFake withSchema()
 * @method static BufferManagerFake withoutSchema()
 * @method static void assertBuffered(string $table, array|\Closure|int|null $expected = null)
 * @method static void assertNotBuffered(string $table, array|\Closure|null $unexpected = null)
 * @method static void assertBufferedCount(int $count, ?string $table = null)
 * @method static void assertNothingBuffered()
 * @method static void assertDeleted(string $table, array|\Closure|int|string|null $key = null)
 * @method static void assertNotDeleted(string $table, array|\Closure|int|string|null $key = null)
 * @method static void assertGrouped(array $expected)
 * @method static void assertFlushed(?int $times = null)
 * @method static void assertNotFlushed()
 *
 * @see BufferManager
 * @see BufferManagerFake
 */
final class WriteBuffer extends Facade
{
    /**
     * Replaces all buffers by fakes, which write nothing; also those that are injected from now on.
     */
    public static function fake(): BufferManagerFake
    {
        $fake = new BufferManagerFake(static::getFacadeApplication());
        static::swap($fake);

        return $fake;
    }

    protected static function getFacadeAccessor(): string
    {
        return BufferManager::class;
    }
}
