<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use ReflectionClass;

/** The polyfill declares the same interface, exceptions and enums as the extension. */
final class PolyfillTest extends TestCase
{
    public function testItDeclaresWhatTheExtensionDeclares(): void
    {
        if (!extension_loaded('write_buffer')) {
            self::fail('the extension write_buffer is not loaded: run the tests with `make test-laravel`');
        }
        $here = self::describeInProcess(['-n']);
        self::assertSame('polyfill', array_shift($here));
        self::assertSame(self::describe(), $here);
    }

    /** @return list<string> one line for each class, interface and method */
    public static function describe(): array
    {
        $lines = [];
        foreach (
            ['Exception', 'NotTaken', 'Retryable', 'ConfigException', 'ConnectionException', 'FullException',
            'TooLargeException', 'FlushException', 'RefusedException', 'BlockedException', 'TimeoutException',
            'ClosedException', 'IncompleteException', 'Synchronous\\BlockedException', 'Synchronous\\ConnectionException',
            'Synchronous\\TimeoutException', 'Buffer', 'Mode', 'Merge', 'Overflow', 'Ledger', 'JournalSync'] as $name
        ) {
            $class = new ReflectionClass("WriteBuffer\\{$name}");
            $interfaces = $class->getInterfaceNames();
            sort($interfaces);
            $lines[] = $class->getName() . ($class->isFinal() ? ' final' : '') . ($class->isInterface() ? ' interface' : '')
                . ' ' . ($class->getParentClass() ? $class->getParentClass()->getName() : '') . ' ' . implode(',', $interfaces);
            foreach ($class->isEnum() ? $class->getName()::cases() : [] as $case) {
                $lines[] = '  ' . json_encode([$class->getName(), $case->name, $case->value]);
            }
            foreach ($class->getMethods() as $method) {
                if (!str_starts_with($method->getDeclaringClass()->getName(), 'WriteBuffer\\')) {
                    continue;
                }
                $parameters = [];
                foreach ($method->getParameters() as $parameter) {
                    $parameters[] = $parameter->getType() . ' $' . $parameter->getName() . ($parameter->isOptional() ? '=' : '');
                }
                $lines[] = '  ' . $method->getName() . '(' . implode(', ', $parameters) . '): '
                    . ($method->getReturnType() ?? '-');
            }
        }
        sort($lines);

        return $lines;
    }

    /**
     * @param list<string> $options
     *
     * @return list<string>
     */
    private static function describeInProcess(array $options): array
    {
        $code = 'spl_autoload_register(static function (string $class): void {'
            . '$file = ' . var_export(dirname(__DIR__, 2) . '/polyfill/', true) . ' . strtr(substr($class, 12), "\\\\", "/") . ".php";'
            . 'if (is_file($file)) { require $file; } });'
            . 'eval("namespace PHPUnit\\\\Framework; class TestCase {}");'
            . 'require ' . var_export(__FILE__, true) . ';'
            . 'echo extension_loaded("write_buffer") ? "extension" : "polyfill", "\n",'
            . 'implode("\n", ' . self::class . '::describe());';
        exec(implode(' ', array_map('escapeshellarg', [PHP_BINARY, ...$options, '-r', $code])) . ' 2>&1', $lines, $status);
        self::assertSame(0, $status, implode("\n", $lines));

        return $lines;
    }
}
