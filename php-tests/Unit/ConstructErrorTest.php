<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use ArgumentCountError;
use Error;
use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class ConstructErrorTest extends MemoryTestCase
{
    /** @return iterable<string, array{array<string, mixed>, string}> arguments, and the message */
    public static function wrongSettings(): iterable
    {
        $bounds = [
            'batchSize' => [1, 10_000],
            'flushIntervalMs' => [1, 86_400_000],
            'maxRetries' => [0, 100],
            'maxPendingRows' => [1, 100_000_000],
            'maxPendingBytes' => [1_024, PHP_INT_MAX],
            'shutdownTimeoutMs' => [1, 86_400_000],
            'parkTimeoutMs' => [0, 86_400_000],
            'maxPreparedStatements' => [0, 16_382],
        ];
        foreach ([65, -1] as $lanes) {
            yield "lanes {$lanes}" => [['background' => true, 'lanes' => $lanes], "lanes must be from 0 to 64, not {$lanes}"];
        }
        foreach ($bounds as $name => [$min, $max]) {
            foreach ([$min - 1, PHP_INT_MIN, ...($max === PHP_INT_MAX ? [] : [$max + 1, PHP_INT_MAX])] as $value) {
                yield "{$name} {$value}" => [[$name => $value], "{$name} must be from {$min} to {$max}, not {$value}"];
            }
        }
        yield 'fewer pending rows than a batch' => [
            ['batchSize' => 100, 'maxPendingRows' => 99],
            'maxPendingRows (99) is smaller than batchSize (100), so no batch would ever be full',
        ];
        yield 'one table for both' => [
            ['orderTable' => 'trades'],
            'orderTable and tradeTable are both "trades": give each table once',
        ];
        foreach (['orderTable' => '', 'tradeTable' => '', 'ledgerTable' => 'ledgerTable: '] as $name => $said) {
            yield "{$name} is empty" => [
                [$name => ''],
                $said . '"" is no table name: give `table` or `database.table`, up to 64 characters each; '
                    . 'put a name that has a dot in backticks',
            ];
            yield "{$name} is not UTF-8" => [[$name => "\xff"], "{$name} is not UTF-8"];
        }
        $foreground = ' needs background: true; a foreground buffer that is full flushes, and throws where that fails';
        foreach (['block', 'throw', ''] as $overflow) {
            yield "overflow '{$overflow}'" => [['overflow' => $overflow], "overflow{$foreground}"];
        }
        yield 'overflowTimeoutMs' => [['overflowTimeoutMs' => 5_000], "overflowTimeoutMs{$foreground}"];
        foreach (['journal' => 'journal', 'journalSync' => 'always', 'journalSyncMs' => 10, 'journalMaxBytes' => 1 << 30] as $name => $value) {
            yield "{$name} in the foreground" => [
                [$name => $value],
                "{$name} needs background: true; a foreground buffer has no journal",
            ];
        }
        yield 'a journal without a server' => [
            ['background' => true, 'journal' => 'journal'],
            'journal needs a server: the tables of memory: end with the process',
        ];
        yield 'an unknown journalSync' => [
            ['background' => true, 'journalSync' => 'often'],
            "journalSync must be 'none', 'interval' or 'always', not \"often\"",
        ];
        foreach (['journalSyncMs' => [1, 86_400_000], 'journalMaxBytes' => [4 << 23, PHP_INT_MAX]] as $name => [$min, $max]) {
            foreach ([$min - 1, ...($max === PHP_INT_MAX ? [] : [$max + 1])] as $value) {
                yield "{$name} {$value}" => [
                    ['background' => true, $name => $value],
                    "{$name} must be from {$min} to {$max}, not {$value}",
                ];
            }
        }
        yield 'an unknown overflow' => [
            ['background' => true, 'overflow' => 'drop'],
            "overflow must be 'block' or 'throw', not \"drop\"",
        ];
        yield 'persistent in the foreground' => [['persistent' => 'x'], 'persistent needs background: true'];
        yield 'persistent in memory' => [
            ['background' => true, 'persistent' => 'x'],
            'persistent needs a server: the tables of memory: end with the request',
        ];
        yield 'lanes in the foreground' => [['lanes' => 2], 'lanes needs background: true; a foreground buffer has one connection'];
        yield 'routeBy is not UTF-8' => [['background' => true, 'routeBy' => "\xff"], 'routeBy is not UTF-8'];
        $file = 'name a file in a folder that is there and that this process may write to';
        yield 'a dead-letter file that is a folder' => [
            ['deadLetterFile' => '/tmp'],
            "deadLetterFile /tmp: it is no file; {$file}",
        ];
        yield 'a dead-letter file without its folder' => [
            ['deadLetterFile' => '/nowhere/failed.jsonl'],
            "deadLetterFile /nowhere/failed.jsonl: there is no such folder; {$file}",
        ];
        yield 'a dead-letter file with a NUL byte' => [
            ['deadLetterFile' => "a\0b"],
            'deadLetterFile "a\0b" has a NUL byte',
        ];
        yield 'an unknown ledger' => [['ledger' => 'no'], "ledger must be 'auto', 'always' or 'never', not \"no\""];
        $doubled = "and ledger is 'never', so a COMMIT that is not answered would write its rows twice: "
            . "use ledger 'auto', or accept that with 'repeatable' => true in `tables`";
        yield 'sums without a ledger' => [
            ['ledger' => 'never', 'tables' => ['t' => ['merge' => ['n' => 'sum']]]],
            "table t: its column n is summed, {$doubled}",
        ];
        yield 'inserts without a ledger' => [
            ['ledger' => 'never', 'tables' => ['t' => ['mode' => 'insert']]],
            "table t: it is insert-only, {$doubled}",
        ];
        yield 'every version without a ledger' => [
            ['ledger' => 'never', 'tables' => ['t' => ['coalesce' => false]]],
            "table t: each of its versions is seen, {$doubled}",
        ];
    }

    /**
     * @dataProvider wrongSettings
     *
     * @param array<string, mixed> $arguments
     */
    #[DataProvider('wrongSettings')]
    public function testRefusesSettingsThatCannotWork(array $arguments, string $message): void
    {
        self::assertThrows(
            ConfigException::class,
            $message,
            static fn () => new \WriteBuffer(...['dsn' => 'memory:'] + $arguments),
        );
    }

    /** @return iterable<string, array{string, string}> */
    public static function wrongDsns(): iterable
    {
        $form = 'mysql://user:password@host:3306/database';
        $escaped = "write it as {$form}, with special characters percent-encoded";
        $behindHost = "the DSN cannot be read: it has an '@' behind its host. Write it as {$form}, with special "
            . "characters percent-encoded ('@' as %40, '/' as %2F, '?' as %3F, '#' as %23)";
        yield 'empty' => ['', 'there is no DSN: give the parameter dsn, or set write_buffer.dsn in php.ini'];
        yield 'not UTF-8' => ["mysql://u:secret\xff@h/d", 'dsn is not UTF-8'];
        yield 'that of PDO' => [
            'mysql:host=localhost;password=secret',
            "the DSN cannot be read: {$escaped} ('@' as %40, '/' as %2F, '?' as %3F, '#' as %23)",
        ];
        yield 'a fragment' => [
            'mysql://u:sec#ret@h/d',
            $behindHost,
        ];
        yield 'a slash in the password' => [
            'mysql://u:sec/ret@h/d',
            $behindHost,
        ];
        yield 'no scheme' => [
            'localhost/db',
            "the DSN cannot be read (relative URL without a base): {$escaped} ('@' as %40, '/' as %2F, '?' as %3F, '#' as %23)",
        ];
        yield 'another scheme' => [
            'pgsql://u:secret@h/d',
            "the DSN begins with \"pgsql:\": write it as {$form}, or as memory:",
        ];
        yield 'no database' => ['mysql://u:secret@h', "the DSN names no database: write it as {$form}"];
        yield 'two databases' => ['mysql://u:secret@h/a/b', "the DSN names no database: write it as {$form}"];
        yield 'no user' => ['mysql://h/d', "the DSN names no user: write it as {$form}"];
        yield 'a password that is not UTF-8' => [
            'mysql://u:%ff@h/d',
            'the DSN\'s password is not UTF-8 after percent-decoding',
        ];
        yield 'an unknown option' => [
            'mysql://u:secret@h/d?lanes=4',
            'option 1 of the DSN is not known; there are: unix_socket, tls, tls_ca, tls_cert, tls_key, tls_verify, charset, '
                . 'collation, timezone, sql_mode, isolation_level, connect_timeout_ms, read_timeout_ms, write_timeout_ms, '
                . 'lock_wait_timeout_ms',
        ];
        yield 'an isolation level that is none' => [
            'mysql://u:secret@h/d?isolation_level=none',
            'the DSN\'s isolation_level must be READ COMMITTED, REPEATABLE READ, SERIALIZABLE or READ UNCOMMITTED',
        ];
        foreach (['connect_timeout_ms', 'read_timeout_ms', 'write_timeout_ms', 'lock_wait_timeout_ms'] as $name) {
            foreach (['0', '-1', 'soon', '86400001', '1.5'] as $value) {
                yield "{$name}={$value}" => [
                    "mysql://u:secret@h/d?{$name}={$value}",
                    "the DSN's {$name} must be a number of milliseconds from 1 to 86400000",
                ];
            }
        }
    }

    /**
     * @dataProvider wrongDsns
     */
    #[DataProvider('wrongDsns')]
    public function testRefusesADsnThatCannotBeRead(string $dsn, string $message): void
    {
        self::assertStringNotContainsString('secret', $message);
        self::assertThrows(ConfigException::class, $message, static fn () => new \WriteBuffer($dsn));
        self::assertThrows(ConfigException::class, $message, static fn () => new \SyncWriteBuffer($dsn));
    }

    public function testRefusesNoDsnAtAll(): void
    {
        if (ini_get('write_buffer.dsn') !== '') {
            self::fail('the tests need a PHP without write_buffer.dsn in its php.ini');
        }
        foreach ([\WriteBuffer::class, \SyncWriteBuffer::class] as $class) {
            foreach ([[], [null]] as $arguments) {
                self::assertThrows(
                    ConfigException::class,
                    'there is no DSN: give the parameter dsn, or set write_buffer.dsn in php.ini',
                    static fn () => new $class(...$arguments),
                );
            }
        }
    }

    public function testChecksItsArguments(): void
    {
        // PHP's own message.
        $false = PHP_VERSION_ID >= 80300 ? 'false' : 'bool';
        foreach (
            [
                [['dsn' => 5], '#1 ($dsn) must be of type ?string, int given'],
                [['batchSize' => '100'], '#2 ($batchSize) must be of type ?int, string given'],
                [['batchSize' => 100.0], '#2 ($batchSize) must be of type ?int, float given'],
                [['background' => 0], '#5 ($background) must be of type ?bool, int given'],
                [['tables' => null], '#8 ($tables) must be of type array, null given'],
                [['lanes' => '1'], '#14 ($lanes) must be of type ?int, string given'],
                [['deadLetterFile' => false], "#17 (\$deadLetterFile) must be of type ?string, {$false} given"],
                [['ledger' => 1], '#18 ($ledger) must be of type WriteBuffer\Ledger|string|null, int given'],
                [['ledgerTable' => 1], '#19 ($ledgerTable) must be of type ?string, int given'],
                [['parkTimeoutMs' => '1'], '#21 ($parkTimeoutMs) must be of type ?int, string given'],
                [['maxPreparedStatements' => '1'], '#22 ($maxPreparedStatements) must be of type ?int, string given'],
                [['timeZone' => 1], '#23 ($timeZone) must be of type ?string, int given'],
                [['journal' => 1], '#24 ($journal) must be of type ?string, int given'],
                [['journalSync' => 1], '#25 ($journalSync) must be of type WriteBuffer\JournalSync|string|null, int given'],
                [['journalSyncMs' => '1'], '#26 ($journalSyncMs) must be of type ?int, string given'],
                [['journalMaxBytes' => '1'], '#27 ($journalMaxBytes) must be of type ?int, string given'],
            ] as [$arguments, $message]
        ) {
            self::assertThrows(
                TypeError::class,
                "WriteBuffer::__construct(): Argument {$message}",
                static fn () => new \WriteBuffer(...$arguments),
            );
        }
        self::assertThrows(
            ArgumentCountError::class,
            'WriteBuffer::__construct() expects at most 27 arguments, 28 given',
            static fn () => new \WriteBuffer(...array_fill(0, 28, null)),
        );
        self::assertThrows(
            ArgumentCountError::class,
            'SyncWriteBuffer::__construct() expects at most 27 arguments, 28 given',
            static fn () => new \SyncWriteBuffer(...array_fill(0, 28, null)),
        );
        self::assertThrows(
            Error::class,
            'Unknown named parameter $batch_size',
            static fn () => new \WriteBuffer(dsn: 'memory:', batch_size: 5),
        );
        self::assertThrows(
            Error::class,
            'Unknown named parameter $batch_size',
            static fn () => new \SyncWriteBuffer(dsn: 'memory:', batch_size: 5),
        );
    }

    public function testABufferIsConstructedOnce(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $buffer->add(['id' => 1]);
            self::assertThrows(
                Error::class,
                'the buffer is constructed already: create a new one',
                static fn () => $buffer->__construct('memory:other'),
            );
            $buffer->flush();
            self::assertCount(1, self::rowsOf('orders'));
        }
    }

    /** A FIFO that nobody writes to would be waited for, and a device has no end. */
    public function testWhatIsNoFileIsNotReadForTls(): void
    {
        $fifo = sys_get_temp_dir() . '/wb-fifo-' . bin2hex(random_bytes(6));
        posix_mkfifo($fifo, 0600);
        try {
            foreach (['tls_ca=%s', 'tls_verify=none&tls_cert=%s&tls_key=' . __FILE__] as $options) {
                foreach ([$fifo, '/dev/zero'] as $file) {
                    self::assertThrows(
                        ConfigException::class,
                        strtok($options, '=&') === 'tls_ca'
                            ? "tls_ca {$file} cannot be read: it is no file"
                            : "tls_cert {$file} cannot be read: it is no file",
                        static fn () => new \WriteBuffer('mysql://u@h/d?' . sprintf($options, $file)),
                    );
                }
            }
        } finally {
            unlink($fifo);
        }
    }

    public function testBuffersAreNotCompared(): void
    {
        foreach ([[$this->buffer(), $this->buffer()], [$this->syncBuffer(), $this->syncBuffer()]] as [$one, $other]) {
            self::assertFalse($one == $other);
            self::assertFalse($one < $other);
            self::assertFalse($one >= $other);
            self::assertTrue($one == $one);
        }
    }

    public function testABufferIsNotCopied(): void
    {
        foreach ([$this->buffer(), $this->syncBuffer()] as $buffer) {
            $class = $buffer::class;
            foreach (
                [
                    [Error::class, "Trying to clone an uncloneable object of class {$class}", static fn () => clone $buffer],
                    [\Exception::class, "Serialization of '{$class}' is not allowed", static fn () => serialize($buffer)],
                    [
                        \Exception::class,
                        "Unserialization of '{$class}' is not allowed",
                        static fn () => unserialize('O:' . strlen($class) . ":\"{$class}\":0:{}"),
                    ],
                    [
                        Error::class,
                        "Cannot create dynamic property {$class}::\$batchSize",
                        static fn () => $buffer->batchSize = 5,
                    ],
                ] as [$type, $message, $act]
            ) {
                self::assertThrows($type, $message, $act);
            }
            self::assertThrows(
                \ReflectionException::class,
                "Class {$class} is an internal class marked as final that cannot be instantiated without invoking its "
                    . 'constructor',
                static fn () => (new \ReflectionClass($class))->newInstanceWithoutConstructor(),
            );
        }
    }
}
