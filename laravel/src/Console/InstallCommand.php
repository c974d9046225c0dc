<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use Illuminate\Database\Connection;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;

/** Owns `write-buffer:install`: publishes the configuration, and checks what each buffer needs. */
final class InstallCommand extends Command
{
    protected $signature = 'write-buffer:install
        {--migration : publish a migration for the table of the ledger, for an account that may not create tables}
        {--force : overwrite what was published before}';

    protected $description = 'Publish the configuration of the write buffer, and check what it needs';

    public function handle(BufferManager $manager): int
    {
        $tags = ['write-buffer-config', ...($this->option('migration') ? ['write-buffer-migrations'] : [])];
        foreach ($tags as $tag) {
            $this->call('vendor:publish', ['--tag' => $tag, '--force' => (bool) $this->option('force')]);
        }
        $problems = 0;
        foreach ($manager->names() as $name) {
            foreach ($this->problems($manager, $name) as $problem) {
                $this->warn(ConsoleText::of("Buffer {$name}: {$problem}"));
                $problems++;
            }
        }
        if ($problems > 0) {
            $this->line('The configuration is in config/write-buffer.php. Correct this, and check again:'
                . ' php artisan write-buffer:install');

            return 1;
        }
        $this->info('All is there. Type-hint WriteBuffer\Buffer, and call add() where you called save() and create().');

        return 0;
    }

    /** @return iterable<string> what a buffer lacks, and what to do about it */
    private function problems(BufferManager $manager, string $name): iterable
    {
        $config = $this->laravel->make('config')->get("write-buffer.buffers.{$name}");
        $driver = BufferSettings::driver($config);
        if (in_array($driver, ['native', 'sync'], true) && !extension_loaded('write_buffer')) {
            yield "its driver {$driver} needs the extension write_buffer: add \"extension=write_buffer\" to php.ini,"
                . ' or use the driver "php"';
        }
        if (isset($config['dsn']) || !in_array($driver, ['native', 'sync', 'php'], true)) {
            return;
        }
        try {
            $connection = $this->laravel->make('db')->connection($config['connection'] ?? null);
            $connection->getPdo();
            // Making the buffer checks its server, its settings and its tables' rules.
            $wasMade = isset($manager->made()[$name]);
            $manager->buffer($name);
            if (!$wasMade) {
                $manager->purge($name);
            }
        } catch (\Throwable $e) {
            yield $e->getMessage();

            return;
        }
        foreach (['order_table' => 'orders', 'trade_table' => 'trades'] as $setting => $default) {
            $table = $config[$setting] ?? $default;
            if (!$connection->getSchemaBuilder()->hasTable($table)) {
                yield "there is no table {$table} in {$connection->getDatabaseName()}: migrate, or set {$setting} in"
                    . ' config/write-buffer.php to the name of yours';
            }
        }
        if (in_array($driver, ['native', 'sync'], true) && ($config['ledger'] ?? null) !== 'never') {
            $table = $config['ledger_table'] ?? null;
            yield from $this->ledgerProblems($connection, $table === null || $table === '' ? 'write_buffer_ledger' : $table);
        }
    }

    /** @return iterable<string> */
    private function ledgerProblems(Connection $connection, string $table): iterable
    {
        $account = $connection->getConfig('username');
        $grants = array_map(
            static fn (object $row): string => (string) array_values((array) $row)[0],
            $connection->select('SHOW GRANTS'),
        );
        $mayCreate = preg_grep('/\b(ALL PRIVILEGES|CREATE)\b/', $grants);
        [$database, $name] = str_contains($table, '.') ? explode('.', $table, 2) : [$connection->getDatabaseName(), $table];
        $exists = $connection->select(
            'SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?',
            [trim($database, '`'), trim($name, '`')],
        ) !== [];
        if ($mayCreate === [] && !$exists) {
            yield "the account {$account} may not create the table {$table}: run"
                . ' php artisan write-buffer:install --migration, and migrate with an account that may create tables';
        }
    }
}
