<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Status;

use RuntimeException;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Files\OwnFile;

/**
 * Owns the folder of metrics for `write-buffer:status`. No process can ask another process's
 * buffer, so each buffer publishes its metrics in a file.
 *
 * Invariants: a file is replaced whole, so a reader never sees half of it. Folder and files can be
 * read by their user alone. What another user put there is neither read nor followed.
 *
 * Bounds: a buffer publishes at most once in PUBLISH_INTERVAL_S. The reader removes the files of
 * processes that have ended, within ENDED_KEPT_S.
 */
final class StatusFolder
{
    private const PUBLISH_INTERVAL_S = 1.0;
    private const ENDED_KEPT_S = 3_600;

    public function __construct(private readonly string $folder)
    {
    }

    /**
     * @param array<string, mixed> $metrics      of Buffer::getMetrics()
     * @param float                $now          seconds, of microtime()
     * @param bool                 $isPersistent whether its thread goes on when nobody publishes
     */
    public function publish(string $buffer, array $metrics, float $now, bool $isPersistent = false): void
    {
        $host = (string) gethostname();
        $file = "{$this->folder}/" . md5("{$host}:{$metrics['pid']}:{$buffer}") . '.json';
        $before = $this->read($file);
        // A clock that was set back does not keep it from publishing.
        $ageS = $now - ($before['time'] ?? 0.0);
        if ($ageS >= 0.0 && $ageS < self::PUBLISH_INTERVAL_S) {
            return;
        }
        $entry = [
            'host' => $host,
            'buffer' => $buffer,
            'time' => $now,
            'rows_per_s' => self::rate($before, $metrics, $now),
            'persistent' => $isPersistent,
            'metrics' => $metrics,
        ];
        $this->replace(
            $file,
            json_encode($entry, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PRESERVE_ZERO_FRACTION),
        );
    }

    /** @return array<string, mixed>|null what tell() was given last, by this process */
    public function told(string $buffer): ?array
    {
        $told = json_decode((string) OwnFile::text($this->toldFile($buffer)), true);

        return isset($told['process'], $told['refused'], $told['parked']) ? $told + ['last' => null] : null;
    }

    /**
     * Keeps what a process has told of a buffer that outlives its request.
     *
     * @param array<string, mixed> $told
     */
    public function tell(string $buffer, array $told): void
    {
        $this->replace($this->toldFile($buffer), json_encode($told, JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE));
    }

    private function toldFile(string $buffer): string
    {
        return "{$this->folder}/" . md5(gethostname() . ':' . getmypid() . ":{$buffer}") . '.told';
    }

    /** Replaces a file as a whole. */
    private function replace(string $file, string $text): void
    {
        if (!is_dir($this->folder) && !@mkdir($this->folder, 0700, true) && !is_dir($this->folder)) {
            $reason = error_get_last()['message'] ?? '';
            throw new RuntimeException("the folder {$this->folder} cannot be made: {$reason}");
        }
        $new = OwnFile::beside($file);
        if (@file_put_contents($new, $text) !== strlen($text) || !@rename($new, $file)) {
            $reason = error_get_last()['message'] ?? '';
            @unlink($new);
            throw new RuntimeException("{$file} cannot be written: {$reason}");
        }
    }

    /**
     * The buffers of processes that live, and of those that ended in the last hour with rows given
     * up or pending.
     *
     * @return list<array{
     *     host: string,
     *     buffer: string,
     *     time: float,
     *     rows_per_s: ?float,
     *     persistent: bool,
     *     lives: bool,
     *     metrics: array<string, mixed>
     * }>
     */
    public function all(): array
    {
        $entries = [];
        foreach (glob("{$this->folder}/*.json") ?: [] as $file) {
            $entry = $this->read($file);
            if ($entry === null) {
                continue;
            }
            $lives = $entry['host'] !== gethostname() || self::isAlive((int) $entry['metrics']['pid']);
            $hasNews = $entry['metrics'][Metrics::REFUSED] > 0 || $entry['metrics'][Metrics::PENDING] > 0;
            if (!$lives && (!$hasNews || microtime(true) - $entry['time'] > self::ENDED_KEPT_S)) {
                // Another reader may have removed it first.
                @unlink($file);
                continue;
            }
            $entries[] = ['lives' => $lives] + $entry + ['persistent' => false];
        }
        foreach (glob("{$this->folder}/*.told") ?: [] as $told) {
            $process = json_decode((string) OwnFile::text($told, self::owner($this->folder)), true)['process'] ?? '';
            if (!self::isAlive((int) $process)) {
                @unlink($told);
            }
        }
        foreach (glob("{$this->folder}/.*.{json,told}.*", GLOB_BRACE) ?: [] as $unfinished) {
            // A process that was killed while it wrote left it.
            if ((int) @filemtime($unfinished) < time() - self::ENDED_KEPT_S) {
                @unlink($unfinished);
            }
        }
        usort($entries, static fn (array $a, array $b): int => [$a['host'], $a['metrics']['pid'], $a['buffer']]
            <=> [$b['host'], $b['metrics']['pid'], $b['buffer']]);

        return $entries;
    }

    /**
     * @return array<string, mixed>|null null: the file was removed meanwhile, is another user's, or
     *                                   another version of this package wrote it
     */
    private function read(string $file): ?array
    {
        $entry = json_decode((string) OwnFile::text($file, self::owner($this->folder)), true);

        return isset($entry['host'], $entry['buffer'], $entry['time'], $entry['metrics']['pid']) ? $entry : null;
    }

    /** The folder's own user may be another one than an administrator who looks at it. */
    private static function owner(string $folder): ?int
    {
        $owner = @fileowner($folder);

        return $owner === false ? null : $owner;
    }

    /**
     * Rows committed a second since the buffer last published.
     *
     * @param array<string, mixed>|null $before
     * @param array<string, mixed>      $metrics
     */
    private static function rate(?array $before, array $metrics, float $now): ?float
    {
        if ($before === null || $now <= $before['time']) {
            return null;
        }
        $flushed = $metrics[Metrics::COMMITTED];
        $flushedBefore = $before['metrics'][Metrics::COMMITTED];
        // A new request's buffer counts from zero again.
        $new = $flushedBefore <= $flushed ? $flushed - $flushedBefore : $flushed;

        return $new / ($now - $before['time']);
    }

    private static function isAlive(int $pid): bool
    {
        return is_dir('/proc/self') ? is_dir("/proc/{$pid}") : !function_exists('posix_kill') || posix_kill($pid, 0);
    }
}
