<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Status;

use RuntimeException;

/**
 * What the buffers of this machine's processes said of themselves, for `write-buffer:status`: no process can ask another one's
 * buffer. Each buffer has a file, which is replaced, so that a reader never sees half of one.
 *
 * Bounds: a buffer writes at most once in PUBLISH_INTERVAL_S; files of processes that have ended are removed by the reader.
 */
final class StatusFolder
{
    private const PUBLISH_INTERVAL_S = 1.0;
    private const ENDED_KEPT_S = 3_600;

    public function __construct(private readonly string $folder)
    {
    }

    /** @param array<string, mixed> $metrics of Buffer::getMetrics() */
    public function publish(string $buffer, array $metrics): void
    {
        $host = (string) gethostname();
        $file = "{$this->folder}/" . md5("{$host}:{$metrics['pid']}:{$buffer}") . '.json';
        $now = microtime(true);
        $before = is_file($file) ? self::read($file) : null;
        if ($before !== null && $now - $before['time'] < self::PUBLISH_INTERVAL_S && $now >= $before['time']) {
            return;
        }
        $entry = [
            'host' => $host,
            'buffer' => $buffer,
            'time' => $now,
            'rows_per_s' => self::rate($before, $metrics, $now),
            'metrics' => $metrics,
        ];
        $new = "{$file}." . getmypid();
        if (!is_dir($this->folder) && !@mkdir($this->folder, 0755, true) && !is_dir($this->folder)) {
            throw new RuntimeException("the folder {$this->folder} cannot be made: " . (error_get_last()['message'] ?? ''));
        }
        $text = json_encode($entry, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PRESERVE_ZERO_FRACTION);
        if (@file_put_contents($new, $text) !== strlen($text) || !@rename($new, $file)) {
            throw new RuntimeException("{$file} cannot be written: " . (error_get_last()['message'] ?? ''));
        }
    }

    /**
     * The buffers of processes that live, and of those that ended with something to tell in the last hour.
     *
     * @return list<array{host: string, buffer: string, time: float, rows_per_s: ?float, lives: bool, metrics: array<string, mixed>}>
     */
    public function all(): array
    {
        $entries = [];
        foreach (glob("{$this->folder}/*.json") ?: [] as $file) {
            $entry = self::read($file);
            if ($entry === null) {
                continue;
            }
            $lives = $entry['host'] !== gethostname() || self::isAlive((int) $entry['metrics']['pid']);
            $hasNews = $entry['metrics']['failed_rows'] > 0 || $entry['metrics']['pending_rows'] > 0;
            if (!$lives && (!$hasNews || microtime(true) - $entry['time'] > self::ENDED_KEPT_S)) {
                // Another reader may have been first.
                @unlink($file);
                continue;
            }
            $entries[] = ['lives' => $lives] + $entry;
        }
        usort($entries, static fn (array $a, array $b): int => [$a['host'], $a['metrics']['pid'], $a['buffer']]
            <=> [$b['host'], $b['metrics']['pid'], $b['buffer']]);

        return $entries;
    }

    /** @return array<string, mixed>|null null: it went while we looked, or is of another version of this package */
    private static function read(string $file): ?array
    {
        $entry = json_decode((string) @file_get_contents($file), true);

        return is_array($entry) && isset($entry['host'], $entry['buffer'], $entry['time'], $entry['metrics']['pid']) ? $entry : null;
    }

    /**
     * Rows committed a second since the last word.
     *
     * @param array<string, mixed>|null $before
     * @param array<string, mixed>      $metrics
     */
    private static function rate(?array $before, array $metrics, float $now): ?float
    {
        if ($before === null || $now <= $before['time']) {
            return null;
        }
        // A request's buffer counts from zero again.
        $flushedBefore = $before['metrics']['total_flushed'] <= $metrics['total_flushed'] ? $before['metrics']['total_flushed'] : 0;

        return ($metrics['total_flushed'] - $flushedBefore) / ($now - $before['time']);
    }

    private static function isAlive(int $pid): bool
    {
        return is_dir('/proc/self') ? is_dir("/proc/{$pid}") : !function_exists('posix_kill') || posix_kill($pid, 0);
    }
}
