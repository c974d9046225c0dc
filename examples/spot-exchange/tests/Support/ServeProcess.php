<?php

declare(strict_types=1);

namespace Tests\Support;

use RuntimeException;

/**
 * Owns `php artisan serve` on a free port of this machine, with several workers, until stop() or
 * the end of this process. A mark in the environment tells which processes it has started.
 */
final class ServeProcess
{
    private const TIMEOUT_S = 60.0;
    private const MARK = 'EXCHANGE_TEST_SERVER';
    private const PORTS_TRIED = 5;

    /** @var resource|null */
    private $process = null;

    private string $mark;

    private string $log;

    private int $port = 0;

    public function __construct(int $workers)
    {
        $this->mark = bin2hex(random_bytes(8));
        $this->log = sys_get_temp_dir() . "/exchange-serve-{$this->mark}.log";
        register_shutdown_function($this->kill(...));
        // Another program may take the port first.
        for ($attempt = 1; !$this->start($workers); $attempt++) {
            $log = $this->log();
            $this->kill();
            if ($attempt === self::PORTS_TRIED) {
                throw new RuntimeException("the server does not start: {$log}");
            }
        }
    }

    public function __destruct()
    {
        $this->kill();
    }

    public function port(): int
    {
        return $this->port;
    }

    /** Its output, for the message of a failed assertion. */
    public function log(): string
    {
        return substr((string) @file_get_contents($this->log), -4_000);
    }

    /** Stops the server as Ctrl-C does. The command sees that, and ends too. Waits for both. */
    public function stop(): void
    {
        $this->interrupt() ?: throw new RuntimeException("it runs on: {$this->log()}");
    }

    /** Kills it and all processes that it started. */
    public function kill(): void
    {
        if ($this->process === null) {
            return;
        }
        $this->interrupt();
        // A process may have started another one just before it was killed.
        while (($pids = $this->processes()) !== []) {
            foreach ($pids as $pid) {
                posix_kill($pid, SIGKILL);
            }
            usleep(1_000);
        }
        proc_close($this->process);
        $this->process = null;
        @unlink($this->log);
    }

    private function interrupt(): bool
    {
        foreach (array_diff($this->processes(), [proc_get_status($this->process)['pid']]) as $pid) {
            posix_kill($pid, SIGINT);
        }

        return $this->await(fn (): bool => $this->processes() === []);
    }

    private function start(int $workers): bool
    {
        $this->port = self::freePort();
        $output = ['file', $this->log, 'a'];
        $this->process = proc_open(
            [PHP_BINARY, 'artisan', 'serve', "--port={$this->port}"],
            [['file', '/dev/null', 'r'], $output, $output],
            $pipes,
            dirname(__DIR__, 2),
            // Messages go into the responses, not into the application's log.
            ['APP_DEBUG' => 'true', 'LOG_CHANNEL' => 'null', 'WRITE_BUFFER_STATUS' => 'false', 'EXCHANGE_LOCK_TIMEOUT_S' => '60']
                + ['PHP_CLI_SERVER_WORKERS' => (string) $workers, self::MARK => $this->mark] + getenv(),
        ) ?: throw new RuntimeException('cannot start another process');

        return $this->await(fn (): bool => !$this->isRunning() || HttpConnection::isServed($this->port))
            && $this->isRunning();
    }

    private function isRunning(): bool
    {
        return $this->process !== null && proc_get_status($this->process)['running'];
    }

    /** @return list<int> the command, its server, and the server's workers */
    private function processes(): array
    {
        $pids = [];
        foreach (glob('/proc/[0-9]*/environ') ?: [] as $file) {
            // A process that has ended, and was not waited for, has none.
            if (str_contains((string) @file_get_contents($file), self::MARK . "={$this->mark}")) {
                $pids[] = (int) explode('/', $file)[2];
            }
        }

        return $pids;
    }

    private function await(callable $condition): bool
    {
        $deadline = hrtime(true) + self::TIMEOUT_S * 1e9;
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                return false;
            }
            usleep(5_000);
        }

        return true;
    }

    private static function freePort(): int
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0') ?: throw new RuntimeException('no free port');
        $port = (int) substr((string) strrchr((string) stream_socket_get_name($listener, false), ':'), 1);
        fclose($listener);

        return $port;
    }
}
