<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use ReflectionMethod;
use ReflectionNamedType;
use SensitiveParameter;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/** A password of the configuration is in no message and no stack trace of this package. */
final class SecretsTest extends TestCase
{
    private const SECRET = 'S3cr3tW0rd';

    /** Every parameter that a DSN or a connection's configuration goes through. */
    public function testEachParameterWithAPasswordIsMarked(): void
    {
        $count = 0;
        $source = dirname(__DIR__, 2) . '/src';
        foreach (new \RecursiveIteratorIterator(new \RecursiveDirectoryIterator($source)) as $file) {
            if ($file->getExtension() !== 'php') {
                continue;
            }
            $class = 'WriteBuffer\\Laravel' . strtr(substr($file->getPathname(), strlen($source), -4), '/', '\\');
            // The rules of tables hold no password.
            if ((!class_exists($class) && !trait_exists($class)) || str_contains($class, '\\Tables\\')) {
                continue;
            }
            foreach ((new \ReflectionClass($class))->getMethods() as $method) {
                foreach ($method->getDeclaringClass()->getName() === $class ? $method->getParameters() : [] as $parameter) {
                    $type = $parameter->getType();
                    $holds = in_array($parameter->getName(), ['config', 'pdo', 'dsn', 'password'], true)
                        && (!$type instanceof ReflectionNamedType || in_array($type->getName(), ['array', 'string'], true));
                    if ($holds) {
                        $count++;
                        self::assertCount(
                            1,
                            $parameter->getAttributes(SensitiveParameter::class),
                            "{$class}::{$method->getName()}(\${$parameter->getName()})",
                        );
                    }
                }
            }
        }
        self::assertGreaterThan(15, $count);
    }

    public function testNoTraceHasThePassword(): void
    {
        $app = new \Illuminate\Container\Container();
        $dsn = 'mysql://user:' . self::SECRET . '@h/d';
        $connection = ['driver' => 'mysql', 'host' => 'h', 'username' => 'u', 'password' => self::SECRET, 'database' => ''];
        $app->instance('config', new \Illuminate\Config\Repository([
            'write-buffer' => ['default' => 'wrong', 'buffers' => [
                'wrong' => ['driver' => 'native', 'dsn' => "{$dsn}?" . self::SECRET],
                'setting' => ['driver' => 'native', 'dsn' => $dsn, 'batch_size' => 'many'],
                'driver' => ['driver' => 'none', 'dsn' => $dsn],
                'connection' => ['driver' => 'native'],
            ]],
        ]));
        $database = new \Illuminate\Database\Connection(static fn () => null, '', '', $connection);
        $app->instance('db', new class ($database) extends \Illuminate\Database\DatabaseManager {
            public function __construct(private readonly \Illuminate\Database\Connection $connection)
            {
            }

            public function connection($name = null)
            {
                return $this->connection;
            }

            public function getDefaultConnection(): string
            {
                return 'default';
            }
        });
        $ignored = ini_set('zend.exception_ignore_args', '0');
        ini_set('zend.exception_string_param_max_len', '1000');
        try {
            foreach (['wrong', 'setting', 'driver', 'connection'] as $name) {
                try {
                    (new BufferManager($app))->buffer($name);
                    self::fail("{$name}: nothing was thrown");
                } catch (ConfigException $e) {
                    self::assertStringNotContainsString(self::SECRET, $e->getMessage(), $name);
                    if (PHP_VERSION_ID >= 80_200) {
                        self::assertNoSecret($e->getTrace(), $name);
                    }
                }
            }
        } finally {
            ini_set('zend.exception_ignore_args', (string) $ignored);
            ini_restore('zend.exception_string_param_max_len');
        }
    }

    /** @param list<array<string, mixed>> $trace */
    private static function assertNoSecret(array $trace, string $name): void
    {
        $seen = 0;
        foreach ($trace as $frame) {
            // The frames of this test itself are not the package's.
            if (str_starts_with($frame['class'] ?? '', 'WriteBuffer\\Laravel\\Tests')) {
                break;
            }
            $seen += count($frame['args'] ?? []);
            // Objects are not printed in traces.
            $values = array_filter($frame['args'] ?? [], static fn (mixed $value): bool => !is_object($value));
            self::assertStringNotContainsString(self::SECRET, print_r($values, true), "{$name}: {$frame['function']}()");
        }
        self::assertGreaterThan(0, $seen, $name);
    }
}
