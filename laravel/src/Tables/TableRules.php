<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tables;

use UnitEnum;
use WriteBuffer\ConfigException;
use WriteBuffer\Merge;
use WriteBuffer\Mode;

/**
 * Owns the rules of one table, as `tables` has them. The extension reads the same array by itself;
 * this is for what PHP has to know.
 */
final class TableRules
{
    public const UPSERT = 'upsert';

    public const INSERT = 'insert';

    /** The key of a table whose rows are told apart by the server alone. */
    public const KEY_OF_SERVER = 'server';

    private const RULES = ['replace', 'keep', 'sum', 'min', 'max'];

    private const KNOWN = ['key', 'mode', 'merge', 'guard', 'allowSecondUnique', 'repeatable', 'coalesce'];

    /**
     * @param list<string>|null     $key   null: the primary key; none: the server's unique keys
     * @param array<string, string> $merge
     */
    private function __construct(
        public readonly ?array $key,
        public readonly string $mode,
        public readonly array $merge,
        public readonly ?string $guard,
        public readonly bool $allowSecondUnique,
        public readonly bool $repeatable,
        /** Whether rows of one key may become one. If not, each version is written. */
        public readonly bool $coalesce,
    ) {
    }

    /**
     * The same rules, with words in the place of the cases of Mode and Merge. What else is there
     * stays, right or wrong.
     *
     * @param array<string, mixed> $config
     *
     * @return array<string, mixed>
     */
    public static function inWords(array $config): array
    {
        if (($config['mode'] ?? null) instanceof Mode) {
            $config['mode'] = $config['mode']->value;
        }
        if (is_array($config['merge'] ?? null)) {
            $config['merge'] = array_map(
                static fn (mixed $rule): mixed => $rule instanceof Merge ? $rule->value : $rule,
                $config['merge'],
            );
        }

        return $config;
    }

    /** @param array<string, mixed> $config */
    public static function of(string $table, array $config, string $defaultMode): self
    {
        $config = self::inWords($config);
        foreach (array_keys($config) as $name) {
            if (!in_array($name, self::KNOWN, true)) {
                throw new ConfigException(
                    "table {$table}: there is no rule {$name}; there are: " . implode(', ', self::KNOWN)
                );
            }
        }
        $mode = $config['mode'] ?? $defaultMode;
        if (!in_array($mode, [self::UPSERT, self::INSERT], true)) {
            throw new ConfigException("table {$table}: mode must be 'upsert' or 'insert'" . self::unlike(Mode::class, $mode));
        }
        $key = match ($config['key'] ?? null) {
            null => null,
            self::KEY_OF_SERVER => [],
            default => array_values(array_map('strval', (array) $config['key'])),
        };
        $merge = $config['merge'] ?? [];
        foreach ($merge as $column => $rule) {
            if (!in_array($rule, self::RULES, true)) {
                throw new ConfigException(
                    "table {$table}: the merge rule of {$column} must be one of " . implode(', ', self::RULES)
                    . self::unlike(Merge::class, $rule)
                );
            }
        }
        $coalesce = array_key_exists('coalesce', $config) ? $config['coalesce'] : true;
        if (!is_bool($coalesce)) {
            throw new ConfigException("table {$table}: coalesce must be true or false");
        }
        $guard = isset($config['guard']) ? (string) $config['guard'] : null;

        return new self(
            $key,
            $mode,
            $merge,
            $guard,
            (bool) ($config['allowSecondUnique'] ?? false),
            (bool) ($config['repeatable'] ?? false),
            $coalesce,
        );
    }

    public function rule(string $column): string
    {
        foreach ($this->merge as $name => $rule) {
            if (strcasecmp((string) $name, $column) === 0) {
                return $rule;
            }
        }

        return 'replace';
    }

    /** What a message says of a case of another enum. */
    private static function unlike(string $enum, mixed $given): string
    {
        return $given instanceof UnitEnum ? ", or a case of {$enum}, not " . $given::class . "::{$given->name}" : '';
    }

    /** Whether rows may be written a second time: a sum, an insert or a version would double. */
    public function isRepeatable(): bool
    {
        return $this->repeatable
            || ($this->mode === self::UPSERT && $this->coalesce && !in_array('sum', $this->merge, true));
    }
}
