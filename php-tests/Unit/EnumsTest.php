<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\JournalSync;
use WriteBuffer\Ledger;
use WriteBuffer\Merge;
use WriteBuffer\Mode;
use WriteBuffer\Overflow;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\OwnWords;
use WriteBuffer\Tests\Support\PhpProcess;
use WriteBuffer\Tests\Support\PureEnum;

/** The enums: they are taken wherever their words are. */
final class EnumsTest extends MemoryTestCase
{
    /** @return iterable<string, array{class-string<\BackedEnum>, array<string, string>}> */
    public static function enums(): iterable
    {
        yield 'Mode' => [Mode::class, ['Upsert' => 'upsert', 'Insert' => 'insert']];
        yield 'Merge' => [
            Merge::class,
            ['Replace' => 'replace', 'Keep' => 'keep', 'Sum' => 'sum', 'Min' => 'min', 'Max' => 'max'],
        ];
        yield 'Overflow' => [Overflow::class, ['Block' => 'block', 'Throw' => 'throw']];
        yield 'Ledger' => [Ledger::class, ['Auto' => 'auto', 'Always' => 'always', 'Never' => 'never']];
        yield 'JournalSync' => [JournalSync::class, ['None' => 'none', 'Interval' => 'interval', 'Always' => 'always']];
    }

    /**
     * @dataProvider enums
     *
     * @param class-string<\BackedEnum> $enum
     * @param array<string, string>     $cases
     */
    #[DataProvider('enums')]
    public function testIsAnEnumOfPhp(string $enum, array $cases): void
    {
        self::assertSame($cases, array_column($enum::cases(), 'value', 'name'));
        self::assertTrue((new \ReflectionEnum($enum))->isInternal());
        self::assertTrue((new \ReflectionEnum($enum))->isFinal());
        self::assertSame('string', (string) (new \ReflectionEnum($enum))->getBackingType());
        foreach ($enum::cases() as $case) {
            self::assertInstanceOf($enum, $case);
            self::assertSame($case, $enum::from($case->value));
            self::assertSame($case, $enum::tryFrom($case->value));
            self::assertSame($case, constant("{$enum}::{$case->name}"));
            self::assertSame($case, unserialize(serialize($case)));
            self::assertSame($case, eval('return ' . var_export($case, true) . ';'), 'a cached configuration');
            self::assertSame("\"{$case->value}\"", json_encode($case));
        }
        self::assertNull($enum::tryFrom('nothing'));
        self::assertThrowsMatching(\ValueError::class, '/"nothing" is not a valid backing value/', static fn () => $enum::from('nothing'));
    }

    public function testSettingsMayBeCases(): void
    {
        foreach (Overflow::cases() as $overflow) {
            foreach ([$overflow, $overflow->value] as $given) {
                $info = $this->buffer(background: true, overflow: $given)->__debugInfo();
                self::assertSame($overflow->value, $info['overflow']);
            }
        }
        foreach (Ledger::cases() as $ledger) {
            foreach ([$ledger, $ledger->value] as $given) {
                foreach ([$this->buffer(ledger: $given), $this->syncBuffer(ledger: $given)] as $buffer) {
                    self::assertSame($ledger->value, $buffer->__debugInfo()['ledger']);
                }
            }
        }
    }

    public function testRulesMayBeCases(): void
    {
        $words = array_column(Merge::cases(), 'value');
        foreach (Mode::cases() as $mode) {
            $cases = ['t' => ['mode' => $mode, 'merge' => array_combine($words, Merge::cases())]];
            foreach ([$this->buffer(tables: $cases), $this->syncBuffer(tables: $cases)] as $buffer) {
                self::assertSame(
                    ['t' => ['mode' => $mode->value, 'merge' => array_combine($words, $words)]],
                    $buffer->__debugInfo()['tables'],
                );
            }
        }
    }

    public function testRulesThatAreCasesAreKept(): void
    {
        $sum = Merge::Sum;
        $merge = ['n' => &$sum, 'first' => Merge::Keep, 'low' => Merge::Min, 'high' => Merge::Max, 'last' => Merge::Replace];
        $buffer = $this->buffer(tables: ['t' => ['mode' => Mode::Upsert, 'merge' => $merge], 'log' => ['mode' => Mode::Insert]]);
        foreach ([1, 2] as $n) {
            $buffer->put('t', ['id' => 1, 'n' => $n, 'first' => $n, 'low' => $n, 'high' => $n, 'last' => $n]);
        }
        $buffer->put('log', ['id' => 1]);
        $buffer->flush();
        self::assertSame([['id' => 1, 'n' => 3, 'first' => 1, 'low' => 1, 'high' => 2, 'last' => 2]], self::rowsOf('t'));
        $buffer->put('log', ['id' => 1]);
        self::assertThrowsMatching(
            RefusedException::class,
            '/duplicate entry in table log/',
            static fn () => $buffer->flush(),
            1062,
        );
    }

    public function testAnotherEnumIsRefused(): void
    {
        $argument = '__construct(): Argument ';
        foreach (['WriteBuffer', 'SyncWriteBuffer'] as $class) {
            foreach (
                [
                    ['overflow', Ledger::Auto, '#11 ($overflow)', 'Overflow', Ledger::class],
                    ['overflow', OwnWords::Block, '#11 ($overflow)', 'Overflow', OwnWords::class],
                    ['overflow', PureEnum::Block, '#11 ($overflow)', 'Overflow', PureEnum::class],
                    ['overflow', new \stdClass(), '#11 ($overflow)', 'Overflow', 'stdClass'],
                    ['overflow', ['block'], '#11 ($overflow)', 'Overflow', 'array'],
                    ['ledger', Overflow::Block, '#18 ($ledger)', 'Ledger', Overflow::class],
                    ['ledger', 1, '#18 ($ledger)', 'Ledger', 'int'],
                ] as [$parameter, $given, $number, $enum, $type]
            ) {
                self::assertThrows(
                    \TypeError::class,
                    "{$class}::{$argument}{$number} must be of type WriteBuffer\\{$enum}|string|null, {$type} given",
                    static fn () => new $class(...['dsn' => 'memory:', 'background' => true, $parameter => $given]),
                );
            }
            foreach (
                [
                    [['mode' => Merge::Sum], '["mode"] must be \'upsert\' or \'insert\', or a case of WriteBuffer\Mode, '
                        . 'not WriteBuffer\Merge::Sum'],
                    [['mode' => OwnWords::Upsert], '["mode"] must be \'upsert\' or \'insert\', or a case of WriteBuffer\Mode, '
                        . 'not ' . OwnWords::class . '::Upsert'],
                    [['mode' => PureEnum::Block], '["mode"] must be \'upsert\' or \'insert\', or a case of WriteBuffer\Mode, '
                        . 'not ' . PureEnum::class . '::Block'],
                    [['merge' => ['n' => Mode::Upsert]], '["merge"]["n"] must be \'replace\', \'keep\', \'sum\', \'min\' or '
                        . '\'max\', or a case of WriteBuffer\Merge, not WriteBuffer\Mode::Upsert'],
                    [['merge' => Merge::Sum], '["merge"] must be an array, such as [\'available\' => \'sum\']'],
                ] as [$rules, $message]
            ) {
                self::assertThrows(
                    ConfigException::class,
                    "tables[\"t\"]{$message}",
                    static fn () => new $class(...['dsn' => 'memory:', 'tables' => ['t' => $rules]]),
                );
            }
        }
    }

    /** Without strict_types PHP makes a string of an object that can be one. */
    public function testAnObjectMayBeAStringWithoutStrictTypes(): void
    {
        $stringable = 'new class { public function __toString(): string { return "throw"; } }';
        $output = PhpProcess::run(
            "echo (new WriteBuffer(dsn: 'memory:', background: true, overflow: {$stringable}))->__debugInfo()['overflow'];"
                . 'try { new WriteBuffer(dsn: "memory:", background: true, overflow: 5); }'
                . 'catch (WriteBuffer\ConfigException $e) { echo ", ", $e->getMessage(); }'
                . 'class Thrower { public function __toString(): string { throw new LogicException("mine"); } }'
                . 'try { new WriteBuffer(dsn: "memory:", ledger: new Thrower()); }'
                . 'catch (LogicException $e) { echo ", ", $e->getMessage(); }',
        );
        self::assertSame("throw, overflow must be 'block' or 'throw', not \"5\", mine", $output);
    }

    public function testTheEnumsStandInTheSignature(): void
    {
        foreach (['WriteBuffer', 'SyncWriteBuffer'] as $class) {
            foreach (['overflow' => Overflow::class, 'ledger' => Ledger::class] as $name => $enum) {
                $type = (new \ReflectionParameter([$class, '__construct'], $name))->getType();
                self::assertInstanceOf(\ReflectionUnionType::class, $type);
                $names = array_map(static fn (\ReflectionNamedType $named): string => $named->getName(), $type->getTypes());
                self::assertSame([$enum, 'string', 'null'], $names);
            }
        }
    }
}
