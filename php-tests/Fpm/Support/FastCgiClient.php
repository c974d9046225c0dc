<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

/**
 * One request to a FastCGI server on a unix socket. Like a web server it opens a connection for
 * each request.
 *
 * Sending and reading are separate calls, so a test can have several requests under way.
 *
 * @see https://fastcgi-archives.github.io/FastCGI_Specification.html
 */
final class FastCgiClient
{
    private const VERSION = 1;
    private const BEGIN_REQUEST = 1;
    private const END_REQUEST = 3;
    private const PARAMS = 4;
    private const STDIN = 5;
    private const STDOUT = 6;
    private const STDERR = 7;
    private const RESPONDER = 1;
    private const REQUEST_ID = 1;
    private const HEADER_BYTES = 8;
    private const CONTENT_BYTES_MAX = 65_535;

    /** @var resource */
    private $stream;

    private string $received = '';

    /** @var array<int, string> */
    private array $output = [self::STDOUT => '', self::STDERR => ''];

    private bool $hasEnded = false;

    /**
     * Sends a request. It is a POST of JSON to the script, unless the parameters say otherwise.
     *
     * @param array<string, string> $parameters of CGI, such as `REQUEST_URI`
     *
     * @throws FastCgiException no server took the connection
     */
    public function __construct(string $socket, string $script, string $body, array $parameters = [])
    {
        $stream = @stream_socket_client("unix://{$socket}", $code, $message, FpmServer::TIMEOUT_S);
        if ($stream === false) {
            throw new FastCgiException("no connection: {$message}", false);
        }
        $this->stream = $stream;
        $parameters += [
            'REQUEST_METHOD' => 'POST',
            'SCRIPT_FILENAME' => $script,
            'SCRIPT_NAME' => '/' . basename($script),
            'REQUEST_URI' => '/' . basename($script),
            'QUERY_STRING' => '',
            'CONTENT_TYPE' => 'application/json',
            'CONTENT_LENGTH' => (string) strlen($body),
            'SERVER_PROTOCOL' => 'HTTP/1.1',
            'GATEWAY_INTERFACE' => 'CGI/1.1',
        ];
        $pairs = '';
        foreach ($parameters as $name => $value) {
            $pairs .= self::length($name) . self::length($value) . $name . $value;
        }
        // With flags of 0 the server closes the connection after its answer.
        $bytes = self::record(self::BEGIN_REQUEST, pack('nCx5', self::RESPONDER, 0))
            . self::stream(self::PARAMS, $pairs)
            . self::stream(self::STDIN, $body);
        while ($bytes !== '') {
            $written = @fwrite($stream, $bytes);
            if ($written === false || $written === 0) {
                throw new FastCgiException('the server hung up during the request', true);
            }
            $bytes = substr($bytes, $written);
        }
        stream_set_blocking($stream, false);
    }

    /**
     * Waits for the whole answer.
     *
     * @throws FastCgiException the server hung up, or the time is over
     */
    public function answer(float $timeoutS = FpmServer::TIMEOUT_S): Answer
    {
        $deadline = hrtime(true) / 1e9 + $timeoutS;
        while (!$this->hasEnded) {
            $this->read($deadline, $timeoutS);
        }
        $this->close();

        return new Answer($this->output[self::STDOUT], $this->output[self::STDERR]);
    }

    /**
     * Reads what has come of the answer, without waiting. Returns whether the answer is complete.
     * The worker goes on only when its answer is read.
     */
    public function hasAnswer(): bool
    {
        $read = [$this->stream];
        $write = $except = null;
        if (!$this->hasEnded && stream_select($read, $write, $except, 0) === 1) {
            $this->takeChunk();
        }
        if ($this->hasEnded) {
            $this->close();
        }

        return $this->hasEnded;
    }

    private function read(float $deadline, float $timeoutS): void
    {
        $left = max(0.0, $deadline - hrtime(true) / 1e9);
        $read = [$this->stream];
        $write = $except = null;
        if (stream_select($read, $write, $except, (int) $left, (int) (fmod($left, 1) * 1e6)) === 0) {
            throw new FastCgiException("no answer within {$timeoutS} s", true);
        }
        $this->takeChunk();
    }

    private function takeChunk(): void
    {
        $chunk = @fread($this->stream, self::CONTENT_BYTES_MAX);
        if ($chunk === false || $chunk === '') {
            throw new FastCgiException('the server hung up before its answer was complete', true);
        }
        $this->received .= $chunk;
        $this->takeRecords();
    }

    private function close(): void
    {
        if (is_resource($this->stream)) {
            fclose($this->stream);
        }
    }

    private function takeRecords(): void
    {
        while (strlen($this->received) >= self::HEADER_BYTES) {
            ['type' => $type, 'content' => $contentBytes, 'padding' => $paddingBytes]
                = unpack('Cversion/Ctype/nrequest/ncontent/Cpadding/Creserved', $this->received);
            $bytes = self::HEADER_BYTES + $contentBytes + $paddingBytes;
            if (strlen($this->received) < $bytes) {
                return;
            }
            if (isset($this->output[$type])) {
                $this->output[$type] .= substr($this->received, self::HEADER_BYTES, $contentBytes);
            }
            $this->hasEnded = $this->hasEnded || $type === self::END_REQUEST;
            $this->received = substr($this->received, $bytes);
        }
    }

    /** The content in one or more records, and the empty record that ends a stream. */
    private static function stream(int $type, string $content): string
    {
        $records = '';
        foreach ($content === '' ? [] : str_split($content, self::CONTENT_BYTES_MAX) as $chunk) {
            $records .= self::record($type, $chunk);
        }

        return $records . self::record($type, '');
    }

    private static function record(int $type, string $content): string
    {
        return pack('CCnnCx', self::VERSION, $type, self::REQUEST_ID, strlen($content), 0) . $content;
    }

    private static function length(string $text): string
    {
        $bytes = strlen($text);

        return $bytes < 0x80 ? chr($bytes) : pack('N', $bytes | 0x80000000);
    }
}
