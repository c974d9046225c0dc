<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/**
 * Proxies to the test's server: see php-tests/Process/Support/proxy.php. Each is a process, and
 * stopProxies() ends them.
 */
trait Proxies
{
    /** @var array<int, array{resource, array<int, resource>}> by port */
    private array $proxies = [];

    /** @var list<resource> */
    private array $reservedPorts = [];

    /**
     * A port on which nobody listens, and that the kernel gives to nobody else until the test's
     * end. A proxy may listen there: PHP sets SO_REUSEADDR, and the socket that holds the port
     * never listens.
     */
    private function reservePort(): int
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0', $code, $message, STREAM_SERVER_BIND);
        self::assertIsResource($socket, (string) $message);
        $this->reservedPorts[] = $socket;

        return (int) substr((string) strrchr((string) stream_socket_get_name($socket, false), ':'), 1);
    }

    /**
     * Starts a proxy to the server on a port, or on any port for 0, and returns the port. With
     * $from and $to the proxy changes what the client says.
     */
    private function startProxy(int $port = 0, string $from = '', string $to = ''): int
    {
        $command = [PHP_BINARY, '-n', dirname(__DIR__) . '/Process/Support/proxy.php', (string) $port];
        array_push($command, self::setting('DB_HOST'), self::setting('DB_PORT'), $from, $to);
        $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', '/dev/null', 'w']], $pipes);
        self::assertIsResource($process);
        $started = preg_match('/^port (\d+)$/', trim((string) fgets($pipes[1])), $match);
        $this->proxies[(int) ($match[1] ?? 0)] = [$process, $pipes];
        self::assertSame(1, $started, 'no proxy');

        return (int) $match[1];
    }

    /** Ends a proxy, and all connections over it. */
    private function stopProxy(int $port): void
    {
        [$process, $pipes] = $this->proxies[$port];
        unset($this->proxies[$port]);
        proc_terminate($process, 9);
        fclose($pipes[1]);
        proc_close($process);
    }

    private function stopProxies(): void
    {
        foreach (array_keys($this->proxies) as $port) {
            $this->stopProxy($port);
        }
        $this->reservedPorts = [];
    }
}
