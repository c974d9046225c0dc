<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use UnitEnum;
use WriteBuffer\ConfigException;
use WriteBuffer\JournalSync;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\TableRules;
use WriteBuffer\Ledger;
use WriteBuffer\Overflow;

/**
 * Owns the translation of a buffer's part of config/write-buffer.php into the parameters of the
 * extension's classes. A number or a boolean may be text there, since the environment has only
 * text.
 */
final class BufferSettings
{
    private const INTEGERS = [
        'batch_size' => 'batchSize',
        'flush_interval_ms' => 'flushIntervalMs',
        'max_retries' => 'maxRetries',
        'max_pending_rows' => 'maxPendingRows',
        'max_pending_bytes' => 'maxPendingBytes',
        'overflow_timeout_ms' => 'overflowTimeoutMs',
        'shutdown_timeout_ms' => 'shutdownTimeoutMs',
        'lanes' => 'lanes',
        'park_timeout_ms' => 'parkTimeoutMs',
        'max_prepared_statements' => 'maxPreparedStatements',
        'journal_sync_ms' => 'journalSyncMs',
        'journal_max_bytes' => 'journalMaxBytes',
    ];

    private const TEXTS = [
        'overflow' => 'overflow',
        'route_by' => 'routeBy',
        'persistent' => 'persistent',
        'dead_letter_file' => 'deadLetterFile',
        'ledger' => 'ledger',
        'ledger_table' => 'ledgerTable',
        'time_zone' => 'timeZone',
        'journal' => 'journal',
        'journal_sync' => 'journalSync',
    ];

    /** Texts that may be cases of an enum. */
    private const ENUMS = [
        'overflow' => Overflow::class,
        'ledger' => Ledger::class,
        'journal_sync' => JournalSync::class,
    ];

    /** The drivers that the extension has. */
    private const NATIVE = ['native', 'sync'];

    /** The file in a journal's folder that gets what is given up, if no other one is named. */
    private const DEAD_LETTERS = 'dead-letters.jsonl';

    /** What is there beside those. */
    private const OTHERS = [
        'driver', 'connection', 'dsn', 'background', 'after_commit', 'order_table', 'trade_table', 'tables', 'models',
        'redact_values',
    ];

    /** The parameters of PhpBuffer. */
    private const OF_PHP = [
        'orderTable', 'tradeTable', 'tables', 'batchSize', 'flushIntervalMs', 'maxRetries', 'maxPendingRows',
        'maxPendingBytes', 'deadLetterFile', 'redactValues', 'timeZone',
    ];

    /**
     * The driver; `native` if none is named. Null, which is what env() makes of the text "null", is
     * the driver `null`.
     *
     * @param array<string, mixed> $config
     */
    public static function driver(#[\SensitiveParameter] array $config): string
    {
        $driver = array_key_exists('driver', $config) ? $config['driver'] ?? 'null' : 'native';

        return is_string($driver) && $driver !== '' ? $driver : 'native';
    }

    /**
     * A setting that nobody reads would be a setting that does nothing, without a word.
     *
     * @param array<string, mixed> $config
     *
     * @throws ConfigException
     */
    public static function refuseUnknown(string $name, #[\SensitiveParameter] array $config): void
    {
        $known = self::known();
        foreach (array_diff(array_map('strval', array_keys($config)), $known) as $unknown) {
            throw new ConfigException(UnknownSetting::message(
                "the buffer {$name} of config/write-buffer.php",
                $unknown,
                $known,
            ));
        }
    }

    /** @return list<string> all settings of a buffer */
    public static function known(): array
    {
        return [...array_keys(self::INTEGERS), ...array_keys(self::TEXTS), ...self::OTHERS];
    }

    /**
     * @param array<string, mixed> $config
     *
     * @return array<string, mixed> parameters by name
     */
    public static function of(#[\SensitiveParameter] array $config, RowReader $reader): array
    {
        $settings = [];
        foreach (self::INTEGERS as $key => $parameter) {
            if (self::has($config, $key)) {
                $settings[$parameter] = self::integer($key, $config[$key]);
            }
        }
        foreach (self::TEXTS as $key => $parameter) {
            if (self::has($config, $key)) {
                $settings[$parameter] = self::text($key, $config[$key]);
            }
        }
        if (self::has($config, 'background')) {
            $settings['background'] = filter_var($config['background'], FILTER_VALIDATE_BOOLEAN);
        }
        $settings['redactValues'] = self::isRedacted($config);
        [$settings['orderTable'], $settings['tradeTable']] = array_map([$reader, 'table'], self::tables($config));
        $settings['tables'] = [];
        foreach (self::rules($config) as $table => $rules) {
            $settings['tables'][$reader->table((string) $table)] = $rules;
        }

        return $settings;
    }

    /**
     * The parameters of the driver `php`. It has no thread, so the thread's settings are left out,
     * and one configuration serves both drivers. A setting that is null takes php.ini's value if
     * the extension is loaded, and its default otherwise.
     *
     * A journal is a promise, not a setting of the thread: whoever asks for one is told.
     *
     * @param array<string, mixed> $config
     *
     * @return array<string, mixed> parameters by name
     *
     * @throws ConfigException
     */
    public static function ofPhp(#[\SensitiveParameter] array $config, RowReader $reader): array
    {
        $settings = self::of($config, $reader);
        foreach ($settings['tables'] as $table => $rules) {
            if (($rules['key'] ?? null) === TableRules::KEY_OF_SERVER) {
                throw new ConfigException("table {$table}: 'key' => 'server' needs the extension; with the driver php name the"
                    . " columns of a unique key in `tables`, or use mode 'insert'");
            }
        }
        if (($settings['journal'] ?? '') !== '') {
            throw new ConfigException(
                'journal in config/write-buffer.php needs the driver "native": what the driver "php" has taken dies with'
                . ' its process. Set journal to false (WRITE_BUFFER_JOURNAL=false), or use the driver "native"'
            );
        }
        [$settings['orderTable'], $settings['tradeTable']] = self::tables($config);
        foreach (self::INTEGERS as $key => $parameter) {
            $ini = ini_get("write_buffer.{$key}");
            if (!isset($settings[$parameter]) && $ini !== false && $ini !== '') {
                $settings[$parameter] = self::integer("write_buffer.{$key}", $ini);
            }
        }

        foreach (['dead_letter_file' => 'deadLetterFile', 'time_zone' => 'timeZone'] as $key => $parameter) {
            $ini = ini_get("write_buffer.{$key}");
            if (!isset($config[$key]) && $ini !== false && $ini !== '') {
                $settings[$parameter] = $ini;
            }
        }

        return array_intersect_key($settings, array_flip(self::OF_PHP));
    }

    /**
     * @param array<string, mixed> $config
     *
     * @return array{string, string} the tables of add()'s two arguments, without the prefix
     */
    public static function tables(#[\SensitiveParameter] array $config): array
    {
        return [(string) ($config['order_table'] ?? 'orders'), (string) ($config['trade_table'] ?? 'trades')];
    }

    /**
     * The rules of all tables, with those that come from `models`, by names without the prefix.
     * Cases of Mode and Merge are there as their words.
     *
     * @param array<string, mixed> $config
     *
     * @return array<string, array<string, mixed>>
     */
    public static function rules(#[\SensitiveParameter] array $config): array
    {
        $rules = $config['tables'] ?? [];
        foreach (self::takesModelsRaw($config) ? [] : $config['models'] ?? [] as $class) {
            $model = new $class();
            $own = $rules[$model->getTable()] ?? [];
            $own += ['key' => $model->getKeyName()];
            if ($model->usesTimestamps() && $model->getCreatedAtColumn() !== null) {
                $own['merge'] = ($own['merge'] ?? []) + [$model->getCreatedAtColumn() => 'keep'];
            }
            $rules[$model->getTable()] = $own;
        }

        return array_map(
            static fn (mixed $own): mixed => is_array($own) ? TableRules::inWords($own) : $own,
            $rules,
        );
    }

    /**
     * Whether add() takes a model's attributes as they are, instead of what its save() would write.
     *
     * @param array<string, mixed> $config
     */
    public static function takesModelsRaw(#[\SensitiveParameter] array $config): bool
    {
        return match (true) {
            ($config['models'] ?? []) === 'raw' => true,
            is_array($config['models'] ?? []) => false,
            default => throw new ConfigException("models in config/write-buffer.php must be a list of classes, or 'raw'"),
        };
    }

    /**
     * The folder of a buffer's journal, as the configuration or php.ini names it. The driver `sync`
     * has none of its own: but a `native` one may have left rows there.
     *
     * @param array<string, mixed> $config
     *
     * @throws ConfigException
     */
    public static function journal(#[\SensitiveParameter] array $config): ?string
    {
        if (!in_array(self::driver($config), self::NATIVE, true)) {
            return null;
        }
        if (isset($config['journal'])) {
            $journal = self::has($config, 'journal') ? self::text('journal', $config['journal']) : '';
        } else {
            // Without a background php.ini's is ignored.
            $journal = self::isInBackground($config) ? (string) ini_get('write_buffer.journal') : '';
        }

        return $journal === '' ? null : $journal;
    }

    /**
     * Whether a native thread writes the rows.
     *
     * @param array<string, mixed> $config
     */
    public static function hasThread(#[\SensitiveParameter] array $config): bool
    {
        return self::driver($config) === 'native' && self::isInBackground($config);
    }

    /** @param array<string, mixed> $config */
    private static function isInBackground(#[\SensitiveParameter] array $config): bool
    {
        return filter_var($config['background'] ?? ini_get('write_buffer.background'), FILTER_VALIDATE_BOOLEAN);
    }

    /**
     * The file that gets what a buffer gives up.
     *
     * @param array<string, mixed> $config
     */
    public static function deadLetterFile(#[\SensitiveParameter] array $config): ?string
    {
        $file = ($config['dead_letter_file'] ?? '') ?: (string) ini_get('write_buffer.dead_letter_file');
        if ($file !== '') {
            return (string) $file;
        }
        $journal = self::driver($config) === 'native' ? self::journal($config) : null;

        return $journal === null ? null : "{$journal}/" . self::DEAD_LETTERS;
    }

    /** @param array<string, mixed> $config */
    public static function isAfterCommit(#[\SensitiveParameter] array $config): bool
    {
        return filter_var($config['after_commit'] ?? true, FILTER_VALIDATE_BOOLEAN);
    }

    /**
     * Whether values of rows stay out of messages, and so of Laravel's log.
     *
     * @param array<string, mixed> $config
     */
    public static function isRedacted(#[\SensitiveParameter] array $config): bool
    {
        return filter_var($config['redact_values'] ?? true, FILTER_VALIDATE_BOOLEAN);
    }

    /** @param array<string, mixed> $config */
    private static function has(#[\SensitiveParameter] array $config, string $key): bool
    {
        return isset($config[$key]) && $config[$key] !== '';
    }

    private static function text(string $key, mixed $value): string
    {
        if ($key === 'journal') {
            return self::folder($key, $value);
        }
        $enum = self::ENUMS[$key] ?? null;
        if ($enum !== null && $value instanceof $enum) {
            return $value->value;
        }
        if ($value instanceof UnitEnum) {
            throw new ConfigException("{$key} in config/write-buffer.php must be a text"
                . ($enum === null ? '' : " or a case of {$enum}") . ', not ' . $value::class . "::{$value->name}");
        }

        return (string) $value;
    }

    /**
     * The path of a folder; false: none. A relative one would be another folder in a request than
     * in a command: below public/, for instance.
     */
    private static function folder(string $key, mixed $value): string
    {
        if ($value === false) {
            return '';
        }
        if (!is_string($value) || !str_starts_with($value, '/')) {
            throw new ConfigException("{$key} in config/write-buffer.php must be the absolute path of a folder, such as"
                . " storage_path('write-buffer'), or false, not "
                . (is_scalar($value) ? var_export($value, true) : get_debug_type($value)));
        }

        return $value;
    }

    private static function integer(string $key, mixed $value): int
    {
        if (is_string($value) && str_ends_with($key, '_bytes')) {
            $value = preg_replace_callback(
                '/^\s*([0-9]+)([kmg])\s*$/iD',
                static fn (array $size): string => (string) ($size[1] * 1_024 ** strpos(' kmg', strtolower($size[2]))),
                $value,
            );
        }
        $number = filter_var($value, FILTER_VALIDATE_INT);

        return $number !== false
            ? $number
            : throw new ConfigException("{$key} in config/write-buffer.php must be a whole number, not "
                . (is_scalar($value) ? var_export($value, true) : get_debug_type($value)));
    }
}
