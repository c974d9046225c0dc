<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\TestCase;
use ReflectionClass;
use ReflectionExtension;
use ReflectionMethod;
use ReflectionParameter;
use ReflectionProperty;
use WriteBuffer\Tests\Support\PhpProcess;

/**
 * The stub is the contract: the loaded extension has exactly what is in it.
 *
 * The stub's classes are declared in another namespace, and Reflection describes both sides.
 */
final class StubTest extends TestCase
{
    private const PREFIX = 'WriteBufferStub\\';

    /**
     * @return array<string, ReflectionClass<object>> the stub's classes, by the names that they
     *         have in the stub
     */
    private static function stubClasses(): array
    {
        if (!class_exists(self::PREFIX . 'WriteBuffer', false)) {
            $code = (string) file_get_contents(dirname(__DIR__, 2) . '/stubs/write_buffer.stub.php');
            $code = preg_replace('/\A<\?php/', '', $code);
            $code = strtr($code, [
                'namespace WriteBuffer {' => 'namespace ' . self::PREFIX . 'WriteBuffer {',
                'namespace WriteBuffer\\Synchronous {' => 'namespace ' . self::PREFIX . 'WriteBuffer\\Synchronous {',
                "namespace {\n" => 'namespace ' . rtrim(self::PREFIX, '\\') . " {\n",
                '\\WriteBuffer\\' => '\\' . self::PREFIX . 'WriteBuffer\\',
            ]);
            eval($code);
        }
        $classes = [];
        foreach ([...get_declared_classes(), ...get_declared_interfaces()] as $name) {
            if (str_starts_with($name, self::PREFIX)) {
                $classes[substr($name, strlen(self::PREFIX))] = new ReflectionClass($name);
            }
        }

        return $classes;
    }

    /** @return array<string, ReflectionClass<object>> */
    private static function extensionClasses(): array
    {
        return (new ReflectionExtension('write_buffer'))->getClasses();
    }

    public function testTheClassesAreThoseOfTheStub(): void
    {
        self::assertCount(27, self::stubClasses());
        self::assertEqualsCanonicalizing(array_keys(self::stubClasses()), array_keys(self::extensionClasses()));
    }

    public function testEachClassIsAsTheStubHasIt(): void
    {
        $extension = self::extensionClasses();
        foreach (self::stubClasses() as $name => $stub) {
            self::assertArrayHasKey($name, $extension);
            self::assertSame(self::describe($stub), self::describe($extension[$name]), $name);
        }
    }

    /** The extension's own table of settings, as phpinfo() shows it, against the stub's text. */
    public function testEachSettingIsDescribedAsInTheExtension(): void
    {
        $info = PhpProcess::run('phpinfo(INFO_MODULES);');
        self::assertSame(1, preg_match('/^Parameter => Allowed => Meaning\n((?:\w+ => .*\n)+)/m', $info, $table));
        preg_match_all('/^(\w+) => (.*?) => (.*)$/m', $table[1], $settings, PREG_SET_ORDER);
        $constructor = self::stubClasses()['WriteBuffer']->getMethod('__construct');
        $comment = (string) preg_replace('/`|\s*\n\s*\*/', '', (string) $constructor->getDocComment());
        $comment = (string) preg_replace('/\s+/', ' ', $comment);
        foreach ($settings as [, $name, $allowed, $meaning]) {
            self::assertSame(1, preg_match("/ \\\${$name} (.*?)(?= @param | @phpstan-param | @throws )/", $comment, $text), $name);
            self::assertStringStartsWith($meaning, $text[1], $name);
            $key = 'write_buffer.' . strtolower((string) preg_replace('/[A-Z]/', '_$0', $name));
            $default = (string) (ini_get_all('write_buffer')[$key]['global_value'] ?? '');
            if ($allowed === 'true or false') {
                $default = $default === '1' ? 'true' : 'false';
            }
            if ($default !== '') {
                self::assertStringEndsWith(" Default {$default}", $text[1], $name);
            }
        }
        self::assertSame(
            array_column($settings, 1),
            array_map(
                static fn (ReflectionParameter $parameter): string => $parameter->getName(),
                $constructor->getParameters(),
            ),
        );
    }

    public function testThereIsNothingBesideTheClasses(): void
    {
        $extension = new ReflectionExtension('write_buffer');
        self::assertSame([], $extension->getFunctions());
        self::assertSame([], $extension->getConstants());
        self::assertSame([], $extension->getDependencies());
        self::assertMatchesRegularExpression('/^\d+\.\d+\.\d+/', (string) $extension->getVersion());
    }

    public function testTheStubIsLoadedWithoutTheExtensionsNames(): void
    {
        self::assertTrue((new ReflectionClass('WriteBuffer'))->isInternal());
        self::assertFalse(self::stubClasses()['WriteBuffer']->isInternal());
    }

    /**
     * @param ReflectionClass<object> $class
     *
     * @return array<string, mixed>
     */
    private static function describe(ReflectionClass $class): array
    {
        $interfaces = array_map(self::plain(...), $class->getInterfaceNames());
        sort($interfaces);
        $methods = [];
        foreach ($class->getMethods() as $method) {
            // What an exception inherits from PHP is not in the stub.
            if ($method->getDeclaringClass()->getName() === $class->getName()) {
                $methods[$method->getName()] = self::describeMethod($method);
            }
        }
        ksort($methods);
        $properties = [];
        foreach ($class->getProperties(ReflectionProperty::IS_PUBLIC | ReflectionProperty::IS_PROTECTED) as $property) {
            if ($property->getDeclaringClass()->getName() === $class->getName()) {
                $properties[] = $property->getName();
            }
        }
        $parent = $class->getParentClass();

        return [
            'interface' => $class->isInterface(),
            'enum' => $class->isEnum() ? (string) (new \ReflectionEnum($class->getName()))->getBackingType() : null,
            'final' => $class->isFinal(),
            'abstract' => $class->isAbstract(),
            'parent' => $parent === false ? null : self::plain($parent->getName()),
            'interfaces' => $interfaces,
            'constants' => $class->isSubclassOf(\Throwable::class)
                ? []
                : array_map(self::describeConstant(...), $class->getConstants()),
            'properties' => $properties,
            'attributes' => self::attributes($class),
            'methods' => $methods,
        ];
    }

    /** An enum's case is another object in the stub than in the extension, with the same value. */
    private static function describeConstant(mixed $value): mixed
    {
        return $value instanceof \BackedEnum ? ['case' => $value->name, 'value' => $value->value] : $value;
    }

    /** @return array<string, mixed> */
    private static function describeMethod(ReflectionMethod $method): array
    {
        return [
            'modifiers' => \Reflection::getModifierNames($method->getModifiers()),
            'by reference' => $method->returnsReference(),
            'returns' => self::plain((string) ($method->getReturnType() ?? $method->getTentativeReturnType() ?? 'nothing')),
            'required' => $method->getNumberOfRequiredParameters(),
            'deprecated' => $method->isDeprecated(),
            'attributes' => self::attributes($method),
            'parameters' => array_map(self::describeParameter(...), $method->getParameters()),
        ];
    }

    /** @return array<string, mixed> */
    private static function describeParameter(ReflectionParameter $parameter): array
    {
        return [
            'name' => $parameter->getName(),
            'type' => self::plain((string) ($parameter->getType() ?? 'none')),
            'nullable' => $parameter->allowsNull(),
            'optional' => $parameter->isOptional(),
            'default' => $parameter->isDefaultValueAvailable() ? $parameter->getDefaultValue() : 'none',
            'by reference' => $parameter->isPassedByReference(),
            'variadic' => $parameter->isVariadic(),
            // PHP 8.1 has no SensitiveParameter, and the extension adds none.
            'attributes' => PHP_VERSION_ID >= 80_200 ? self::attributes($parameter) : [],
        ];
    }

    /**
     * @param ReflectionClass<object>|ReflectionMethod|ReflectionParameter $reflection
     *
     * @return list<string>
     */
    private static function attributes(ReflectionClass|ReflectionMethod|ReflectionParameter $reflection): array
    {
        return array_map(
            static fn (\ReflectionAttribute $attribute): string => $attribute->getName(),
            $reflection->getAttributes(),
        );
    }

    private static function plain(string $name): string
    {
        return str_replace(self::PREFIX, '', $name);
    }
}
