<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\MemoryTestCase;

final class ConstructTest extends MemoryTestCase
{
    /**
     * @return iterable<string, array{array<string, mixed>, array<string, mixed>}> arguments, and
     *         what var_dump() shows
     */
    public static function arguments(): iterable
    {
        yield 'nothing but a DSN' => [
            ['dsn' => 'memory:'],
            [
                'dsn' => 'memory:',
                'maxRetries' => 3,
                'orderTable' => 'orders',
                'tradeTable' => 'trades',
                'ledgerTable' => 'write_buffer_ledger',
                'batchSize' => 100,
                'flushIntervalMs' => 500,
                'maxPendingRows' => 100_000,
                'maxPendingBytes' => 67_108_864,
                'shutdownTimeoutMs' => 5_000,
                'parkTimeoutMs' => 60_000,
                'maxPreparedStatements' => 32,
                'background' => false,
            ],
        ];
        yield 'everything' => [
            [
                'dsn' => 'memory:name',
                'batchSize' => 10,
                'flushIntervalMs' => 20,
                'maxRetries' => 0,
                'background' => false,
                'orderTable' => 'a',
                'tradeTable' => 'b.c',
                'tables' => ['a' => ['key' => 'uuid']],
                'maxPendingRows' => 10,
                'maxPendingBytes' => 1_024,
                'shutdownTimeoutMs' => 1,
                'lanes' => 1,
                'parkTimeoutMs' => 0,
                'maxPreparedStatements' => 0,
            ],
            [
                'dsn' => 'memory:name',
                'maxRetries' => 0,
                'orderTable' => 'a',
                'tradeTable' => 'b.c',
                'batchSize' => 10,
                'flushIntervalMs' => 20,
                'maxPendingRows' => 10,
                'maxPendingBytes' => 1_024,
                'shutdownTimeoutMs' => 1,
                'parkTimeoutMs' => 0,
                'maxPreparedStatements' => 0,
                'background' => false,
            ],
        ];
        yield 'the largest values' => [
            [
                'dsn' => 'memory:',
                'batchSize' => 10_000,
                'flushIntervalMs' => 86_400_000,
                'maxRetries' => 100,
                'maxPendingRows' => 100_000_000,
                'maxPendingBytes' => PHP_INT_MAX,
                'shutdownTimeoutMs' => 86_400_000,
                'parkTimeoutMs' => 86_400_000,
                'maxPreparedStatements' => 16_382,
            ],
            [
                'batchSize' => 10_000,
                'flushIntervalMs' => 86_400_000,
                'maxRetries' => 100,
                'maxPendingRows' => 100_000_000,
                'maxPendingBytes' => PHP_INT_MAX,
                'shutdownTimeoutMs' => 86_400_000,
                'parkTimeoutMs' => 86_400_000,
                'maxPreparedStatements' => 16_382,
                'background' => false,
            ],
        ];
        yield 'null takes the setting of php.ini' => [
            ['dsn' => 'memory:', 'batchSize' => null, 'orderTable' => null, 'background' => null, 'lanes' => null],
            ['batchSize' => 100, 'orderTable' => 'orders'],
        ];
        yield 'a server, which is not asked yet' => [
            ['dsn' => 'mysql://user@host.invalid/db'],
            ['dsn' => 'mysql://user@host.invalid:3306/db'],
        ];
    }

    /**
     * @dataProvider arguments
     *
     * @param array<string, mixed> $arguments
     * @param array<string, mixed> $shown
     */
    #[DataProvider('arguments')]
    public function testTakesItsArguments(array $arguments, array $shown): void
    {
        $buffer = new \WriteBuffer(...$arguments);
        $info = $buffer->__debugInfo();
        foreach ($shown as $name => $value) {
            self::assertSame($value, $info[$name], $name);
        }
        self::assertFalse($info['closed']);
        self::assertSame($buffer->getMetrics(), $info['metrics']);
    }

    public function testTheOrderOfArgumentsIsThatOfTheStub(): void
    {
        $arguments = ['memory:', 10, 20, 2, false, 'a', 'b', [], 30, 4_096, null, null, 60, 1, null, null, null, 'always', 'l.l', true, 70, 80, 'UTC'];
        $buffer = new \WriteBuffer(...$arguments);
        $info = $buffer->__debugInfo();
        unset($info['metrics']);
        self::assertSame(
            [
                'dsn' => 'memory:',
                'maxRetries' => 2,
                'orderTable' => 'a',
                'tradeTable' => 'b',
                'ledger' => 'always',
                'ledgerTable' => 'l.l',
                'redactValues' => true,
                'maxPreparedStatements' => 80,
                'timeZone' => 'UTC',
                'batchSize' => 10,
                'flushIntervalMs' => 20,
                'maxPendingRows' => 30,
                'maxPendingBytes' => 4_096,
                'shutdownTimeoutMs' => 60,
                'parkTimeoutMs' => 70,
                'background' => false,
                'closed' => false,
            ],
            $info,
        );
    }

    public function testTheSynchronousBufferShowsWhatItHas(): void
    {
        $arguments = [
            'memory:', 10, 20, 2, true, 'a', 'b', ['a' => ['key' => 'k']], 30, 4_096, 'throw', 50, 60, 2, 'r', 'p', null, 'always',
            'l.l', true, 70, 80, 'UTC',
        ];
        $info = (new \SyncWriteBuffer(...$arguments))->__debugInfo();
        unset($info['metrics']);
        self::assertSame(
            [
                'dsn' => 'memory:',
                'maxRetries' => 2,
                'orderTable' => 'a',
                'tradeTable' => 'b',
                'tables' => ['a' => ['key' => ['k']]],
                'ledger' => 'always',
                'ledgerTable' => 'l.l',
                'redactValues' => true,
                'maxPreparedStatements' => 80,
                'timeZone' => 'UTC',
                'maxPendingRows' => 30,
                'maxPendingBytes' => 4_096,
                'closed' => false,
            ],
            $info,
        );
    }

    public function testShowsTheRulesOfTables(): void
    {
        $tables = [
            'a' => [
                'key' => ['k', 'l'],
                'mode' => 'upsert',
                'merge' => ['n' => 'sum', 'o' => 'keep', 'p' => 'min', 'q' => 'max', 'r' => 'replace'],
                'guard' => 'v',
                'allowSecondUnique' => true,
                'repeatable' => true,
                'coalesce' => false,
            ],
            'b' => ['key' => 'server'],
            'c' => ['mode' => 'insert'],
            'd' => [],
        ];
        foreach ([$this->buffer(tables: $tables), $this->syncBuffer(tables: $tables)] as $buffer) {
            self::assertSame($tables, $buffer->__debugInfo()['tables']);
        }
        // What says what is the case anyway is not shown.
        $usual = ['a' => ['key' => 'k', 'allowSecondUnique' => false, 'repeatable' => false, 'coalesce' => true]];
        self::assertSame(['a' => ['key' => ['k']]], $this->buffer(tables: $usual)->__debugInfo()['tables']);
        self::assertArrayNotHasKey('tables', $this->buffer()->__debugInfo());
    }

    public function testReadsRulesThroughReferences(): void
    {
        $key = ['user', 'asset'];
        $merge = ['available' => 'sum'];
        $rules = ['key' => &$key, 'merge' => &$merge];
        $tables = ['balances' => &$rules];
        $buffer = $this->buffer(tables: $tables);
        $buffer->put('balances', ['user' => 1, 'asset' => 'BTC', 'available' => 1]);
        $buffer->put('balances', ['user' => 1, 'asset' => 'BTC', 'available' => 2]);
        self::assertSame(['user' => 1, 'asset' => 'BTC', 'available' => 3], $buffer->find('balances', [1, 'BTC']));
    }

    public function testAModelOfTheWholeConfiguration(): void
    {
        $buffer = $this->buffer(tables: [
            'a' => ['key' => 'id', 'mode' => 'upsert', 'merge' => [], 'allowSecondUnique' => true],
            'b' => ['key' => ['x'], 'mode' => 'insert', 'allowSecondUnique' => false],
            'c' => ['guard' => 'v', 'merge' => ['r' => 'replace', 'k' => 'keep', 's' => 'sum', 'l' => 'min', 'h' => 'max']],
            'd' => [],
        ]);
        foreach (['a', 'b', 'c', 'd'] as $table) {
            $buffer->put($table, ['id' => 1, 'x' => 1, 'v' => 1]);
        }
        self::assertSame(4, $buffer->flush());
    }
}
