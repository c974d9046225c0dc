<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** Stops and continues the server of a test, and ends the sessions of buffers. */
trait StopsDatabase
{
    /**
     * Stops the server's process until {@see continueDatabase()} or the test's end. To a client it
     * is a machine that hangs. No thread of the server runs when this returns, so the server
     * answers and commits nothing from then on.
     */
    protected function stopDatabase(): void
    {
        register_shutdown_function($this->continueDatabase(...));
        $pid = self::serverPid();
        self::assertTrue(posix_kill($pid, SIGSTOP));
        // A thread that runs at this moment runs on until the kernel interrupts it.
        self::await('a server whose every thread is stopped', static fn (): bool => self::runningThreads($pid) === []);
    }

    protected function continueDatabase(): void
    {
        if (getenv('DB_SERVER_PID') !== false) {
            posix_kill(self::serverPid(), SIGCONT);
        }
    }

    /**
     * The transaction of a killed process, or of a failed test, would keep its locks, and the
     * tables could not be dropped.
     */
    private function endConnections(): void
    {
        if (getenv('DB_SERVER_PID') === false) {
            return;
        }
        foreach ($this->bufferConnections() as $id) {
            try {
                $this->admin()->exec("KILL {$id}");
            } catch (\PDOException) {
                // It has gone by itself.
            }
        }
    }

    /** @return list<string> the state letters of a process's threads that are not stopped */
    private static function runningThreads(int $pid): array
    {
        $running = [];
        foreach (glob("/proc/{$pid}/task/*/stat") ?: [] as $file) {
            // The name is in parentheses, and may contain any character.
            $state = substr((string) strrchr((string) @file_get_contents($file), ')'), 2, 1);
            if ($state !== 'T' && $state !== '') {
                $running[] = $state;
            }
        }

        return $running;
    }
}
