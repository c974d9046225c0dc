<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/**
 * A session of the server's administrator in the protocol itself, over its socket. What it sends
 * can be encoded before a clock starts.
 */
final class Wire
{
    /** Protocol 4.1, LOAD DATA LOCAL, transactions, authentication by plugins, a database. */
    private const CAPABILITIES = 0x0000_0004 | 0x0000_0200 | 0x0000_0080 | 0x0000_2000 | 0x0000_8000 | 0x0000_0008 | 0x0008_0000;

    /** MariaDB's own: bulk execution. https://mariadb.com/kb/en/connection/ */
    private const BULK = 0x0000_0004;

    private const PACKET_BYTES = 1 << 18;

    private const TIMEOUT_S = 60;

    /** @var resource */
    private $stream;

    private string $received = '';

    private int $at = 0;

    public function __construct(string $database)
    {
        $stream = stream_socket_client('unix://' . getenv('DB_SOCKET'));
        if ($stream === false) {
            throw new RuntimeException('The server is not at its socket.');
        }
        $this->stream = $stream;
        stream_set_write_buffer($stream, 0);
        $this->packet();
        $this->send(self::framed(
            pack('VVCx19V', self::CAPABILITIES, 1 << 24, 45, self::BULK) . "root\0\0"
                . "{$database}\0mysql_native_password\0",
            1,
        ));
        $answer = $this->packet();
        if ($answer[0] === "\xfe") {
            // The account's own plugin; without a password each takes an empty answer.
            $this->send(self::framed('', 3));
            $answer = $this->packet();
        }
        if ($answer[0] !== "\0") {
            throw new RuntimeException('The server does not let us in.');
        }
    }

    /** A packet with its head. */
    private static function framed(string $body, int $number = 0): string
    {
        return substr(pack('V', strlen($body)), 0, 3) . chr($number) . $body;
    }

    /** A statement's text, as it is sent. */
    public static function query(string $sql): string
    {
        return self::framed("\x03{$sql}");
    }

    /**
     * An execution of a prepared statement, with the types of its values.
     *
     * @param list<int|string> $values
     */
    public static function execution(int $statement, array $values): string
    {
        $types = $body = '';
        foreach ($values as $value) {
            $types .= self::type($value);
            $body .= self::value($value);
        }

        return self::framed(
            "\x17" . pack('VCV', $statement, 0, 1) . str_repeat("\0", intdiv(count($values) + 7, 8)) . "\1{$types}{$body}"
        );
    }

    /**
     * Many executions of a prepared statement of one row, on MariaDB.
     * https://mariadb.com/kb/en/com_stmt_bulk_execute/
     *
     * @param list<list<int|string>> $rows
     */
    public static function bulk(int $statement, array $rows): string
    {
        $body = "\xfa" . pack('Vv', $statement, 128);
        foreach ($rows[0] as $value) {
            $body .= self::type($value);
        }
        foreach ($rows as $row) {
            foreach ($row as $value) {
                $body .= "\0" . self::value($value);
            }
        }

        return self::framed($body);
    }

    /** LOAD DATA LOCAL with its file, which is sent before the server asks for it. Two answers. */
    public static function load(string $sql, string $file): string
    {
        $packets = self::query($sql);
        $number = 2;
        foreach (str_split($file, self::PACKET_BYTES) as $part) {
            $packets .= self::framed($part, $number++ & 0xff);
        }

        return $packets . self::framed('', $number & 0xff);
    }

    private static function type(int|string $value): string
    {
        return is_int($value) ? "\x08\0" : "\xfd\0";
    }

    private static function value(int|string $value): string
    {
        return match (true) {
            is_int($value) => pack('P', $value),
            strlen($value) < 251 => chr(strlen($value)) . $value,
            default => throw new RuntimeException('The value is too long for this program.'),
        };
    }

    /** Prepares a statement, and returns its number. */
    public function prepare(string $sql): int
    {
        $this->send(self::framed("\x16{$sql}"));
        ['id' => $id, 'columns' => $columns, 'parameters' => $parameters] = unpack('x/Vid/vcolumns/vparameters', $this->packet());
        foreach ([$parameters, $columns] as $definitions) {
            for ($left = $definitions === 0 ? 0 : $definitions + 1; $left > 0; $left--) {
                $this->packet();
            }
        }

        return $id;
    }

    /**
     * Sends what was encoded. Takes answers meanwhile: a server whose answers nobody reads stops.
     */
    public function send(string $bytes): void
    {
        stream_set_blocking($this->stream, false);
        for ($at = 0; $at < strlen($bytes);) {
            [$read, $write, $except] = [[$this->stream], [$this->stream], null];
            stream_select($read, $write, $except, self::TIMEOUT_S);
            if ($read !== []) {
                $this->receive();
            }
            if ($write !== []) {
                $at += (int) fwrite($this->stream, substr($bytes, $at, self::PACKET_BYTES));
            } elseif ($read === []) {
                throw new RuntimeException('The server takes nothing any more.');
            }
        }
        stream_set_blocking($this->stream, true);
    }

    /** Executes a statement that has no rows. */
    public function execute(string $sql): void
    {
        $this->send(self::query($sql));
        $this->await(1);
    }

    /** Waits for so many answers. */
    public function await(int $answers): void
    {
        while ($answers-- > 0) {
            $this->packet();
        }
    }

    private function packet(): string
    {
        $head = $this->read(4);
        $body = $this->read(ord($head[0]) | ord($head[1]) << 8 | ord($head[2]) << 16);
        if (($body[0] ?? '') === "\xff") {
            throw new RuntimeException('The server says: ' . substr($body, 3));
        }

        return $body;
    }

    private function read(int $length): string
    {
        while (strlen($this->received) - $this->at < $length) {
            $this->receive();
        }
        $bytes = substr($this->received, $this->at, $length);
        $this->at += $length;

        return $bytes;
    }

    private function receive(): void
    {
        $more = fread($this->stream, 65_536);
        if ($more === false || $more === '') {
            throw new RuntimeException('The server has gone.');
        }
        $this->received = substr($this->received, $this->at) . $more;
        $this->at = 0;
    }
}
