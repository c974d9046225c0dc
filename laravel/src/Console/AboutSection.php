<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Contracts\Container\Container;
use Illuminate\Foundation\Console\AboutCommand;
use WriteBuffer\Laravel\Buffers\BufferSettings;

/** Owns the section in `php artisan about`, a command that Laravel has since 9.21. */
final class AboutSection
{
    public static function register(Container $container): void
    {
        if (class_exists(AboutCommand::class)) {
            AboutCommand::add('Write Buffer', static fn (): array => self::lines($container));
        }
    }

    /** @return array<string, string> */
    public static function lines(Container $container): array
    {
        $config = $container->make('config');
        $lines = ['Extension' => phpversion('write_buffer') ?: 'not loaded'];
        foreach ((array) $config->get('write-buffer.buffers') as $name => $buffer) {
            $place = isset($buffer['dsn'])
                ? 'its own DSN'
                : ($buffer['connection'] ?? $config->get('database.default'));
            $label = "Buffer {$name}" . ($name === $config->get('write-buffer.default') ? ' (default)' : '');
            $lines[ConsoleText::of($label)] = ConsoleText::of(BufferSettings::driver($buffer) . " / {$place}");
        }

        return $lines;
    }
}
