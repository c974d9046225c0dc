<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Unit;

use PHPUnit\Framework\TestCase;
use WriteBuffer\ConfigException;
use WriteBuffer\JournalSync;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\TableRules;
use WriteBuffer\Ledger;
use WriteBuffer\Merge;
use WriteBuffer\Mode;
use WriteBuffer\Overflow;

/** What config/write-buffer.php has, as parameters. */
final class BufferSettingsTest extends TestCase
{
    public function testBytesMayHaveAUnit(): void
    {
        foreach (['64M' => 64 << 20, '1g' => 1 << 30, '2k' => 2_048, '4096' => 4_096] as $text => $bytes) {
            $config = ['max_pending_bytes' => (string) $text];
            self::assertSame($bytes, BufferSettings::of($config, new RowReader())['maxPendingBytes']);
            self::assertSame($bytes, BufferSettings::ofPhp($config, new RowReader())['maxPendingBytes']);
        }
        foreach ([['max_pending_bytes', '64T'], ['max_pending_rows', '64M'], ['batch_size', '1k']] as [$key, $wrong]) {
            try {
                BufferSettings::of([$key => $wrong], new RowReader());
                self::fail("{$key} took {$wrong}");
            } catch (ConfigException $e) {
                self::assertStringContainsString('must be a whole number', $e->getMessage());
            }
        }
    }

    public function testWordsMayBeCasesOfEnums(): void
    {
        $of = static fn (object $overflow, object $ledger, object $mode, array $merge): array => [
            'overflow' => $overflow,
            'ledger' => $ledger,
            'tables' => ['t' => ['mode' => $mode, 'merge' => $merge], 'plain' => ['key' => 'k']],
        ];
        $config = $of(Overflow::Throw, Ledger::Always, Mode::Insert, ['a' => Merge::Sum, 'b' => 'keep']);
        foreach ([$config, self::cached($config)] as $read) {
            self::assertEquals($config, $read);
            $settings = BufferSettings::of($read, new RowReader());
            self::assertSame(['throw', 'always'], [$settings['overflow'], $settings['ledger']]);
            $tables = ['t' => ['mode' => 'insert', 'merge' => ['a' => 'sum', 'b' => 'keep']], 'plain' => ['key' => 'k']];
            self::assertSame($tables, $settings['tables']);
            self::assertSame($tables, BufferSettings::rules($read));
            self::assertSame($tables, BufferSettings::ofPhp($read, new RowReader())['tables']);
        }
        $rules = TableRules::of('t', $config['tables']['t'], TableRules::UPSERT);
        self::assertSame(['insert', 'sum', 'keep'], [$rules->mode, $rules->rule('a'), $rules->rule('b')]);
    }

    public function testCasesOfOtherEnumsAreRefused(): void
    {
        $rules = static fn (array $rules): \Closure => static fn () => TableRules::of('t', $rules, TableRules::UPSERT);
        $settings = static fn (array $config): \Closure => static fn () => BufferSettings::of($config, new RowReader());
        foreach (
            [
                'overflow in config/write-buffer.php must be a text or a case of WriteBuffer\Overflow, '
                    . 'not WriteBuffer\Ledger::Auto' => $settings(['overflow' => Ledger::Auto]),
                'ledger in config/write-buffer.php must be a text or a case of WriteBuffer\Ledger, '
                    . 'not WriteBuffer\Mode::Insert' => $settings(['ledger' => Mode::Insert]),
                'route_by in config/write-buffer.php must be a text, not WriteBuffer\Mode::Insert' =>
                    $settings(['route_by' => Mode::Insert]),
                "table t: mode must be 'upsert' or 'insert', or a case of WriteBuffer\Mode, not WriteBuffer\Merge::Sum" =>
                    $rules(['mode' => Merge::Sum]),
                'table t: the merge rule of c must be one of replace, keep, sum, min, max, or a case of '
                    . 'WriteBuffer\Merge, not WriteBuffer\Mode::Insert' => $rules(['merge' => ['c' => Mode::Insert]]),
            ] as $message => $act
        ) {
            try {
                $act();
                self::fail("not refused: {$message}");
            } catch (ConfigException $e) {
                self::assertSame($message, $e->getMessage());
            }
        }
    }

    public function testAJournalIsAnAbsolutePathOrFalse(): void
    {
        $config = [
            'journal' => '/var/lib/shop', 'journal_sync' => JournalSync::Interval, 'journal_sync_ms' => '20', 'journal_max_bytes' => '2g',
        ];
        foreach ([$config, self::cached($config)] as $read) {
            $settings = BufferSettings::of($read, new RowReader());
            self::assertSame(['/var/lib/shop', 'interval', 20, 2 << 30], [
                $settings['journal'], $settings['journalSync'], $settings['journalSyncMs'], $settings['journalMaxBytes'],
            ]);
        }
        foreach ([null, ''] as $unset) {
            self::assertArrayNotHasKey('journal', BufferSettings::of(['journal' => $unset], new RowReader()));
            self::assertArrayNotHasKey('journal', BufferSettings::ofPhp(['journal' => $unset], new RowReader()));
        }
        // Also php.ini's is off then.
        self::assertSame('', BufferSettings::of(['journal' => false], new RowReader())['journal']);
        self::assertArrayNotHasKey('journal', BufferSettings::ofPhp(['journal' => false], new RowReader()));
        foreach (['journal', '1', true, 1, './journal'] as $wrong) {
            try {
                BufferSettings::of(['journal' => $wrong], new RowReader());
                self::fail('taken: ' . var_export($wrong, true));
            } catch (ConfigException $e) {
                self::assertStringContainsString('must be the absolute path of a folder', $e->getMessage());
            }
        }
    }

    public function testWhoseJournalItIs(): void
    {
        $before = [ini_get('write_buffer.journal'), ini_get('write_buffer.background')];
        try {
            self::assertNull(BufferSettings::journal([]));
            self::assertNull(BufferSettings::deadLetterFile([]));
            ini_set('write_buffer.journal', '/ini');
            ini_set('write_buffer.background', '1');
            foreach (
                [
                    [[], '/ini', '/ini/dead-letters.jsonl'],
                    [['journal' => '/own'], '/own', '/own/dead-letters.jsonl'],
                    [['dead_letter_file' => '/file'], '/ini', '/file'],
                    [['driver' => 'sync', 'journal' => '/own'], '/own', null],
                    [['journal' => false], null, null],
                    [['background' => false], null, null],
                    [['driver' => 'php'], null, null],
                    [['driver' => 'null', 'journal' => '/own'], null, null],
                ] as [$config, $journal, $file]
            ) {
                self::assertSame(
                    [$journal, $file],
                    [BufferSettings::journal($config), BufferSettings::deadLetterFile($config)],
                    (string) json_encode($config),
                );
            }
        } finally {
            ini_set('write_buffer.journal', (string) $before[0]);
            ini_set('write_buffer.background', (string) $before[1]);
        }
    }

    /**
     * What `config:cache` writes, read again.
     *
     * @param array<string, mixed> $config
     *
     * @return array<string, mixed>
     */
    private static function cached(array $config): array
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'wb-config-');
        try {
            file_put_contents($file, '<?php return ' . var_export($config, true) . ';' . PHP_EOL);

            return require $file;
        } finally {
            unlink($file);
        }
    }

    public function testTheDriverPhpHasWhatPhpIniSays(): void
    {
        if (!extension_loaded('write_buffer')) {
            self::fail('the extension write_buffer is not loaded: run the tests with `make test-laravel`');
        }
        $before = [ini_get('write_buffer.max_pending_bytes'), ini_get('write_buffer.time_zone')];
        try {
            ini_set('write_buffer.max_pending_bytes', '32M');
            ini_set('write_buffer.time_zone', 'UTC');
            $settings = BufferSettings::ofPhp([], new RowReader());
            self::assertSame([32 << 20, 'UTC'], [$settings['maxPendingBytes'], $settings['timeZone']]);
            self::assertSame('+02:00', BufferSettings::ofPhp(['time_zone' => '+02:00'], new RowReader())['timeZone']);
        } finally {
            ini_set('write_buffer.max_pending_bytes', (string) $before[0]);
            ini_set('write_buffer.time_zone', (string) $before[1]);
        }
    }
}
