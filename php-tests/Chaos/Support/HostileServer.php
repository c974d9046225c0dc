<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use RuntimeException;

/** A running crates/hostile-server, whose documentation lists its modes. */
final class HostileServer
{
    /** @var resource|null */
    private $process;

    /** @var array<int, resource> */
    private array $pipes = [];

    private string $said = '';

    public readonly int $port;

    public function __construct(string $mode)
    {
        $built = dirname(__DIR__, 3) . '/target/release/hostile-server';
        $binary = (string) (getenv('WRITE_BUFFER_HOSTILE_SERVER') ?: $built);
        if (!is_executable($binary)) {
            throw new RuntimeException("{$binary} is missing; run: make build-hostile-server");
        }
        $process = proc_open([$binary, ...explode(' ', $mode)], [['pipe', 'r'], ['pipe', 'w'], STDERR], $this->pipes);
        if ($process === false) {
            throw new RuntimeException('cannot start the hostile server');
        }
        $this->process = $process;
        $line = (string) fgets($this->pipes[1]);
        if (preg_match('/^port (\d+)$/D', trim($line), $match) !== 1) {
            throw new RuntimeException("the hostile server did not start: {$mode}");
        }
        $this->port = (int) $match[1];
        stream_set_blocking($this->pipes[1], false);
    }

    public function __destruct()
    {
        $this->stop();
    }

    /** How often it said a line that begins so. */
    public function count(string $start): int
    {
        $this->read();

        return (int) preg_match_all('/^' . preg_quote($start, '/') . '/m', $this->said);
    }

    /** All that it said. */
    public function said(): string
    {
        $this->read();

        return $this->said;
    }

    public function stop(): void
    {
        if ($this->process !== null) {
            $this->read();
            array_map('fclose', $this->pipes);
            proc_terminate($this->process, SIGKILL);
            proc_close($this->process);
            $this->process = null;
        }
    }

    private function read(): void
    {
        if ($this->process !== null) {
            $this->said .= (string) stream_get_contents($this->pipes[1]);
        }
    }
}
