<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Synchronous\ConnectionException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/**
 * Whom TLS trusts, what it refuses, and the messages. The server's certificate is for 127.0.0.1
 * only.
 */
final class TlsTest extends DatabaseTestCase
{
    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, cipher VARCHAR(100)');
        // Only the session itself knows whether it is encrypted.
        $this->admin()->exec('CREATE TRIGGER wb_orders_cipher BEFORE INSERT ON wb_orders FOR EACH ROW SET NEW.cipher = ('
            . $this->cipher() . ')');
    }

    private function cipher(): string
    {
        return self::setting('DB_SERVER') === 'mariadb'
            ? "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'"
            : "SELECT VARIABLE_VALUE FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'";
    }

    /** Options with the files' folder for `DIR`. */
    private function dsnOver(string $options, string $host = '127.0.0.1'): string
    {
        $dsn = $this->dsnWith(str_replace('DIR', rawurlencode(self::setting('DB_TLS_DIR')), $options));

        return str_replace('@127.0.0.1:', "@{$host}:", $dsn);
    }

    /** @return iterable<string, array{string, 1?: string}> options of the DSN, and the host */
    public static function accepted(): iterable
    {
        yield 'by its authority and address' => ['tls_ca=DIR/ca.pem'];
        yield 'the same, said at length' => ['tls=required&tls_verify=identity&tls_ca=DIR/ca.pem'];
        // 0.0.0.0 is this machine, but not in the certificate.
        yield 'by its authority, for another host' => ['tls_verify=ca&tls_ca=DIR/ca.pem', '0.0.0.0'];
        yield 'without a check' => ['tls_verify=none'];
        yield 'without a check, for another host' => ['tls_verify=none&tls=required', '0.0.0.0'];
        yield 'with a certificate of ours' => [
            'tls_ca=DIR/ca.pem&tls_cert=DIR/client-cert.pem&tls_key=DIR/client-key.pem',
        ];
        yield 'with a certificate of ours, without a check' => [
            'tls_verify=none&tls_cert=DIR/client-cert.pem&tls_key=DIR/client-key.pem',
        ];
    }

    /**
     * @dataProvider accepted
     */
    #[DataProvider('accepted')]
    public function testAServerIsAccepted(string $options, string $host = '127.0.0.1'): void
    {
        $buffer = $this->buffer(dsn: $this->dsnOver($options, $host), orderTable: 'wb_orders');
        $buffer->add(['id' => 1]);
        self::assertSame(1, $buffer->flush());
        self::assertStringContainsString('TLS_', strtoupper((string) $this->value('SELECT cipher FROM wb_orders')));
    }

    public function testNothingIsEncryptedUnlessItIsAskedFor(): void
    {
        foreach ([$this->dsn(), $this->dsnWith('tls=off')] as $id => $dsn) {
            $this->syncBuffer(dsn: $dsn, orderTable: 'wb_orders')->add(['id' => $id]);
        }
        self::assertSame(['', ''], array_column($this->rows('wb_orders'), 'cipher'));
    }

    public function testRowsLargerThanARecordArriveWhole(): void
    {
        $this->createTable('wb_large', 'id INT PRIMARY KEY, v LONGBLOB');
        $buffer = $this->buffer(dsn: $this->dsnOver('tls_ca=DIR/ca.pem'), orderTable: 'wb_large');
        $values = [];
        foreach ([1, 16_383, 16_384, 16_385, 1_000_000] as $id => $length) {
            $values[$id] = random_bytes($length);
            $buffer->add(['id' => $id, 'v' => $values[$id]]);
        }
        self::assertSame(count($values), $buffer->flush());
        $stored = $this->rows('wb_large', 'id, SHA2(v, 256) AS sum');
        $sums = array_map(static fn (string $value): string => hash('sha256', $value), $values);
        self::assertSame($sums, array_column($stored, 'sum', 'id'));
    }

    public function testAConnectionThatWasLostIsEncryptedAgain(): void
    {
        $buffer = $this->buffer(dsn: $this->dsnOver('tls_ca=DIR/ca.pem'), orderTable: 'wb_orders');
        foreach ([1, 2] as $id) {
            $buffer->add(['id' => $id]);
            $buffer->flush();
            foreach ($this->bufferConnections() as $connection) {
                $this->admin()->exec("KILL CONNECTION {$connection}");
            }
        }
        self::assertNotContains('', array_column($this->rows('wb_orders'), 'cipher'));
        self::assertSame(1, $buffer->getMetrics()['reconnects']);
    }

    /**
     * @return iterable<string, array{string, string, 2?: string}> options of the DSN, what is said,
     *         and the host
     */
    public static function refused(): iterable
    {
        $allow = '; give the authority\'s certificate as tls_ca=PATH, or accept any certificate by tls_verify=none';
        $unknown = "the server's certificate is not signed by an authority of the system{$allow}";
        yield 'an authority that the system does not know' => ['tls=required', $unknown];
        yield 'the same, for whatever host' => ['tls_verify=ca', $unknown];
        foreach (['tls_ca=DIR/other-ca.pem', 'tls_verify=ca&tls_ca=DIR/other-ca.pem'] as $options) {
            yield "another authority: {$options}" => [
                $options,
                "the server's certificate is not signed by an authority of DIR/other-ca.pem{$allow}",
            ];
        }
        yield 'another host' => [
            'tls_ca=DIR/ca.pem',
            'the server\'s certificate is for another host; name the host in the DSN as the certificate does, or check the '
                . 'authority only, by tls_verify=ca',
            '0.0.0.0',
        ];
        yield 'a certificate of ours that the server does not know' => [
            'tls_ca=DIR/ca.pem&tls_cert=DIR/other-cert.pem&tls_key=DIR/other-key.pem',
            'the server refused this client\'s certificate (received fatal alert: UnknownCA); give one that an authority of the '
                . 'server\'s ssl_ca signed, as tls_cert and tls_key',
        ];
    }

    /**
     * @dataProvider refused
     */
    #[DataProvider('refused')]
    public function testAServerIsRefused(string $options, string $message, string $host = '127.0.0.1'): void
    {
        $buffer = $this->syncBuffer(dsn: $this->dsnOver($options, $host), orderTable: 'wb_orders');
        $place = $host . ':' . self::setting('DB_PORT') . '/' . self::setting('DB_DATABASE');
        $message = str_replace('DIR', self::setting('DB_TLS_DIR'), $message);
        self::assertThrows(
            ConnectionException::class,
            "cannot connect to {$place} as \"write_buffer\": {$message}",
            static fn () => $buffer->add(['id' => 1]),
            2026,
        );
        self::assertSame([], $this->rows('wb_orders'));
    }

    /** @return iterable<string, array{string, string}> options of the DSN, and what is said */
    public static function unusableFiles(): iterable
    {
        yield 'no such file' => ['tls_ca=DIR/gone.pem', 'tls_ca DIR/gone.pem cannot be read: No such file or directory (os error 2)'];
        yield 'a folder' => ['tls_ca=DIR', 'tls_ca DIR cannot be read: Is a directory (os error 21)'];
        yield 'a device' => ['tls_ca=/dev/zero', 'tls_ca /dev/zero cannot be read: it is no file'];
        yield 'no certificate' => ['tls_ca=DIR/ca-key.pem', 'tls_ca DIR/ca-key.pem holds no certificate in PEM'];
        yield 'no key' => [
            'tls_verify=none&tls_cert=DIR/client-cert.pem&tls_key=DIR/client-cert.pem',
            'tls_key DIR/client-cert.pem holds no private key in PEM that can be read; an encrypted one is to be decrypted first '
                . '(openssl pkey)',
        ];
        yield 'the key of another certificate' => [
            'tls_verify=none&tls_cert=DIR/client-cert.pem&tls_key=DIR/other-key.pem',
            'tls_cert DIR/client-cert.pem and tls_key DIR/other-key.pem cannot be used together: keys may not be consistent: '
                . 'KeyMismatch',
        ];
        yield 'a key alone' => ['tls_key=DIR/client-key.pem', 'the DSN has tls_key without tls_cert: give both'];
        yield 'a contradiction' => ['tls=off&tls_ca=DIR/ca.pem', 'the DSN has tls=off and tls_ca: leave out one of the two'];
        yield 'a unix socket' => [
            'tls=required&unix_socket=/s',
            'the DSN has unix_socket and tls=required: what goes through a unix socket never leaves the machine, and is not '
                . 'encrypted; leave out one of the two',
        ];
    }

    /**
     * @dataProvider unusableFiles
     */
    #[DataProvider('unusableFiles')]
    public function testFilesAreCheckedWhenABufferIsMade(string $options, string $message): void
    {
        $dsn = $this->dsnOver($options);
        $message = str_replace('DIR', self::setting('DB_TLS_DIR'), $message);
        foreach (['WriteBuffer', 'SyncWriteBuffer'] as $class) {
            self::assertThrows(ConfigException::class, $message, static fn () => new $class($dsn));
        }
    }

    public function testAFileThatIsGoneLaterIsNamed(): void
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'wb_ca');
        copy(self::setting('DB_TLS_DIR') . '/ca.pem', $file);
        $buffer = $this->syncBuffer(dsn: $this->dsnOver('tls_ca=' . rawurlencode($file)), orderTable: 'wb_orders');
        unlink($file);
        self::assertThrowsMatching(
            ConnectionException::class,
            '/^cannot connect to 127\.0\.0\.1:\d+\/write_buffer_test as "write_buffer": tls_ca ' . preg_quote($file, '/')
                . ' cannot be read: No such file or directory \(os error 2\)$/D',
            static fn () => $buffer->add(['id' => 1]),
            2026,
        );
        copy(self::setting('DB_TLS_DIR') . '/ca.pem', $file);
        $buffer->add(['id' => 1]);
        unlink($file);
        self::assertCount(1, $this->rows('wb_orders'));
    }

    public function testAServerWithoutTlsIsRefused(): void
    {
        // Another process sends the greeting of a server without the capability CLIENT_SSL.
        $code = <<<'PHP'
            $server = stream_socket_server('tcp://127.0.0.1:0');
            echo stream_socket_get_name($server, false), "\n";
            $greeting = "\x0a10.11.0-MariaDB\0" . pack('V', 1) . "abcdefgh\0" . pack('vCvv', 0xf7fe, 45, 2, 0x0008)
                . "\x15" . str_repeat("\0", 10) . "abcdefghijkl\0" . "mysql_native_password\0";
            while ($client = stream_socket_accept($server, 30)) {
                fwrite($client, substr(pack('V', strlen($greeting)), 0, 3) . "\0" . $greeting);
                echo bin2hex((string) stream_get_contents($client)), "\n";
            }
            PHP;
        $process = proc_open([PHP_BINARY, '-n', '-r', $code], [1 => ['pipe', 'w']], $pipes);
        self::assertIsResource($process);
        $place = trim((string) fgets($pipes[1]));
        $buffer = $this->syncBuffer(dsn: "mysql://user:secret@{$place}/db?tls=required", orderTable: 'wb_orders');
        self::assertThrows(
            ConnectionException::class,
            "cannot connect to {$place}/db as \"user\": the server speaks no TLS; give it a certificate (its ssl_cert and ssl_key), "
                . 'or connect without, by tls=off',
            static fn () => $buffer->add(['id' => 1]),
            2026,
        );
        self::assertMatchesRegularExpression('/^(010000..01)?$/D', trim((string) fgets($pipes[1])), 'at most COM_QUIT was sent');
        proc_terminate($process, 9);
        fclose($pipes[1]);
        proc_close($process);
    }

    public function testAForkedChildConnectsOverTls(): void
    {
        if (!function_exists('pcntl_fork')) {
            self::markTestSkipped('the extension pcntl is needed to fork');
        }
        $output = PhpProcess::run(
            <<<'PHP'
                $buffer = new WriteBuffer(dsn: $argv[1], background: true, orderTable: 'wb_orders');
                $buffer->add(['id' => 1]);
                $buffer->flush();
                $child = pcntl_fork();
                $buffer->add(['id' => $child === 0 ? 2 : 3]);
                $buffer->flush();
                if ($child !== 0) {
                    pcntl_waitpid($child, $status);
                    echo $status;
                }
                PHP,
            [],
            [$this->dsnOver('tls_ca=DIR/ca.pem')],
        );
        self::assertSame('0', $output);
        self::assertSame(['1', '2', '3'], array_column($this->rows('wb_orders'), 'id'));
        self::assertNotContains('', array_column($this->rows('wb_orders'), 'cipher'));
    }
}
