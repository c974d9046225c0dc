<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use WriteBuffer\Buffer;
use WriteBuffer\FlushException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\MemorySink;

/**
 * What every driver does alike. Each test runs against each driver, and asks the tables, not the
 * driver.
 */
abstract class ContractTestCase extends TestCase
{
    /** The tables, in SQL that MySQL, MariaDB and SQLite understand. */
    private const TABLES = [
        'orders' => 'id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL, price DECIMAL(12,2), status VARCHAR(10)',
        'trades' => 'id INTEGER NOT NULL PRIMARY KEY, order_id INTEGER, quantity DECIMAL(12,4)',
        'balances' => "user_id INTEGER NOT NULL, asset VARCHAR(5) NOT NULL, free DECIMAL(12,2) DEFAULT 0, first VARCHAR(10), "
            . 'lo INTEGER, hi INTEGER, PRIMARY KEY (user_id, asset)',
        'quotes' => 'symbol VARCHAR(20) NOT NULL PRIMARY KEY, version INTEGER, price DECIMAL(12,2)',
        'moments' => 'id INTEGER NOT NULL PRIMARY KEY, happened_at DATETIME, flag INTEGER, rate DOUBLE, word VARCHAR(20)',
    ];

    private const RULES = [
        'balances' => ['key' => ['user_id', 'asset'], 'merge' => [
            'free' => 'sum', 'first' => 'keep', 'lo' => 'min', 'hi' => 'max',
        ]],
        'quotes' => ['key' => 'symbol', 'guard' => 'version'],
    ];

    protected string $driver;

    protected function configuration(): array
    {
        $configuration = parent::configuration();
        $configuration['database']['connections']['sqlite']['foreign_key_constraints'] = true;

        return $configuration;
    }

    /** @return iterable<string, array{string}> */
    public static function drivers(): iterable
    {
        foreach (['native background', 'native foreground', 'sync', 'php', 'php on sqlite', 'memory'] as $driver) {
            yield $driver => [$driver];
        }
    }

    /** @param array<string, mixed> $settings beside those that the contract needs */
    protected function of(string $driver, array $settings = []): Buffer
    {
        $this->driver = $driver;
        $this->createTables(self::TABLES);

        return $this->make($settings);
    }

    /** @param array<string, string> $tables */
    protected function createTables(array $tables): void
    {
        if ($this->driver === 'memory') {
            MemorySink::reset();

            return;
        }
        foreach ($tables as $name => $definition) {
            if ($this->driver === 'php on sqlite') {
                $database = $this->app->make('db')->connection('sqlite');
                $database->unprepared("DROP TABLE IF EXISTS {$name}");
                $database->unprepared("CREATE TABLE {$name} ({$definition})");
            } else {
                $this->createTable($name, $definition);
            }
        }
    }

    /** @param array<string, mixed> $settings beside those that the contract needs */
    protected function make(array $settings): Buffer
    {
        $driver = $this->driver;
        $this->app->make(BufferManager::class)->purge('contract');
        $this->app->make('config')->set('write-buffer.buffers.contract', $settings + [
            'connection' => $driver === 'php on sqlite' ? 'sqlite' : 'mysql',
            'driver' => str_contains($driver, 'php') ? 'php' : ($driver === 'sync' ? 'sync' : 'native'),
            'background' => $driver === 'native background',
            'dsn' => $driver === 'memory' ? 'memory:' : null,
            'flush_interval_ms' => 3_600_000,
            'tables' => self::RULES,
        ]);

        return $this->app->make(BufferManager::class)->buffer('contract');
    }

    protected function isSync(): bool
    {
        return $this->driver === 'sync';
    }

    /**
     * A table's rows, each value as its shortest text, since drivers and databases may differ in
     * types.
     *
     * @param list<string> $columns
     *
     * @return list<array<string, string|null>>
     */
    protected function tableOf(string $table, array $columns): array
    {
        $rows = $this->driver === 'memory'
            ? MemorySink::tables()[$table] ?? []
            : $this->rows($table, $this->driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $texts = array_map(static function (array $row) use ($columns): array {
            $text = [];
            foreach ($columns as $column) {
                $value = $row[$column] ?? null;
                $value = $value === null ? null : (string) $value;
                $text[$column] = $value !== null && preg_match('/^-?[0-9]+\.[0-9]+$/D', $value) === 1
                    ? rtrim(rtrim($value, '0'), '.')
                    : $value;
            }

            return $text;
        }, $rows);
        usort($texts, static fn (array $left, array $right): int => array_values($left) <=> array_values($right));

        return $texts;
    }

    /**
     * Makes calls that are refused, and flushes. A sync buffer throws at the call itself.
     *
     * @param list<callable(): void> $calls
     */
    protected function refusedBy(Buffer $buffer, array $calls): FlushException
    {
        $thrown = null;
        foreach ([...$calls, static fn () => $buffer->flush()] as $call) {
            try {
                $call();
            } catch (FlushException $e) {
                self::assertNull($thrown, 'it is said once');
                $thrown = $e;
            }
        }

        return $thrown ?? self::fail('nothing was refused');
    }

    protected static function assertCounted(Buffer $buffer): void
    {
        $metrics = $buffer->getMetrics();
        self::assertSame(
            $metrics['rows_added'],
            $metrics['rows_committed'] + $metrics['rows_pending'] + $metrics['rows_refused'],
            (string) json_encode($metrics),
        );
        self::assertCount($metrics['rows_pending'], $buffer);
    }

    /** @param class-string<\Throwable> $class */
    protected static function assertThrown(string $class, callable $call, string $message = ''): void
    {
        try {
            $call();
        } catch (\Throwable $e) {
            self::assertInstanceOf($class, $e, $e->getMessage());
            self::assertStringContainsString($message, $e->getMessage());

            return;
        }
        self::fail("{$class} was not thrown");
    }
}
