<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** For tests that ask a program over HTTP, by PHP's own server. */
trait ServesPages
{
    private ?Script $server = null;

    /**
     * Serves a program, and returns its URL.
     *
     * @param array<string, string> $environment
     */
    private function serve(string $file, array $environment): string
    {
        $listener = stream_socket_server('tcp://127.0.0.1:0');
        $address = (string) stream_socket_get_name($listener, false);
        fclose($listener);
        $this->server = $server = new Script(['-S', $address, $file], $environment);
        self::await("a server of {$file}", static function () use ($server, $address): bool {
            $socket = @stream_socket_client("tcp://{$address}");

            return $socket !== false || !$server->isRunning();
        });

        return "http://{$address}/";
    }

    /** Posts a value as JSON, and returns the answer's status. */
    private static function post(string $url, mixed $content): int
    {
        file_get_contents($url, false, stream_context_create(['http' => [
            'method' => 'POST',
            'header' => 'Content-Type: application/json',
            'content' => json_encode($content),
            'ignore_errors' => true,
        ]]));

        return (int) explode(' ', $http_response_header[0])[1];
    }

    private function stopServing(): void
    {
        $this->server = null;
    }
}
