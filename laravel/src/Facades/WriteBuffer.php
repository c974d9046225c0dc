<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Facades;

use Illuminate\Support\Facades\Facade;
use WriteBuffer\Laravel\BufferManager;

/**
 * The buffers of config/write-buffer.php; methods of a buffer go to the default one.
 *
 * @method static \WriteBuffer\Buffer buffer(?string $name = null)
 * @method static void purge(?string $name = null)
 * @method static void add(mixed $order, mixed $trade = null)
 * @method static void put(string $table, mixed $row)
 * @method static array|null find(string $table, mixed $key)
 * @method static int flush(?int $timeoutMs = null)
 * @method static bool isFull()
 * @method static array getMetrics()
 * @method static int count()
 * @method static array takeFailures()
 * @method static int retry(array $failures)
 * @method static void close(?int $timeoutMs = null)
 *
 * @see BufferManager
 */
final class WriteBuffer extends Facade
{
    protected static function getFacadeAccessor(): string
    {
        return BufferManager::class;
    }
}
