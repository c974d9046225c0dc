<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

use RuntimeException;

/**
 * The test's own php-fpm: one static pool on a unix socket, with all files in a temporary folder.
 * It ends with the test process, however that ends.
 */
final class FpmServer
{
    /** Nothing here takes as long, even on one slow processor with load beside. */
    public const TIMEOUT_S = 120.0;

    private const READY = 'ready to handle connections';

    /** @var resource|null */
    private $process;

    private string $folder;

    private int $pid;

    private ?string $ending = null;

    /** @param array<string, int|string> $pool pool directives, such as `pm.max_requests` */
    public function __construct(string $binary, ?string $extension, array $pool = [])
    {
        $this->folder = sys_get_temp_dir() . '/write-buffer-fpm.' . bin2hex(random_bytes(6));
        mkdir($this->folder, 0o700);
        $this->writePhpIni($extension);
        $this->writeConfiguration($pool);
        // The kernel ends it when the test process dies. php-fpm is in another session, and would
        // stay.
        $command = ['setpriv', '--pdeathsig', 'TERM', $binary, '-F', '-y', $this->file('fpm.conf')];
        array_push($command, '-c', $this->file('php.ini'));
        if (posix_geteuid() === 0) {
            $command[] = '-R';
        }
        $environment = getenv();
        if ($extension !== null) {
            // The machine's ini files may load an installed copy of the extension.
            $environment['PHP_INI_SCAN_DIR'] = '';
        }
        $output = ['file', $this->file('output.log'), 'a'];
        $process = proc_open($command, [['file', '/dev/null', 'r'], $output, $output], $pipes, null, $environment);
        if ($process === false) {
            throw new RuntimeException('cannot start php-fpm');
        }
        $this->process = $process;
        $this->pid = proc_get_status($process)['pid'];
        register_shutdown_function($this->kill(...));
        try {
            $this->awaitReady(1);
        } catch (RuntimeException $failed) {
            $log = $this->log();
            $this->kill();
            throw new RuntimeException("{$failed->getMessage()}\n{$log}");
        }
    }

    /** The master's process id. */
    public function pid(): int
    {
        return $this->pid;
    }

    public function socket(): string
    {
        return $this->file('fpm.sock');
    }

    /** A path in the server's folder. The folder is removed with the server. */
    public function file(string $name): string
    {
        return "{$this->folder}/{$name}";
    }

    /** Waits until it has reported this many times that it is ready: once a start or reload. */
    public function awaitReady(int $times): void
    {
        $this->await("php-fpm to be ready, {$times} times", fn (): bool => $this->readyCount() >= $times);
    }

    public function readyCount(): int
    {
        return substr_count((string) @file_get_contents($this->file('fpm.log')), self::READY);
    }

    /** Sends a signal to the master process. */
    public function signal(int $signal): void
    {
        if ($this->ending() !== null || !posix_kill($this->pid, $signal)) {
            throw new RuntimeException("no php-fpm to send signal {$signal} to");
        }
    }

    /**
     * Asks the master to stop gracefully, and waits. Returns how it ended: `exit 0`, `signal 9`.
     */
    public function stop(): string
    {
        $this->signal(SIGQUIT);

        return $this->awaitEnd();
    }

    /** Waits until the master has ended. Returns how, as {@see stop()} does. */
    public function awaitEnd(): string
    {
        $this->await('the end of php-fpm', fn (): bool => $this->ending() !== null);

        return (string) $this->ending();
    }

    /** @return list<int> the process ids of the workers, those on their way out included */
    public function workers(): array
    {
        $workers = [];
        foreach (glob('/proc/[0-9]*/stat') ?: [] as $file) {
            // "pid (name) state ppid …". The name may contain any character.
            $stat = (string) @file_get_contents($file);
            $fields = explode(' ', substr($stat, (int) strrpos($stat, ')') + 2));
            if ((int) ($fields[1] ?? 0) === $this->pid && $fields[0] !== 'Z') {
                $workers[] = (int) explode('/', $file)[2];
            }
        }

        return $workers;
    }

    /** The logs of the server and of PHP, for the message of a failed test. */
    public function log(): string
    {
        $log = '';
        foreach (['fpm.log', 'php.log', 'output.log'] as $name) {
            $log .= "--- {$name}\n" . substr((string) @file_get_contents($this->file($name)), -4_000);
        }

        return $log;
    }

    /** The log of PHP in the workers. */
    public function phpLog(): string
    {
        return (string) @file_get_contents($this->file('php.log'));
    }

    /** Kills it and its workers, and removes its folder. */
    public function kill(): void
    {
        if ($this->process === null) {
            return;
        }
        if ($this->ending() === null) {
            // Stopped first, so that it starts no new workers for those that are killed.
            posix_kill($this->pid, SIGSTOP);
            foreach ($this->workers() as $worker) {
                posix_kill($worker, SIGKILL);
            }
            posix_kill($this->pid, SIGKILL);
        }
        proc_close($this->process);
        $this->process = null;
        $this->ending ??= 'killed by the test';
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    private function ending(): ?string
    {
        if ($this->ending === null && $this->process !== null) {
            $status = proc_get_status($this->process);
            if (!$status['running']) {
                $this->ending = $status['signaled'] ? "signal {$status['termsig']}" : "exit {$status['exitcode']}";
            }
        }

        return $this->ending;
    }

    private function await(string $what, callable $condition): void
    {
        $deadline = hrtime(true) + self::TIMEOUT_S * 1e9;
        while (!$condition()) {
            if (hrtime(true) > $deadline) {
                throw new RuntimeException("waited in vain for {$what}");
            }
            usleep(5_000);
        }
    }

    private function writePhpIni(?string $extension): void
    {
        $settings = [
            'log_errors' => '1',
            'error_log' => $this->file('php.log'),
            'display_errors' => '0',
            'html_errors' => '0',
            'memory_limit' => '64M',
        ];
        if ($extension !== null) {
            $settings['extension'] = $extension;
        }
        $this->write('php.ini', $settings, '"');
    }

    /** @param array<string, int|string> $pool */
    private function writeConfiguration(array $pool): void
    {
        $global = [
            'error_log' => $this->file('fpm.log'),
            'daemonize' => 'no',
            // Without it php-fpm sends SIGTERM right after SIGQUIT, and workers die with the rows
            // that they hold. It is longer than any test waits. So a worker that hangs at its end
            // is a failure, and no SIGTERM hides it.
            'process_control_timeout' => '600s',
        ];
        $pool += [
            'listen' => $this->socket(),
            'pm' => 'static',
            'pm.max_children' => 1,
            'clear_env' => 'yes',
            'catch_workers_output' => 'yes',
        ];
        if (posix_geteuid() === 0) {
            $pool['user'] = 'root';
            $pool['group'] = 'root';
        }
        $this->write('fpm.conf', ['[global]' => null] + $global + ['[orders]' => null] + $pool);
    }

    /** @param array<string, int|string|null> $settings null: a section */
    private function write(string $name, array $settings, string $quote = ''): void
    {
        $text = '';
        foreach ($settings as $setting => $value) {
            $text .= $value === null ? "{$setting}\n" : "{$setting} = {$quote}{$value}{$quote}\n";
        }
        file_put_contents($this->file($name), $text);
    }
}
