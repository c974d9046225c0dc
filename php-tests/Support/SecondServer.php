<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PDO;

/**
 * A second throwaway server, of the same kind and with the same account: see scripts/with-server.
 * It is gone when stop() returns.
 */
final class SecondServer
{
    public readonly string $port;

    public readonly PDO $admin;

    /** @param array{resource, resource} $pipes */
    private function __construct(private readonly mixed $process, private readonly array $pipes)
    {
        $line = trim((string) fgets($pipes[1]));
        if (substr_count($line, ' ') !== 1) {
            throw new \RuntimeException("the second server did not start: {$line}");
        }
        [$this->port, $socket] = explode(' ', $line);
        $this->admin = new PDO(
            "mysql:unix_socket={$socket};dbname=" . getenv('DB_DATABASE'),
            'root',
            null,
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
        foreach (['localhost', '127.0.0.1'] as $host) {
            $this->admin->exec(sprintf(
                'ALTER USER %s@%s IDENTIFIED BY %s',
                $this->admin->quote((string) getenv('DB_USERNAME')),
                $this->admin->quote($host),
                $this->admin->quote((string) getenv('DB_PASSWORD')),
            ));
        }
    }

    public static function start(): self
    {
        // The server lives as long as its command, which reads until stop() closes the pipe.
        $command = [dirname(__DIR__, 2) . '/scripts/with-server', getenv('DB_SERVER') ?: 'mariadb'];
        array_push($command, 'bash', '-c', 'echo "$DB_PORT $DB_SOCKET"; exec cat');
        $process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], STDERR], $pipes);
        if (!is_resource($process)) {
            throw new \RuntimeException('the second server could not be started');
        }

        return new self($process, $pipes);
    }

    public function stop(): void
    {
        fclose($this->pipes[0]);
        stream_get_contents($this->pipes[1]);
        fclose($this->pipes[1]);
        proc_close($this->process);
    }
}
