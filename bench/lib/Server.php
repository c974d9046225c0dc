<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/** The throwaway server's process. */
final class Server
{
    /** The kernel counts CPU time in hundredths of a second here. */
    private const TICK_US = 10_000;

    public static function pid(): int
    {
        return (int) getenv('DB_SERVER_PID');
    }

    /** The CPU time of all its threads so far, in the kernel and outside, in microseconds. */
    public static function cpuUs(): int
    {
        $fields = self::fields('/proc/' . self::pid() . '/stat');

        return ((int) $fields[11] + (int) $fields[12]) * self::TICK_US;
    }

    /** The CPU time of one of its threads so far. */
    public static function threadNs(int $thread): int
    {
        return (int) strtok((string) file_get_contents('/proc/' . self::pid() . "/task/{$thread}/schedstat"), ' ');
    }

    /** Stops all its threads. To a client it is a machine that hangs. */
    public static function stop(): void
    {
        register_shutdown_function([self::class, 'continue']);
        posix_kill(self::pid(), SIGSTOP);
        // A thread that runs at this moment runs on until the kernel interrupts it.
        while (self::isRunning()) {
            usleep(100);
        }
    }

    public static function continue(): void
    {
        posix_kill(self::pid(), SIGCONT);
    }

    private static function isRunning(): bool
    {
        foreach (glob('/proc/' . self::pid() . '/task/*/stat') ?: [] as $file) {
            if (self::fields($file)[0] !== 'T') {
                return true;
            }
        }

        return false;
    }

    /** @return list<string> what stands behind the name, which may have spaces: first the state */
    private static function fields(string $file): array
    {
        $stat = (string) file_get_contents($file);
        $end = strrpos($stat, ')');
        if ($end === false) {
            throw new RuntimeException("The kernel does not say {$file}.");
        }

        return explode(' ', substr($stat, $end + 2));
    }
}
