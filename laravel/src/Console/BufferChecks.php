<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Contracts\Container\Container;
use Illuminate\Database\Connection;
use Illuminate\Database\QueryException;
use Throwable;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Buffers\PlacedBuffer;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\Table;

/**
 * Owns what `write-buffer:install` checks of one buffer: all that would fail at its first row. It
 * asks the server by statements that write no row.
 */
final class BufferChecks
{
    /** The key of what is worth a word, and wrong only for some applications. */
    public const NOTE = 'note';

    /** The tables of the published configuration, which need not be there. */
    private const PUBLISHED = ['orders' => 'order_table', 'trades' => 'trade_table'];

    /** The server's errors that say that an account may not, or that nobody may now. */
    private const DENIED = [1044, 1142, 1143, 1227, 1290, 1370, 1792];

    public function __construct(private readonly Container $container, private readonly BufferManager $buffers)
    {
    }

    /**
     * @return iterable<int|string, string> what a buffer lacks, and what to do about it; notes have
     *                                      the key NOTE
     */
    public function problems(string $name): iterable
    {
        $config = (array) $this->container->make('config')->get("write-buffer.buffers.{$name}");
        $driver = BufferSettings::driver($config);
        $isNative = in_array($driver, ['native', 'sync'], true);
        if ($isNative && !extension_loaded('write_buffer')) {
            yield "its driver {$driver} needs the extension write_buffer: add \"extension=write_buffer\" to php.ini,"
                . ' or use the driver "php"';

            return;
        }
        try {
            $journal = $this->journal($name);
            yield from $journal === null
                ? []
                : JournalChecks::problems($journal, (string) $this->container->make('path.public'));
            // Making the buffer checks its settings and its tables' rules.
            $buffer = isset($this->buffers->made()[$name])
                ? $this->buffers->buffer($name)
                : $this->made($name, $journal !== null);
            if (!$buffer instanceof PlacedBuffer) {
                return;
            }
            $connection = $buffer->place()->connection();
            $connection->getPdo();
        } catch (Throwable $e) {
            yield $e->getMessage();

            return;
        }
        yield from $this->tableProblems($connection, $name, $config);
        if ($isNative && ($config['ledger'] ?? null) !== 'never') {
            $table = (string) ($config['ledger_table'] ?? '');
            yield from $this->ledgerProblems($connection, $table === '' ? 'write_buffer_ledger' : $table);
        }
    }

    /** @return iterable<string> what works, and is less than somebody may think */
    public function remarks(string $name): iterable
    {
        try {
            $journal = $this->journal($name);
        } catch (ConfigException) {
            // problems() has said it.
            return;
        }
        if ($journal !== null) {
            yield from JournalChecks::remarks($journal);
        }
    }

    private function journal(string $name): ?string
    {
        $config = (array) $this->container->make('config')->get("write-buffer.buffers.{$name}");

        return BufferSettings::driver($config) === 'native' ? BufferSettings::journal($config) : null;
    }

    /**
     * A buffer that the manager forgets. If it has a journal, it is an empty one: a check recovers
     * no rows.
     */
    private function made(string $name, bool $hasJournal): Buffer
    {
        $repository = $this->container->make('config');
        $key = "write-buffer.buffers.{$name}";
        $config = $repository->get($key);
        $folder = sys_get_temp_dir() . '/write-buffer-check-' . bin2hex(random_bytes(8));
        try {
            if ($hasJournal) {
                $repository->set($key, ['journal' => $folder] + $config);
            }

            return $this->buffers->buffer($name);
        } finally {
            $this->buffers->purge($name);
            $repository->set($key, $config);
            if (is_dir($folder)) {
                rmdir($folder);
            }
        }
    }

    /**
     * @param array<string, mixed> $config
     *
     * @return iterable<int|string, string>
     */
    private function tableProblems(
        Connection $connection,
        string $name,
        #[\SensitiveParameter] array $config,
    ): iterable {
        [$orders, $trades] = BufferSettings::tables($config);
        $tables = [$orders => 'order_table', $trades => 'trade_table'];
        foreach (array_keys(BufferSettings::rules($config)) as $table) {
            $isRule = isset(((array) ($config['tables'] ?? []))[$table]);
            $tables[(string) $table] = $isRule ? '`tables`' : '`models`';
        }
        $reader = new RowReader((string) $connection->getTablePrefix());
        foreach ($tables as $table => $setting) {
            try {
                $found = $this->buffers->catalogOf($name)->of($reader->table((string) $table));
            } catch (ConfigException $e) {
                yield $e->getMessage();
                continue;
            }
            if ($found->schema === null && (self::PUBLISHED[$table] ?? null) === $setting) {
                yield self::NOTE => "there is no table {$table} in {$connection->getDatabaseName()}. That is well if add() gets"
                    . " models, or no rows for it; otherwise migrate, or correct {$setting} in config/write-buffer.php";
                continue;
            }
            if ($found->schema === null) {
                yield "there is no table {$table} in {$connection->getDatabaseName()}: migrate, or correct {$setting} in"
                    . ' config/write-buffer.php';
                continue;
            }
            foreach ($found->secondUnique() as $index => $columns) {
                yield "table {$table} has a second unique index, {$index} (" . implode(', ', $columns) . '): an upsert that'
                    . " gives all of it is refused. Drop the index, use mode 'insert', or accept it with"
                    . " 'allowSecondUnique' => true in `tables`";
            }
            if ($connection->getDriverName() !== 'sqlite') {
                yield from $this->engineProblems($connection, $found->name);
                yield from $this->rightsProblems($connection, $found);
            }
        }
    }

    /** @return iterable<string> */
    private function engineProblems(Connection $connection, string $table): iterable
    {
        [$database, $bare] = self::parts($connection, $table);
        $found = $connection->selectOne(
            'SELECT t.ENGINE AS engine, e.TRANSACTIONS AS transactions FROM information_schema.TABLES t'
            . ' JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = ? AND t.TABLE_NAME = ?',
            [$database, $bare],
            false,
        );
        if ($found !== null && strtoupper((string) $found->transactions) !== 'YES') {
            yield "table {$table} has the engine {$found->engine}, which has no transactions, so its rows are refused:"
                . " ALTER TABLE {$table} ENGINE = InnoDB";
        }
    }

    /** @return iterable<string> */
    private function rightsProblems(Connection $connection, Table $table): iterable
    {
        $columns = array_map(
            static fn (object $column): string => self::quoted((string) $column->name),
            array_filter(
                $connection->select(
                    'SELECT COLUMN_NAME AS name, EXTRA AS extra FROM information_schema.COLUMNS'
                    . ' WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION',
                    self::parts($connection, $table->name),
                    false,
                ),
                static fn (object $column): bool => preg_match('/(VIRTUAL|STORED|PERSISTENT) /i', "{$column->extra} ") !== 1,
            ),
        );
        $name = implode('.', array_map(self::quoted(...), explode('.', $table->name, 2)));
        $statements = ['INSERT' => "INSERT INTO {$name} (" . implode(', ', $columns) . ') SELECT '
            . implode(', ', array_fill(0, count($columns), 'NULL')) . ' FROM DUAL WHERE 1 = 0'];
        if ($table->isUpsert()) {
            $column = reset($columns);
            $statements['UPDATE'] = "UPDATE {$name} SET {$column} = {$column} WHERE 1 = 0";
            $statements['SELECT'] = "SELECT {$column} FROM {$name} WHERE 1 = 0";
        }
        yield from $this->denied($connection, $table->name, $statements);
    }

    /**
     * @param array<string, string> $statements by the right that each one needs
     *
     * @return iterable<string>
     */
    private function denied(Connection $connection, string $table, array $statements): iterable
    {
        $denied = $reason = [];
        foreach ($statements as $right => $statement) {
            try {
                $connection->affectingStatement($statement);
            } catch (QueryException $e) {
                $code = (int) ($e->errorInfo[1] ?? 0);
                if (in_array($code, self::DENIED, true)) {
                    $denied[] = $right;
                    $reason[] = (string) ($e->errorInfo[2] ?? $e->getMessage());
                }
            }
        }
        if ($denied !== []) {
            $account = $connection->getConfig('username');
            yield "the account {$account} may not write to table {$table}: it lacks " . implode(', ', $denied)
                . " (the server says: {$reason[0]})";
        }
    }

    /** @return iterable<string> */
    private function ledgerProblems(Connection $connection, string $table): iterable
    {
        [$database, $bare] = self::parts($connection, str_replace('`', '', $table));
        $exists = $connection->select(
            'SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
            [$database, $bare],
            false,
        ) !== [];
        if ($exists) {
            $name = self::quoted($database) . '.' . self::quoted($bare);
            yield from $this->engineProblems($connection, "{$database}.{$bare}");
            yield from $this->denied($connection, $table, [
                'INSERT' => "INSERT INTO {$name} (writer, lane, last_transaction, connection)"
                    . ' SELECT NULL, NULL, NULL, NULL FROM DUAL WHERE 1 = 0',
                'UPDATE' => "UPDATE {$name} SET last_transaction = last_transaction WHERE 1 = 0",
                'SELECT' => "SELECT last_transaction FROM {$name} WHERE 1 = 0",
            ]);

            return;
        }
        $grants = array_map(
            static fn (object $row): string => (string) array_values((array) $row)[0],
            $connection->select('SHOW GRANTS', [], false),
        );
        if (preg_grep('/\b(ALL PRIVILEGES|CREATE)\b/', $grants) === []) {
            $account = $connection->getConfig('username');
            yield "the account {$account} may not create the table {$table}: run"
                . ' php artisan write-buffer:install --migration, and migrate with an account that may create tables';
        }
    }

    /** @return array{string, string} the database and the table's name in it */
    private static function parts(Connection $connection, string $table): array
    {
        return str_contains($table, '.') ? explode('.', $table, 2) : [(string) $connection->getDatabaseName(), $table];
    }

    private static function quoted(string $name): string
    {
        return '`' . str_replace('`', '``', $name) . '`';
    }
}
