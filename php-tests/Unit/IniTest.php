<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use ReflectionExtension;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\AssertsExceptions;
use WriteBuffer\Tests\Support\PhpProcess;

/** The settings of php.ini. Each stands for a parameter of the constructor. */
final class IniTest extends TestCase
{
    use AssertsExceptions;

    private const DEFAULTS = [
        'write_buffer.dsn' => '',
        'write_buffer.batch_size' => '100',
        'write_buffer.flush_interval_ms' => '500',
        'write_buffer.max_retries' => '3',
        'write_buffer.background' => '1',
        'write_buffer.order_table' => 'orders',
        'write_buffer.trade_table' => 'trades',
        'write_buffer.max_pending_rows' => '100000',
        'write_buffer.max_pending_bytes' => '67108864',
        'write_buffer.overflow' => 'block',
        'write_buffer.overflow_timeout_ms' => '5000',
        'write_buffer.shutdown_timeout_ms' => '5000',
        'write_buffer.lanes' => '1',
        'write_buffer.route_by' => '',
        'write_buffer.persistent' => '',
        'write_buffer.dead_letter_file' => '',
        'write_buffer.ledger' => 'auto',
        'write_buffer.ledger_table' => 'write_buffer_ledger',
        'write_buffer.redact_values' => '0',
        'write_buffer.park_timeout_ms' => '60000',
        'write_buffer.max_prepared_statements' => '32',
        'write_buffer.time_zone' => '',
        'write_buffer.journal' => '',
        'write_buffer.journal_sync' => 'none',
        'write_buffer.journal_sync_ms' => '10',
        'write_buffer.journal_max_bytes' => '1073741824',
    ];

    /** @var array<string, string> */
    private array $before = [];

    protected function setUp(): void
    {
        foreach (array_keys(self::DEFAULTS) as $name) {
            $this->before[$name] = (string) ini_get($name);
        }
    }

    protected function tearDown(): void
    {
        foreach ($this->before as $name => $value) {
            ini_set($name, $value);
        }
    }

    public function testTheSettingsAndTheirDefaults(): void
    {
        // phpunit.xml.dist sets it.
        ini_restore('write_buffer.background');
        self::assertEquals(
            self::DEFAULTS,
            array_map(strval(...), (new ReflectionExtension('write_buffer'))->getINIEntries()),
        );
    }

    public function testEveryParameterButTablesHasASetting(): void
    {
        $names = array_map(
            static fn (\ReflectionParameter $parameter): string => 'write_buffer.'
                . strtolower((string) preg_replace('/[A-Z]/', '_$0', $parameter->getName())),
            (new \ReflectionMethod(\WriteBuffer::class, '__construct'))->getParameters(),
        );
        self::assertEqualsCanonicalizing(
            [...array_keys(self::DEFAULTS), 'write_buffer.tables'],
            $names,
        );
    }

    public function testWhereASettingMayBeChanged(): void
    {
        foreach (ini_get_all('write_buffer') as $name => $setting) {
            $system = $name === 'write_buffer.dsn';
            self::assertSame($system ? INI_SYSTEM : INI_ALL, $setting['access'], $name);
            self::assertSame($system, ini_set($name, (string) $setting['global_value']) === false, $name);
        }
    }

    public function testAnArgumentGoesBeforeASetting(): void
    {
        ini_set('write_buffer.batch_size', '7');
        ini_set('write_buffer.order_table', 'spot');
        self::assertSame(7, (new \WriteBuffer('memory:'))->__debugInfo()['batchSize']);
        self::assertSame(7, (new \WriteBuffer('memory:', null))->__debugInfo()['batchSize']);
        self::assertSame(8, (new \WriteBuffer('memory:', 8))->__debugInfo()['batchSize']);
        self::assertSame('spot', (new \SyncWriteBuffer('memory:'))->__debugInfo()['orderTable']);
    }

    /** Null would take what php.ini has. */
    public function testAnEmptyTextSwitchesOffWhatPhpIniSets(): void
    {
        $settings = [
            'dead_letter_file' => sys_get_temp_dir() . '/write-buffer-off.jsonl',
            'journal' => sys_get_temp_dir() . '/write-buffer-off',
            'persistent' => 'name',
            'route_by' => 'symbol',
            'time_zone' => 'UTC',
        ];
        foreach ($settings as $name => $value) {
            ini_set("write_buffer.{$name}", $value);
        }
        $dsn = 'mysql://user:pass@127.0.0.1:1/database';
        $names = array_flip(['deadLetterFile', 'journal', 'persistent', 'routeBy', 'timeZone']);
        self::assertCount(5, array_intersect_key((new \WriteBuffer($dsn, background: true))->__debugInfo(), $names));
        @rmdir(sys_get_temp_dir() . '/write-buffer-off');
        $off = new \WriteBuffer(
            $dsn,
            background: true,
            deadLetterFile: '',
            journal: '',
            persistent: '',
            routeBy: '',
            timeZone: '',
        );
        self::assertSame([], array_intersect_key($off->__debugInfo(), $names));
    }

    public function testAllSettingsOfAnotherProcess(): void
    {
        $output = PhpProcess::run(
            <<<'PHP'
                $info = (new WriteBuffer())->__debugInfo();
                unset($info['metrics']);
                echo json_encode($info), "\n";
                (new SyncWriteBuffer())->add(['id' => 1]);
                echo json_encode(WriteBuffer\MemorySink::tables('ini')), "\n";
                var_dump(ini_set('write_buffer.dsn', 'memory:'));
                PHP,
            [
                'write_buffer.dsn' => 'memory:ini',
                'write_buffer.batch_size' => '11',
                'write_buffer.flush_interval_ms' => ' 12 ',
                'write_buffer.max_retries' => '13',
                'write_buffer.order_table' => 'o',
                'write_buffer.trade_table' => 't',
                'write_buffer.max_pending_rows' => '14',
                'write_buffer.max_pending_bytes' => '1500',
                'write_buffer.shutdown_timeout_ms' => '16',
                'write_buffer.park_timeout_ms' => '17',
                'write_buffer.max_prepared_statements' => '18',
                'write_buffer.background' => 'off',
                'write_buffer.ledger' => 'always',
                'write_buffer.ledger_table' => 'audit.l',
                'write_buffer.redact_values' => 'on',
            ],
        );
        self::assertSame(
            '{"dsn":"memory:ini","maxRetries":13,"orderTable":"o","tradeTable":"t","ledger":"always","ledgerTable":"audit.l",'
                . '"redactValues":true,"maxPreparedStatements":18,'
                . '"batchSize":11,"flushIntervalMs":12,'
                . '"maxPendingRows":14,"maxPendingBytes":1500,"shutdownTimeoutMs":16,"parkTimeoutMs":17,'
                . '"background":false,"closed":false}' . "\n"
                . '{"o":[{"id":1}]}' . "\nbool(false)\n",
            $output,
        );
    }

    /** @return iterable<string, array{string, string, string}> */
    public static function wrongSettings(): iterable
    {
        $integers = [
            'batch_size' => [1, 10_000],
            'flush_interval_ms' => [1, 86_400_000],
            'max_retries' => [0, 100],
            'max_pending_rows' => [1, 100_000_000],
            'max_pending_bytes' => [1_024, PHP_INT_MAX],
            'overflow_timeout_ms' => [0, 86_400_000],
            'shutdown_timeout_ms' => [1, 86_400_000],
            'park_timeout_ms' => [0, 86_400_000],
            'max_prepared_statements' => [0, 16_382],
        ];
        foreach ($integers as $name => [$min, $max]) {
            $wrong = ['', 'abc', '1.5', '1x', 'k', '99999999999999999999', '9999999999G', '0x10', '"5"'];
            foreach ($name === 'max_pending_bytes' ? $wrong : [...$wrong, '1k', '64M', '-1M'] as $value) {
                yield "{$name} = {$value}" => [
                    "write_buffer.{$name}",
                    $value,
                    "write_buffer.{$name} in php.ini must be a number from {$min} to {$max}, not \""
                        . addcslashes($value, '"') . '"',
                ];
            }
            $small = $min - 1;
            yield "{$name} = {$small}" => [
                "write_buffer.{$name}",
                (string) $small,
                "write_buffer.{$name} in php.ini must be from {$min} to {$max}, not {$small}",
            ];
        }
        yield 'bytes' => [
            'write_buffer.max_pending_bytes',
            '0k',
            'write_buffer.max_pending_bytes in php.ini must be from 1024 to ' . PHP_INT_MAX . ', not 0',
        ];
        yield 'time_zone' => [
            'write_buffer.time_zone',
            'Mars',
            "timeZone must be a time zone of PHP's, such as 'UTC', 'Europe/Berlin' or '+02:00', not \"Mars\"",
        ];
        yield 'lanes' => ['write_buffer.lanes', '65', 'write_buffer.lanes in php.ini must be from 0 to 64, not 65'];
        yield 'overflow' => ['write_buffer.overflow', 'drop', 'overflow must be \'block\' or \'throw\', not "drop"'];
        yield 'ledger' => ['write_buffer.ledger', 'on', 'ledger must be \'auto\', \'always\' or \'never\', not "on"'];
    }

    /**
     * @dataProvider wrongSettings
     */
    #[DataProvider('wrongSettings')]
    public function testAScriptCannotSetWhatCannotWork(string $name, string $value, string $message): void
    {
        $before = ini_get($name);
        $warnings = self::warningsOf(static function () use ($name, $value): void {
            self::assertFalse(ini_set($name, $value));
        });
        self::assertSame([$message], $warnings);
        self::assertSame($before, ini_get($name));
    }

    /** php.ini is read before anybody could be told. */
    public function testWhatPhpIniHasIsCheckedWhenABufferIsMade(): void
    {
        $settings = ['batch_size' => '10001', 'max_pending_bytes' => '5T', 'overflow' => 'drop', 'ledger' => 'on'];
        foreach ($settings as $name => $value) {
            $output = PhpProcess::run(<<<'PHP'
                try {
                    new WriteBuffer('memory:');
                } catch (WriteBuffer\ConfigException $e) {
                    echo $e->getMessage();
                }
                PHP, ["write_buffer.{$name}" => $value]);
            self::assertStringContainsString(' must be ', $output, $name);
            self::assertStringContainsString($value, $output, $name);
        }
    }

    public function testBytesMayHaveAUnit(): void
    {
        foreach (['64M' => 64 << 20, '1g' => 1 << 30, ' 2K ' => 2_048, '4096' => 4_096] as $value => $bytes) {
            ini_set('write_buffer.max_pending_bytes', (string) $value);
            self::assertSame($bytes, (new \WriteBuffer('memory:'))->__debugInfo()['maxPendingBytes']);
        }
    }

    /** @return iterable<string, array{string, string, string}> */
    public static function settingsThatCannotWorkThere(): iterable
    {
        yield 'ledger_table' => [
            'write_buffer.ledger_table',
            '',
            'ledgerTable: "" is no table name: give `table` or `database.table`, up to 64 characters each; '
                . 'put a name that has a dot in backticks',
        ];
        yield 'dead_letter_file' => [
            'write_buffer.dead_letter_file',
            '/dev/null',
            'deadLetterFile /dev/null: it is no file; name a file in a folder that is there and that this process may write to',
        ];
        yield 'persistent' => ['write_buffer.persistent', 'name', 'persistent needs background: true'];
        yield 'order_table' => [
            'write_buffer.order_table',
            'a.b.c',
            '"a.b.c" is no table name: give `table` or `database.table`, up to 64 characters each; '
                    . 'put a name that has a dot in backticks',
        ];
    }

    /**
     * @dataProvider settingsThatCannotWorkThere
     */
    #[DataProvider('settingsThatCannotWorkThere')]
    public function testRefusesASettingThatCannotWork(string $name, string $value, string $message): void
    {
        ini_set($name, $value);
        self::assertThrows(ConfigException::class, $message, static fn () => new \WriteBuffer('memory:'));
    }

    public function testOffHasItsUsualSpellings(): void
    {
        foreach (['', '0', 'off', 'Off', 'no', 'false'] as $value) {
            ini_set('write_buffer.background', $value);
            self::assertCount(0, new \WriteBuffer('memory:'), $value);
        }
    }

    public function testPhpinfoShowsTheTable(): void
    {
        $output = PhpProcess::run('phpinfo(INFO_MODULES);', ['write_buffer.batch_size' => '42']);
        self::assertStringContainsString("\nwrite_buffer support => enabled\n", $output);
        self::assertStringContainsString("\nVersion => " . phpversion('write_buffer') . "\n", $output);
        self::assertStringContainsString("\nwrite_buffer.batch_size => 42 => 42\n", $output);
        self::assertStringContainsString("\nwrite_buffer.dsn => no value => no value\n", $output);
        foreach (array_keys(self::DEFAULTS) as $name) {
            self::assertStringContainsString("\n{$name} => ", $output);
        }
    }
}
