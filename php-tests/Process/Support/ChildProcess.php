<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process\Support;

use RuntimeException;
use WriteBuffer\Tests\Support\Extension;

/**
 * A PHP process with the extension. A test sees its process id, both outputs and how it ended, and
 * sends it signals. It counts as ended once all that it started has closed the outputs too.
 */
final class ChildProcess
{
    /**
     * Longer than a child waits for anything, so that the child itself says what it waited for in
     * vain.
     */
    private const TIMEOUT_S = 180.0;
    private const MARK = 'WRITE_BUFFER_TEST_CHILD';

    /** @var resource|null */
    private $process;

    /** @var array<int, resource> those not at their end */
    private array $pipes = [];

    /** @var array{1: string, 2: string} */
    private array $output = [1 => '', 2 => ''];

    private string $mark;

    private int $pid;

    private ?string $ending = null;

    /**
     * @param string                $code      PHP code without the opening tag; `Child` is there
     * @param list<string>          $arguments what the code finds in `$argv` from 1 on
     * @param array<string, string> $settings  php.ini settings
     * @param list<string>          $under     the command that starts PHP, with its arguments
     */
    public function __construct(string $code, array $arguments = [], array $settings = [], array $under = [])
    {
        $command = [...$under, PHP_BINARY];
        $settings += ['display_errors' => 'stderr', 'log_errors' => '0', 'html_errors' => '0', 'memory_limit' => '512M'];
        if (($extension = Extension::file()) !== null) {
            array_push($command, '-d', "extension={$extension}");
        }
        foreach ($settings as $name => $value) {
            array_push($command, '-d', "{$name}={$value}");
        }
        array_push($command, __DIR__ . '/run.php', $code, ...$arguments);
        $this->mark = bin2hex(random_bytes(8));
        $process = proc_open(
            $command,
            [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w']],
            $this->pipes,
            null,
            getenv() + [self::MARK => $this->mark],
        );
        if ($process === false) {
            throw new RuntimeException('cannot start another PHP process');
        }
        $this->process = $process;
        $this->pid = proc_get_status($process)['pid'];
        stream_set_blocking($this->pipes[1], false);
        stream_set_blocking($this->pipes[2], false);
    }

    public function __destruct()
    {
        $this->kill();
    }

    public function pid(): int
    {
        return $this->pid;
    }

    public function signal(int $signal): void
    {
        if (!posix_kill($this->pid, $signal)) {
            throw new RuntimeException("no process to send signal {$signal} to\n{$this->describe()}");
        }
    }

    /** Sends a line to its standard input. */
    public function send(string $line = 'go on'): void
    {
        fwrite($this->pipes[0], $line . "\n");
    }

    /** Waits until it has printed a whole line that begins so. Returns the line. */
    public function waitFor(string $start, float $timeoutS = self::TIMEOUT_S): string
    {
        $deadline = hrtime(true) / 1e9 + $timeoutS;
        $pattern = '/^' . preg_quote($start, '/') . '.*\n/m';
        while (preg_match($pattern, $this->output[1], $match) !== 1) {
            if (!$this->read($deadline)) {
                throw new RuntimeException("it ended, or the time did, before it said “{$start}”\n{$this->describe()}");
            }
        }

        return rtrim($match[0], "\n");
    }

    /** Waits for a value of {@see Child::report()}, and returns it. */
    public function reported(string $name): mixed
    {
        $line = $this->waitFor("{$name}=");

        return json_decode(substr($line, strlen($name) + 1), true, 512, JSON_THROW_ON_ERROR);
    }

    /**
     * Reads what it prints, for a short time. A child whose output nobody reads stops when its pipe
     * is full.
     */
    public function listen(float $seconds): void
    {
        $deadline = hrtime(true) / 1e9 + $seconds;
        while ($this->read($deadline)) {
            continue;
        }
        $left = $deadline - hrtime(true) / 1e9;
        if ($left > 0) {
            usleep((int) ($left * 1e6));
        }
    }

    /** Waits for its end, and returns how it ended: `exit 0`, `signal 9`. */
    public function finish(float $timeoutS = self::TIMEOUT_S): string
    {
        $deadline = hrtime(true) / 1e9 + $timeoutS;
        $this->close(0);
        while ($this->read($deadline)) {
            continue;
        }
        if (isset($this->pipes[1]) || isset($this->pipes[2])) {
            throw new RuntimeException("it, or what it started, still runs after {$timeoutS} s\n{$this->describe()}");
        }
        while ($this->ending() === null) {
            if (hrtime(true) / 1e9 > $deadline) {
                throw new RuntimeException("it still runs after {$timeoutS} s\n{$this->describe()}");
            }
            usleep(1_000);
        }

        return (string) $this->ending();
    }

    /** How it ended, or null while it runs. */
    public function ending(): ?string
    {
        if ($this->ending === null && $this->process !== null) {
            $status = proc_get_status($this->process);
            if (!$status['running']) {
                $this->ending = $status['signaled'] ? "signal {$status['termsig']}" : "exit {$status['exitcode']}";
            }
        }

        return $this->ending;
    }

    /** The standard output so far. */
    public function said(): string
    {
        return $this->output[1];
    }

    /** PHP's errors and warnings so far. */
    public function complained(): string
    {
        return $this->output[2];
    }

    /** For the message of a failed assertion. */
    public function describe(): string
    {
        return sprintf(
            "--- ended: %s\n--- its output:\n%s\n--- its errors:\n%s",
            $this->ending() ?? 'no',
            // The end says what went wrong. A loop's output would hide it.
            substr($this->output[1], -1_500),
            substr($this->output[2], -1_500),
        );
    }

    /** Kills it and all that it started. */
    public function kill(): void
    {
        if ($this->process === null) {
            return;
        }
        if (isset($this->pipes[1]) || $this->ending() === null) {
            foreach (glob('/proc/[0-9]*/environ') ?: [] as $file) {
                if (str_contains((string) @file_get_contents($file), self::MARK . "={$this->mark}")) {
                    posix_kill((int) explode('/', $file)[2], SIGKILL);
                }
            }
        }
        foreach (array_keys($this->pipes) as $number) {
            $this->close($number);
        }
        proc_close($this->process);
        $this->process = null;
        $this->ending ??= 'killed by the test';
    }

    /**
     * Reads what there is, or waits for something. Returns false if both outputs have ended, or the
     * time is over.
     */
    private function read(float $deadline): bool
    {
        $read = array_intersect_key($this->pipes, [1 => true, 2 => true]);
        $left = $deadline - hrtime(true) / 1e9;
        if ($read === [] || $left <= 0) {
            return false;
        }
        $write = $except = null;
        if (@stream_select($read, $write, $except, (int) $left, (int) (fmod($left, 1) * 1e6)) === false) {
            return true;
        }
        foreach ($read as $number => $pipe) {
            $chunk = fread($pipe, 65_536);
            if ($chunk === false || $chunk === '') {
                if (feof($pipe)) {
                    $this->close($number);
                }
                continue;
            }
            $this->output[$number] .= $chunk;
        }

        return true;
    }

    private function close(int $number): void
    {
        if (isset($this->pipes[$number])) {
            fclose($this->pipes[$number]);
            unset($this->pipes[$number]);
        }
    }
}
