<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Rows\RowReader;

/** What config/write-buffer.php has, as parameters. */
final class BufferSettingsTest extends TestCase
{
    public function testBytesMayHaveAUnit(): void
    {
        foreach (['64M' => 64 << 20, '1g' => 1 << 30, '2k' => 2_048, '4096' => 4_096] as $text => $bytes) {
            $config = ['max_pending_bytes' => (string) $text];
            self::assertSame($bytes, BufferSettings::of($config, new RowReader())['maxPendingBytes']);
            self::assertSame($bytes, BufferSettings::ofPhp($config, new RowReader())['maxPendingBytes']);
        }
        foreach ([['max_pending_bytes', '64T'], ['max_pending_rows', '64M'], ['batch_size', '1k']] as [$key, $wrong]) {
            try {
                BufferSettings::of([$key => $wrong], new RowReader());
                self::fail("{$key} took {$wrong}");
            } catch (ConfigException $e) {
                self::assertStringContainsString('must be a whole number', $e->getMessage());
            }
        }
    }

    public function testTheDriverPhpHasWhatPhpIniSays(): void
    {
        if (!extension_loaded('write_buffer')) {
            self::fail('the extension write_buffer is not loaded: run the tests with `make test-laravel`');
        }
        $before = [ini_get('write_buffer.max_pending_bytes'), ini_get('write_buffer.time_zone')];
        try {
            ini_set('write_buffer.max_pending_bytes', '32M');
            ini_set('write_buffer.time_zone', 'UTC');
            $settings = BufferSettings::ofPhp([], new RowReader());
            self::assertSame([32 << 20, 'UTC'], [$settings['maxPendingBytes'], $settings['timeZone']]);
            self::assertSame('+02:00', BufferSettings::ofPhp(['time_zone' => '+02:00'], new RowReader())['timeZone']);
        } finally {
            ini_set('write_buffer.max_pending_bytes', (string) $before[0]);
            ini_set('write_buffer.time_zone', (string) $before[1]);
        }
    }
}
