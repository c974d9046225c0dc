<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** What the parameter `tables` refuses. */
final class RulesErrorTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{array<array-key, mixed>, string}> `tables`, and the message
     */
    public static function wrongRules(): iterable
    {
        yield 'a list' => [[['key' => 'id']], 'tables must be an associative array; it has the key 0'];
        yield 'a name that is not UTF-8' => [["\xff" => []], 'tables has a key that is not UTF-8'];
        yield 'a name that is none' => [
            ['a.b.c' => []],
            '"a.b.c" is no table name: give `table` or `database.table`, up to 64 characters each; '
                    . 'put a name that has a dot in backticks',
        ];
        foreach (['a string' => 'id', 'null' => null, 'an object' => new \stdClass()] as $case => $rules) {
            yield "rules that are {$case}" => [
                ['t' => $rules],
                'tables["t"] must be an array of rules, such as [\'key\' => \'id\']',
            ];
        }
        yield 'rules that are a list' => [['t' => ['id']], 'tables["t"] must be an associative array; it has the key 0'];
        yield 'an unknown rule' => [
            ['t' => ['keys' => 'id']],
            'tables["t"]["keys"] is no rule; there are: key, mode, merge, guard, allowSecondUnique, repeatable, coalesce',
        ];
        yield 'a key that names a column twice' => [
            ['t' => ['key' => ['u', 'v', 'U']]],
            'tables["t"]["key"] names the column "U" twice: name each once',
        ];
        yield 'an empty key' => [['t' => ['key' => []]], 'tables["t"]["key"] must name at least one column'];
        foreach (['null' => null, 'a number' => 5, 'empty' => '', 'a list with a number' => ['id', 5]] as $case => $key) {
            yield "a key that is {$case}" => [
                ['t' => ['key' => $key]],
                'tables["t"]["key"] must be a column\'s name, a list of names, or \'server\' for the server\'s own keys',
            ];
        }
        foreach (['Upsert', '', null, true] as $mode) {
            yield 'the mode ' . var_export($mode, true) => [
                ['t' => ['mode' => $mode]],
                'tables["t"]["mode"] must be \'upsert\' or \'insert\'',
            ];
        }
        yield 'merge rules that are none' => [
            ['t' => ['merge' => 'sum']],
            'tables["t"]["merge"] must be an array, such as [\'available\' => \'sum\']',
        ];
        yield 'a list of merge rules' => [
            ['t' => ['merge' => ['sum']]],
            'tables["t"]["merge"] must be an associative array; it has the key 0',
        ];
        foreach (['add', 'SUM', '', null, 1] as $rule) {
            yield 'the merge rule ' . var_export($rule, true) => [
                ['t' => ['merge' => ['x' => $rule]]],
                'tables["t"]["merge"]["x"] must be \'replace\', \'keep\', \'sum\', \'min\' or \'max\'',
            ];
        }
        foreach ([null, '', ['v'], 1] as $guard) {
            yield 'the guard ' . json_encode($guard) => [
                ['t' => ['guard' => $guard]],
                'tables["t"]["guard"] must be a column\'s name',
            ];
        }
        foreach ([0, 'no', null] as $coalesce) {
            yield 'coalesce ' . var_export($coalesce, true) => [
                ['t' => ['coalesce' => $coalesce]],
                'tables["t"]["coalesce"] must be true or false',
            ];
        }
        foreach ([1, 'yes', null] as $allowed) {
            yield 'allowSecondUnique ' . var_export($allowed, true) => [
                ['t' => ['allowSecondUnique' => $allowed]],
                'tables["t"]["allowSecondUnique"] must be true or false',
            ];
        }
    }

    /**
     * @dataProvider wrongRules
     *
     * @param array<array-key, mixed> $tables
     */
    #[DataProvider('wrongRules')]
    public function testRefusesRulesThatCannotBeRead(array $tables, string $message): void
    {
        $make = static fn (string $class) => static fn () => new $class(dsn: 'memory:', tables: $tables);
        self::assertThrows(ConfigException::class, $message, $make(\WriteBuffer::class));
        self::assertThrows(ConfigException::class, $message, $make(\SyncWriteBuffer::class));
    }

    public function testRefusesRulesThatContradictEachOther(): void
    {
        $guard = 'the guard v must be a column outside the key, without a merge rule';
        foreach (
            [
                'table t: column id is part of the key and cannot have a merge rule' => ['merge' => ['id' => 'sum']],
                'table t: column K is part of the key and cannot have a merge rule' =>
                    ['key' => ['k', 'l'], 'merge' => ['K' => 'keep']],
                "table t: {$guard}" => ['key' => 'v', 'guard' => 'v'],
                "table t: {$guard} " => ['guard' => 'v', 'merge' => ['v' => 'max']],
            ] as $message => $rules
        ) {
            $buffer = $this->buffer(tables: ['t' => $rules]);
            self::assertThrows(
                ConfigException::class,
                rtrim($message),
                static fn () => $buffer->put('t', ['id' => 1, 'k' => 1, 'l' => 1, 'v' => 1]),
            );
            self::assertCount(0, $buffer);
        }
    }
}
