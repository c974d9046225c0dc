<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use WriteBuffer\ConfigException;

/** Owns what config/write-buffer.php may have at its top level, beside the buffers themselves. */
final class PackageSettings
{
    private const FLUSH_TIMEOUT_MS = 5_000;

    private const FLUSH_AFTER = ['request', 'redirect', 'job', 'worker', 'task', 'command'];

    /**
     * @param mixed $config `write-buffer` of Laravel's configuration
     *
     * @throws ConfigException the first of problems()
     */
    public static function check(#[\SensitiveParameter] mixed $config): void
    {
        foreach (self::problems($config) as $problem) {
            throw new ConfigException($problem);
        }
    }

    /**
     * @param mixed $config `write-buffer` of Laravel's configuration
     *
     * @return iterable<string> what is wrong, and what to do about it
     */
    public static function problems(#[\SensitiveParameter] mixed $config): iterable
    {
        $config = (array) $config;
        $elsewhere = array_fill_keys(BufferSettings::known(), 'to a buffer, below `buffers`')
            + array_fill_keys(self::FLUSH_AFTER, 'below `flush_after`');
        foreach (self::unknown($config, UnknownSetting::OF_FILE) as $unknown) {
            yield UnknownSetting::message('config/write-buffer.php', $unknown, UnknownSetting::OF_FILE, $elsewhere);
        }
        $flushAfter = $config['flush_after'] ?? [];
        if (!is_array($flushAfter)) {
            yield 'flush_after in config/write-buffer.php must be an array of ' . implode(', ', self::FLUSH_AFTER)
                . ', each true or false, not ' . get_debug_type($flushAfter);
        } else {
            foreach (self::unknown($flushAfter, self::FLUSH_AFTER) as $unknown) {
                yield UnknownSetting::message('flush_after in config/write-buffer.php', $unknown, self::FLUSH_AFTER);
            }
        }
        // An empty variable of the environment is none.
        $timeoutMs = $config['flush_timeout_ms'] ?? '';
        if ($timeoutMs !== '' && filter_var($timeoutMs, FILTER_VALIDATE_INT, ['options' => ['min_range' => 0]]) === false) {
            yield 'flush_timeout_ms in config/write-buffer.php must be a whole number of milliseconds, not '
                . (is_scalar($timeoutMs) ? var_export($timeoutMs, true) : get_debug_type($timeoutMs));
        }
        $status = $config['status'] ?? false;
        if ($status !== false && !is_string($status)) {
            yield 'status in config/write-buffer.php must be the path of a folder, or false, not '
                . (is_scalar($status) ? var_export($status, true) : get_debug_type($status));
        }
    }

    /**
     * How long the flush at an end of work may take, for each buffer.
     *
     * @param mixed $configured `flush_timeout_ms`
     */
    public static function flushTimeoutMs(mixed $configured): int
    {
        return $configured === null || $configured === '' ? self::FLUSH_TIMEOUT_MS : (int) $configured;
    }

    /**
     * @param array<mixed> $config
     * @param list<string> $known
     *
     * @return list<string>
     */
    private static function unknown(#[\SensitiveParameter] array $config, array $known): array
    {
        return array_values(array_diff(array_map('strval', array_keys($config)), $known));
    }
}
