<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/** Time, CPU time and memory of this process between two instants. */
final class Usage
{
    private readonly int $wallNs;

    private readonly int $threadNs;

    private readonly int $processUs;

    private readonly int $rssKib;

    private function __construct()
    {
        $this->rssKib = self::status('VmRSS');
        $this->threadNs = self::threadNs();
        $this->processUs = self::processUs();
        $this->wallNs = hrtime(true);
    }

    /** Starts to measure; the peak of memory counts from here. */
    public static function start(): self
    {
        // Makes VmHWM what VmRSS is now: https://man7.org/linux/man-pages/man5/proc.5.html
        file_put_contents('/proc/self/clear_refs', '5');

        return new self();
    }

    /**
     * @return array{
     *     elapsed_s: float,
     *     process_us: float,
     *     thread_us: float,
     *     rss_before_kib: int,
     *     rss_peak_kib: int
     * }
     */
    public function stop(): array
    {
        $wallNs = hrtime(true) - $this->wallNs;

        return [
            'elapsed_s' => $wallNs / 1e9,
            'process_us' => (float) (self::processUs() - $this->processUs),
            'thread_us' => (self::threadNs() - $this->threadNs) / 1e3,
            'rss_before_kib' => $this->rssKib,
            'rss_peak_kib' => self::status('VmHWM'),
        ];
    }

    /** CPU time of PHP's own thread. The kernel updates it when the thread gives up the CPU. */
    public static function threadNs(): int
    {
        usleep(1);

        return (int) strtok((string) file_get_contents('/proc/thread-self/schedstat'), ' ');
    }

    public static function rssKib(): int
    {
        return self::status('VmRSS');
    }

    private static function processUs(): int
    {
        $usage = getrusage();

        return ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) * 1_000_000
            + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
    }

    private static function status(string $name): int
    {
        if (preg_match("/^{$name}:\\s+(\\d+) kB/m", (string) file_get_contents('/proc/self/status'), $match) !== 1) {
            throw new RuntimeException("The kernel does not say {$name}.");
        }

        return (int) $match[1];
    }
}
