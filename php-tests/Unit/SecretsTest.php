<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\TestCase;
use WriteBuffer\ConnectionException;
use WriteBuffer\Tests\Support\AssertsExceptions;
use WriteBuffer\Tests\Support\Extension;
use WriteBuffer\Tests\Support\PhpProcess;

/** A DSN's password is in no message, no stack trace, no dump and no phpinfo(). */
final class SecretsTest extends TestCase
{
    use AssertsExceptions;

    // Nobody but root may listen on port 1, so connecting is refused at once.
    private const DSN = 'mysql://user:S3cr3t%2FWord@127.0.0.1:1/db';

    protected function setUp(): void
    {
        // Without them a stack trace shows no secret, whatever is marked as one.
        ini_set('zend.exception_ignore_args', '0');
    }

    protected function tearDown(): void
    {
        ini_set('zend.exception_ignore_args', '1');
    }

    private static function assertNoSecret(string $text, string $where): void
    {
        foreach (['S3cr3t', 'Word'] as $secret) {
            self::assertStringNotContainsString($secret, $text, $where);
        }
    }

    public function testNoDumpOfABufferShowsIt(): void
    {
        foreach ([new \WriteBuffer(self::DSN), new \SyncWriteBuffer(self::DSN)] as $buffer) {
            ob_start();
            var_dump($buffer);
            $dump = (string) ob_get_clean();
            ob_start();
            debug_zval_dump($buffer);
            $zval = (string) ob_get_clean();
            self::assertStringContainsString('mysql://user:***@127.0.0.1:1/db', $dump);
            self::assertStringContainsString('mysql://user:***@127.0.0.1:1/db', print_r($buffer, true));
            foreach (
                [
                    'var_dump()' => $dump,
                    'debug_zval_dump()' => $zval,
                    'print_r()' => print_r($buffer, true),
                    'var_export()' => var_export($buffer, true),
                    'json_encode()' => (string) json_encode($buffer),
                    'a cast' => print_r((array) $buffer, true),
                    'get_object_vars()' => print_r(get_object_vars($buffer), true),
                    'Reflection' => (string) new \ReflectionObject($buffer),
                ] as $where => $text
            ) {
                self::assertNoSecret($text, $where);
            }
        }
    }

    public function testNoExceptionShowsIt(): void
    {
        $broken = 'mysql://user:S3cr3t/Word@127.0.0.1:1/db';
        foreach (
            [
                'a wrong setting' => static fn () => new \WriteBuffer(self::DSN, batchSize: 0),
                'a wrong setting of the other class' => static fn () => new \SyncWriteBuffer(self::DSN, maxRetries: -1),
                'a wrong type' => static fn () => new \WriteBuffer(self::DSN, batchSize: 'x'),
                'a broken DSN' => static fn () => new \WriteBuffer($broken),
                'a broken DSN of the other class' => static fn () => new \SyncWriteBuffer($broken),
                'a DSN that is not UTF-8' => static fn () => new \WriteBuffer(self::DSN . "\xff"),
                'an unknown option' => static fn () => new \WriteBuffer(self::DSN . '?x=1'),
                'a part that looks like an option' => static fn () => new \WriteBuffer('mysql://u@h/d?S3cr3t'),
                'a part that looks like a value' => static fn () => new \WriteBuffer('mysql://u@h/d?tls=S3cr3t'),
                'a part that looks like a port' => static fn () => new \WriteBuffer('mysql://u:S3cr3t'),
                'a part that looks like a host' => static fn () => new \WriteBuffer('mysql://u:p@x,S3cr3t:Word/d'),
                'a second construction' => static function (): void {
                    (new \WriteBuffer('memory:'))->__construct(self::DSN);
                },
            ] as $case => $act
        ) {
            $thrown = self::thrownBy($act);
            self::assertNotNull($thrown, $case);
            self::assertNoSecret($thrown->getMessage(), $case);
            if (PHP_VERSION_ID >= 80_200) {
                // Before PHP 8.2 there is no SensitiveParameter. There php.ini-production sets
                // zend.exception_ignore_args.
                self::assertNoSecret((string) $thrown, $case);
                self::assertNoSecret(print_r($thrown->getTrace()[0], true), $case);
            }
        }
    }

    public function testNoErrorOfAConnectionShowsIt(): void
    {
        $buffer = new \WriteBuffer(self::DSN, shutdownTimeoutMs: 500);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer->add(['id' => 1]);
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            self::assertInstanceOf(ConnectionException::class, $thrown);
            self::assertNoSecret((string) $thrown, 'the exception');
            self::assertNoSecret((string) $buffer->getMetrics()['last_error'], 'the metrics');
            self::assertNotNull($buffer->getMetrics()['last_error']);
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertNoSecret($warnings[0], 'the warning');
    }

    public function testPhpinfoMasksIt(): void
    {
        $output = PhpProcess::run(
            'phpinfo(INFO_MODULES); echo "\nini: ", ini_get("write_buffer.batch_size"), "\n";',
            ['write_buffer.dsn' => self::DSN, 'write_buffer.batch_size' => '7'],
        );
        self::assertNoSecret($output, 'phpinfo()');
        self::assertStringContainsString('mysql://user:***@127.0.0.1:1/db', $output);
        self::assertStringContainsString("\nini: 7\n", $output);
        $broken = PhpProcess::run('phpinfo(INFO_MODULES);', ['write_buffer.dsn' => 'mysql://user:S3cr3t/Word@h/d']);
        self::assertNoSecret($broken, 'a DSN that cannot be read');
        self::assertStringContainsString('write_buffer.dsn => not a DSN => not a DSN', $broken);
    }

    /** `php -i` and `php --ri`, which administrators paste into reports. */
    public function testTheCommandLineMasksIt(): void
    {
        $extension = Extension::file();
        $php = [PHP_BINARY, ...($extension === null ? [] : ['-d', "extension={$extension}"])];
        foreach ([self::DSN => 'mysql://user:***@127.0.0.1:1/db', 'mysql://user:S3cr3t/Word@h/d' => 'not a DSN'] as $dsn => $shown) {
            foreach ([['-i'], ['--ri', 'write_buffer']] as $options) {
                $command = array_map(escapeshellarg(...), [...$php, '-d', "write_buffer.dsn=\"{$dsn}\"", ...$options]);
                $output = (string) shell_exec(implode(' ', $command));
                self::assertStringContainsString("write_buffer.dsn => {$shown} => {$shown}", $output);
                // `php -i` also shows the process's arguments, as an administrator's shell does.
                $lines = (array) preg_grep('/^\$_SERVER\[|^argv|^\s/', explode("\n", $output), PREG_GREP_INVERT);
                self::assertNoSecret(implode("\n", $lines), $options[0]);
            }
        }
    }
}
