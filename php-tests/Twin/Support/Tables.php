<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Twin\Support;

use PDO;

/**
 * A program's tables in two databases: one for the buffer, one for the judge. Knows the columns
 * from the server, and reads the tables in a form that can be compared.
 */
final class Tables
{
    public const BUFFERED = 'write_buffer_twin_buffered';

    public const ALONE = 'write_buffer_twin_alone';

    /** What the server numbers begins here: the numbers themselves are nobody's promise. */
    public const FIRST_GENERATED = 1000;

    /** @var array<string, array<string, mixed>> */
    private array $present = [];

    /** @var array<string, array<string, array<string, string|null>>> by table and column */
    private array $columns = [];

    /** @var array<string, list<string>> the primary key, else the first unique one */
    private array $keys = [];

    /** @var array<string, true> */
    private array $versioned = [];

    /** @var array<string, string> global variables as they were */
    private array $globals = [];

    public function __construct(private readonly PDO $admin)
    {
        // No program asks what a power cut leaves.
        $this->setGlobal('innodb_flush_log_at_trx_commit', '0');
        $this->setGlobal('sync_binlog', '0');
        foreach ([self::BUFFERED, self::ALONE] as $database) {
            $this->admin->exec("DROP DATABASE IF EXISTS {$database}");
            $this->admin->exec("CREATE DATABASE {$database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
        }
        $this->admin->exec("SET time_zone = '+00:00'");
    }

    public function drop(): void
    {
        foreach ($this->globals as $name => $value) {
            $this->admin->exec("SET GLOBAL {$name} = {$value}");
        }
        foreach ([self::BUFFERED, self::ALONE] as $database) {
            $this->admin->exec("DROP DATABASE IF EXISTS {$database}");
        }
    }

    private function setGlobal(string $name, string $value): void
    {
        $this->globals[$name] = (string) $this->admin->query("SELECT @@GLOBAL.{$name}")->fetchColumn();
        $this->admin->exec("SET GLOBAL {$name} = {$value}");
    }

    /**
     * Makes the tables, empty.
     *
     * @param array<string, array<string, mixed>> $tables as in Program
     */
    public function make(array $tables): void
    {
        $definitions = array_map(static fn (array $table): array => array_diff_key($table, ['rules' => 0]), $tables);
        // What deletes rows here must not run triggers.
        $triggers = array_merge([], ...array_column($definitions, 'triggers'));
        $isSame = $definitions === $this->present && preg_grep('/ DELETE /', $triggers) === [];
        $this->admin->exec('SET foreign_key_checks = 0');
        foreach ([self::BUFFERED, self::ALONE] as $database) {
            $this->admin->exec("USE {$database}");
            foreach (array_keys($this->present) as $name) {
                if ($isSame && isset($this->versioned[$name])) {
                    $this->admin->exec("DELETE FROM {$name}");
                    $this->admin->exec("DELETE HISTORY FROM {$name}");
                } else {
                    $this->admin->exec($isSame ? "DELETE FROM {$name}" : "DROP TABLE IF EXISTS {$name}");
                }
            }
        }
        $this->admin->exec('SET foreign_key_checks = 1');
        if ($isSame) {
            return;
        }
        // If a definition is wrong, the next program drops what there is.
        $this->present = array_fill_keys(array_keys($definitions), []);
        foreach ($definitions as $name => $definition) {
            foreach ([self::BUFFERED, self::ALONE] as $database) {
                $this->admin->exec("USE {$database}");
                $this->create($name, $definition);
            }
        }
        $this->present = $definitions;
        $this->describe();
    }

    /** @param array<string, mixed> $definition */
    private function create(string $name, array $definition): void
    {
        $lines = [];
        foreach ($definition['columns'] as $column => $type) {
            $lines[] = "{$column} {$type}";
        }
        $lines = implode(', ', [...$lines, ...$definition['constraints'] ?? []]);
        $options = $definition['options'] ?? '';
        $this->admin->exec("CREATE TABLE {$name} ({$lines}) {$options} AUTO_INCREMENT = " . self::FIRST_GENERATED);
        foreach ($definition['triggers'] ?? [] as $number => $trigger) {
            if (preg_match('/^(BEFORE|AFTER) (INSERT|UPDATE|DELETE) (.*)$/sD', $trigger, $parts) !== 1) {
                throw new \LogicException("no trigger: {$trigger}");
            }
            $this->admin->exec(
                "CREATE TRIGGER {$name}_{$number} {$parts[1]} {$parts[2]} ON {$name} FOR EACH ROW {$parts[3]}",
            );
        }
    }

    private function describe(): void
    {
        $this->columns = $this->keys = $this->versioned = [];
        $columns = $this->admin->query(
            'SELECT TABLE_NAME AS t, COLUMN_NAME AS name, DATA_TYPE AS type, IS_NULLABLE AS nullable, '
                . 'COLUMN_DEFAULT AS initial, LOWER(EXTRA) AS extra, CHARACTER_MAXIMUM_LENGTH AS length '
                . 'FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '
                . $this->admin->quote(self::ALONE)
                // The period of a version is an instant.
                . " AND IFNULL(GENERATION_EXPRESSION, '') NOT IN ('ROW START', 'ROW END')"
                . ' ORDER BY TABLE_NAME, ORDINAL_POSITION',
        );
        foreach ($columns->fetchAll(PDO::FETCH_ASSOC) as $column) {
            $this->columns[$column['t']][$column['name']] = $column;
        }
        $indexes = $this->admin->query(
            "SELECT TABLE_NAME AS t, INDEX_NAME AS name, COLUMN_NAME AS part FROM information_schema.STATISTICS
                WHERE NON_UNIQUE = 0 AND TABLE_SCHEMA = " . $this->admin->quote(self::ALONE)
                . " ORDER BY TABLE_NAME, INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME, SEQ_IN_INDEX",
        );
        $first = [];
        foreach ($indexes->fetchAll(PDO::FETCH_ASSOC) as ['t' => $table, 'name' => $index, 'part' => $part]) {
            $first[$table] ??= $index;
            // A versioned table's key ends in a column of the server's own.
            if ($first[$table] === $index && isset($this->columns[$table][$part])) {
                $this->keys[$table][] = $part;
            }
        }
        foreach ($this->present as $name => $definition) {
            if (str_contains($definition['options'] ?? '', 'SYSTEM VERSIONING')) {
                $this->versioned[$name] = true;
            }
        }
    }

    /**
     * The columns that a row names to be found; none if the server is to find it.
     *
     * @param array<string, mixed> $rules
     *
     * @return list<string>
     */
    public function key(string $table, array $rules): array
    {
        if (($rules['key'] ?? null) === 'server') {
            return [];
        }

        return (array) ($rules['key'] ?? $this->keys[$table] ?? []);
    }

    /**
     * The key of a deletion, by column.
     *
     * @param array<string, mixed> $rules
     * @param array<mixed>         $key   by column, or in the key's order
     *
     * @return array<string, mixed>
     */
    public function named(string $table, array $rules, array $key): array
    {
        $columns = (array) ($rules['key'] ?? $this->keys[$table] ?? []);

        return array_is_list($key) && count($columns) === count($key) ? array_combine($columns, $key) : $key;
    }

    /**
     * The value by which a key is looked up. To a text column a number is the text that an insert
     * makes of it, not all the texts that begin with it: BINARY(n) pads. The bytes of a BIT are a
     * number.
     */
    public function lookedUp(string $table, string $column, mixed $value): mixed
    {
        ['type' => $type, 'length' => $length] = $this->columns[$table][$column];
        if (is_int($value) && $type === 'binary') {
            return str_pad((string) $value, (int) $length, "\0");
        }
        if (is_int($value) && in_array($type, ['char', 'varchar', 'varbinary', 'text', 'tinytext'], true)) {
            return (string) $value;
        }

        return $type === 'bit' && is_string($value) ? (int) hexdec(bin2hex($value)) : $value;
    }

    /** Whether a strict INSERT without the column is refused (1364). */
    public function isRequired(string $table, string $column): bool
    {
        $about = $this->columns[$table][$column];

        // An ENUM has its first member as its default, also in strict mode.
        return $about['nullable'] === 'NO' && $about['initial'] === null && $about['type'] !== 'enum'
            && preg_match('/auto_increment|virtual|stored|persistent|default_generated/', $about['extra']) === 0;
    }

    /** Whether the server makes a number for the column if it is left out. */
    public function isNumbered(string $table, string $column): bool
    {
        return str_contains($this->columns[$table][$column]['extra'], 'auto_increment');
    }

    public function isNullable(string $table, string $column): bool
    {
        return $this->columns[$table][$column]['nullable'] !== 'NO';
    }

    /**
     * One of these columns, if possible one that is never NULL.
     *
     * @param non-empty-list<string> $columns
     */
    public function neverNull(string $table, array $columns): string
    {
        foreach ($columns as $column) {
            if ($this->columns[$table][$column]['nullable'] === 'NO') {
                return $column;
            }
        }

        return $columns[0];
    }

    /** @return list<string> */
    public function columns(string $table): array
    {
        return array_keys($this->columns[$table]);
    }

    /**
     * @return array<string, list<string>> each table's rows as text, and how many versions of each
     * were kept
     */
    public function rows(string $database): array
    {
        $rows = [];
        foreach (array_keys($this->present) as $table) {
            $rows[$table] = $this->read("SELECT {$this->selected($table)} FROM {$database}.{$table}{$this->order($table)}");
            if ($this->order($table) === '') {
                sort($rows[$table], SORT_STRING);
            }
            if (isset($this->versioned[$table])) {
                $key = implode(', ', array_map(
                    fn (string $column): string => $this->expression($table, $column),
                    $this->keys[$table] ?? $this->columns($table),
                ));
                $rows["{$table}'s versions"] = $this->read(
                    "SELECT {$key}, COUNT(*) AS versions FROM {$database}.{$table} FOR SYSTEM_TIME ALL GROUP BY {$key}",
                );
                sort($rows["{$table}'s versions"], SORT_STRING);
            }
        }

        return $rows;
    }

    /** @return list<string> */
    private function read(string $sql): array
    {
        return array_map(
            static fn (array $row): string => json_encode(
                $row,
                JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE | JSON_THROW_ON_ERROR,
            ),
            $this->admin->query($sql)->fetchAll(PDO::FETCH_ASSOC),
        );
    }

    /** Rows that the server numbers are compared in the order of their numbers. */
    private function order(string $table): string
    {
        foreach ($this->columns($table) as $name) {
            if ($this->isNumbered($table, $name)) {
                // With the table: the bare name is what is selected, and all the server's numbers
                // are one text there, in no order.
                return " ORDER BY {$table}.{$name}";
            }
        }

        return '';
    }

    private function selected(string $table): string
    {
        return implode(', ', array_map(
            fn (string $name): string => $this->expression($table, $name) . " AS {$name}",
            $this->columns($table),
        ));
    }

    private function expression(string $table, string $name): string
    {
        ['type' => $type] = $this->columns[$table][$name];
        if ($this->isNumbered($table, $name)) {
            return "IF({$name} >= " . self::FIRST_GENERATED . ", 'the server''s', {$name})";
        }
        return match ($type) {
            'bit' => "{$name} + 0",
            'datetime', 'timestamp' => "IF({$name} BETWEEN NOW() - INTERVAL 1 DAY AND NOW() + INTERVAL 1 DAY, 'now', {$name})",
            'binary', 'varbinary' => "HEX({$name})",
            'char', 'varchar' => "CONCAT({$name}, '|')",
            default => $name,
        };
    }
}
