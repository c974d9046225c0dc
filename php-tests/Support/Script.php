<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use RuntimeException;

/** `php ARGUMENT…` with the extension, in a process of its own that does not outlive the object. */
final class Script
{
    /** The longest silence. On one slow processor with load beside a program ends sooner. */
    private const TIMEOUT_S = 120;

    /** @var resource */
    private $process;

    /** @var resource */
    private $output;

    /** @var resource */
    private $input;

    /**
     * @param list<string>          $arguments   of `php`: a file and its arguments, or `-S`, for
     *                                           instance
     * @param array<string, string> $environment beside that of the test
     */
    public function __construct(array $arguments, array $environment = [], string $input = '')
    {
        $command = [PHP_BINARY, '-d', 'display_errors=stdout', '-d', 'log_errors=0', '-d', 'html_errors=0'];
        array_push($command, '-d', 'error_reporting=-1', '-d', 'date.timezone=UTC');
        // A busy machine is no test's matter here.
        array_push($command, '-d', 'write_buffer.shutdown_timeout_ms=600000');
        if (Extension::file() !== null) {
            array_push($command, '-d', 'extension=' . Extension::file());
        }
        // A file, since a pipe has no room for a long input.
        $this->input = tmpfile();
        fwrite($this->input, $input);
        rewind($this->input);
        $process = proc_open(
            [...$command, ...$arguments],
            [$this->input, ['pipe', 'w'], ['redirect', 1]],
            $pipes,
            null,
            $environment + getenv(),
        );
        if ($process === false) {
            throw new RuntimeException('cannot start another PHP process');
        }
        $this->process = $process;
        $this->output = $pipes[1];
    }

    public function __destruct()
    {
        if (is_resource($this->process)) {
            proc_terminate($this->process, 9);
            proc_close($this->process);
        }
    }

    public function signal(int $signal): void
    {
        proc_terminate($this->process, $signal);
    }

    public function isRunning(): bool
    {
        return proc_get_status($this->process)['running'];
    }

    /**
     * Waits for its end.
     *
     * @return string what it printed, errors included
     *
     * @throws RuntimeException it failed, or says nothing any more
     */
    public function finish(): string
    {
        $printed = '';
        while (!feof($this->output)) {
            $read = [$this->output];
            $write = $except = null;
            if (stream_select($read, $write, $except, self::TIMEOUT_S) !== 1) {
                throw new RuntimeException("the other process says nothing: {$printed}");
            }
            $printed .= (string) fread($this->output, 65_536);
        }
        $status = proc_close($this->process);
        if ($status !== 0) {
            throw new RuntimeException("the other process ended with {$status}: {$printed}");
        }

        return $printed;
    }
}
