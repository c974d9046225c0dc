<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use RuntimeException;

/**
 * Another PHP process with the same extension, for php.ini settings, for the end of a process, or
 * as a second client.
 */
final class PhpProcess
{
    /**
     * The longest silence of the process. On one slow processor with load beside it says something
     * sooner.
     */
    private const TIMEOUT_S = 120;

    /** @var resource */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    private string $output = '';

    /**
     * @param string                $code     PHP code without the opening tag
     * @param array<string, string> $settings php.ini settings
     * @param list<string>          $arguments what the code finds in `$argv` from 1 on
     */
    public function __construct(string $code, array $settings = [], array $arguments = [])
    {
        $command = [PHP_BINARY, '-d', 'display_errors=stdout', '-d', 'log_errors=0', '-d', 'html_errors=0'];
        // As in phpunit.xml.dist.
        array_push($command, '-d', 'write_buffer.background=0');
        $extension = Extension::file();
        if ($extension !== null) {
            array_push($command, '-d', "extension={$extension}");
        }
        foreach ($settings as $name => $value) {
            // In quotes, because a DSN has characters that are special in an ini file.
            array_push($command, '-d', "{$name}=\"{$value}\"");
        }
        array_push($command, '-r', $code, '--', ...$arguments);
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], ['redirect', 1]], $this->pipes);
        if ($process === false) {
            throw new RuntimeException('cannot start another PHP process');
        }
        $this->process = $process;
    }

    /**
     * Runs code to its end.
     *
     * @param array<string, string> $settings
     * @param list<string>          $arguments
     *
     * @return string what it printed, errors included
     */
    public static function run(string $code, array $settings = [], array $arguments = []): string
    {
        $process = new self($code, $settings, $arguments);

        return $process->finish();
    }

    /** Sends a line to its standard input. */
    public function send(string $line): void
    {
        fwrite($this->pipes[0], $line . "\n");
        fflush($this->pipes[0]);
    }

    /** Waits until it has printed the text. */
    public function waitFor(string $text): void
    {
        while (!str_contains($this->output, $text)) {
            if (!$this->read()) {
                throw new RuntimeException("the other process ended without saying {$text}: {$this->output}");
            }
        }
    }

    /** Waits for its end. Returns everything that it printed. */
    public function finish(): string
    {
        fclose($this->pipes[0]);
        while ($this->read()) {
            continue;
        }
        fclose($this->pipes[1]);
        proc_close($this->process);

        return $this->output;
    }

    private function read(): bool
    {
        $read = [$this->pipes[1]];
        $write = $except = null;
        if (stream_select($read, $write, $except, self::TIMEOUT_S) !== 1) {
            proc_terminate($this->process, 9);
            throw new RuntimeException("the other process says nothing: {$this->output}");
        }
        $chunk = fread($this->pipes[1], 65_536);
        $this->output .= (string) $chunk;

        return $chunk !== false && $chunk !== '';
    }
}
