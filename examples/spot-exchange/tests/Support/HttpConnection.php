<?php

declare(strict_types=1);

namespace Tests\Support;

use RuntimeException;

/**
 * Owns a connection to an HTTP server on this machine. It is kept until the server closes it, and
 * then opened again. send() and answer() are apart, so that several connections have requests under
 * way at once.
 */
final class HttpConnection
{
    private const TIMEOUT_S = 60;

    /** @var resource|null */
    private $stream = null;

    public function __construct(private readonly int $port)
    {
    }

    /** Whether a server listens. */
    public static function isServed(int $port): bool
    {
        $stream = @stream_socket_client("tcp://127.0.0.1:{$port}", $code, $message, 1);
        if ($stream === false) {
            return false;
        }
        fclose($stream);

        return true;
    }

    /** @param array<string, mixed>|null $body sent as JSON */
    public function send(string $method, string $path, ?array $body = null): void
    {
        $this->stream ??= stream_socket_client("tcp://127.0.0.1:{$this->port}", $code, $message, self::TIMEOUT_S)
            ?: throw new RuntimeException("no connection: {$message}");
        stream_set_timeout($this->stream, self::TIMEOUT_S);
        $text = $body === null ? '' : json_encode($body, JSON_THROW_ON_ERROR);
        $request = "{$method} {$path} HTTP/1.1\r\nHost: 127.0.0.1:{$this->port}\r\nConnection: keep-alive\r\n"
            . "Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: " . strlen($text)
            . "\r\n\r\n{$text}";
        if (fwrite($this->stream, $request) !== strlen($request)) {
            throw new RuntimeException('the server hung up during the request');
        }
    }

    /** @return array{int, mixed} the status, and the decoded body */
    public function answer(): array
    {
        $line = (string) fgets($this->stream);
        if (preg_match('#^HTTP/1\.\d (\d+)#', $line, $status) !== 1) {
            throw new RuntimeException("no answer: {$line}");
        }
        $headers = [];
        while (($line = rtrim((string) fgets($this->stream))) !== '') {
            [$name, $value] = explode(':', $line, 2);
            $headers[strtolower($name)] = trim($value);
        }
        $length = $headers['content-length'] ?? null;
        $body = (string) stream_get_contents($this->stream, $length === null ? null : (int) $length);
        if ($length === null || strtolower($headers['connection'] ?? '') === 'close') {
            fclose($this->stream);
            $this->stream = null;
        }

        return [(int) $status[1], json_decode($body, true, 512, JSON_THROW_ON_ERROR)];
    }
}
