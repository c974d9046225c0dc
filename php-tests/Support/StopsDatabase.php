<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** Stops and continues the server's process, and ends the sessions of buffers: for a {@see DatabaseTestCase}. */
trait StopsDatabase
{
    /**
     * Stops the server's process, as a machine that hangs does, until {@see continueDatabase()} or the test's end.
     * When it returns, no thread of the server runs: nothing is answered or committed from now on.
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

    /** A killed process's transaction, and one of a failed test, would keep the tables from being dropped. */
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
            // The name, in parentheses, may hold anything.
            $state = substr((string) strrchr((string) @file_get_contents($file), ')'), 2, 1);
            if ($state !== 'T' && $state !== '') {
                $running[] = $state;
            }
        }

        return $running;
    }
}
