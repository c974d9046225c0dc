<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Filesystem\Filesystem;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** `write-buffer:install`, in an application's empty folder. */
final class InstallTest extends TestCase
{
    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/write-buffer-app-' . bin2hex(random_bytes(6));
        parent::setUp();
    }

    public function createApplication(): \Illuminate\Foundation\Application
    {
        mkdir("{$this->folder}/config", 0755, true);
        mkdir("{$this->folder}/database/migrations", 0755, true);

        return parent::createApplication();
    }

    protected function basePath(): string
    {
        return $this->folder;
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        (new Filesystem())->deleteDirectory($this->folder);
    }

    /**
     * @param array<string, mixed> $arguments
     *
     * @return array{int, string}
     */
    private function install(array $arguments = []): array
    {
        $kernel = $this->app->make(Kernel::class);
        $status = $kernel->call('write-buffer:install', $arguments);

        return [$status, $kernel->output()];
    }

    public function testWhatIsPublishedIsThePackagesConfiguration(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY');
        $this->createTable('trades', 'id INT PRIMARY KEY');
        [$status, $output] = $this->install();
        self::assertSame(0, $status, $output);
        self::assertStringContainsString('All is there.', $output);
        self::assertFileEquals(__DIR__ . '/../../config/write-buffer.php', "{$this->folder}/config/write-buffer.php");
        self::assertSame([], glob("{$this->folder}/database/migrations/*"));

        file_put_contents("{$this->folder}/config/write-buffer.php", 'mine');
        self::assertSame(0, $this->install()[0]);
        self::assertStringEqualsFile("{$this->folder}/config/write-buffer.php", 'mine');
        self::assertSame(0, $this->install(['--force' => true])[0]);
        self::assertFileEquals(__DIR__ . '/../../config/write-buffer.php', "{$this->folder}/config/write-buffer.php");
    }

    public function testWhatIsMissingIsNamed(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY');
        $this->app->make('config')->set('write-buffer.buffers.default.trade_table', 'no_trades');
        $this->app->make('config')->set('database.connections.down', ['host' => '127.0.0.1', 'port' => 1] + self::server());
        $this->app->make('config')->set('write-buffer.buffers.far', ['driver' => 'native', 'connection' => 'down']);
        $this->app->make('config')->set('write-buffer.buffers.memory', ['driver' => 'native', 'dsn' => 'memory:']);
        [$status, $output] = $this->install();
        self::assertSame(1, $status);
        self::assertStringContainsString('Buffer default: there is no table no_trades in', $output);
        self::assertStringContainsString('Buffer far: SQLSTATE[HY000] [2002]', $output);
        self::assertStringNotContainsString('Buffer memory', $output);
        self::assertStringNotContainsString('no table orders', $output);
    }

    public function testTheTablesOfThePublishedConfigurationNeedNotBeThere(): void
    {
        foreach ([[], ['order_table' => 'orders', 'trade_table' => 'trades']] as $tables) {
            $this->app->make('config')->set('write-buffer.buffers.default', ['driver' => 'native'] + $tables);
            [$status, $output] = $this->install();
            self::assertSame(0, $status, $output);
            self::assertStringContainsString('Buffer default: there is no table orders in', $output);
            self::assertStringContainsString('Buffer default: there is no table trades in', $output);
            self::assertStringContainsString('All is there.', $output);
        }
        $this->app->make('config')->set('write-buffer.buffers.default.tables', ['orders' => ['key' => 'id']]);
        [$status, $output] = $this->install();
        self::assertSame(1, $status, 'its rules mean it');
        self::assertStringContainsString('migrate, or correct `tables`', $output);
    }

    public function testWhatWouldFailAtTheFirstRowIsFound(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, email VARCHAR(20) NOT NULL, UNIQUE KEY by_email (email)');
        $this->createTable('trades', 'id INT PRIMARY KEY, v INT');
        $this->createTable('balances', 'user_id INT, asset CHAR(3), PRIMARY KEY (user_id, asset)');
        $this->createTable('keyless', 'v INT');
        $this->createTable('logs', 'id INT PRIMARY KEY');
        $this->createTable('wb_odd_ledger', 'writer CHAR(32), lane INT, last_transaction BIGINT, connection BIGINT');
        $judge = new \PDO('mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'), 'root', null, [
            \PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION,
        ]);
        $judge->exec('ALTER TABLE logs ENGINE = MyISAM');
        $judge->exec('ALTER TABLE wb_odd_ledger ENGINE = MyISAM');
        $judge->exec("DROP USER IF EXISTS 'wb_reader'@'%'");
        $judge->exec("CREATE USER 'wb_reader'@'%' IDENTIFIED BY 'secret'");
        $judge->exec('GRANT SELECT ON ' . self::setting('DB_DATABASE') . ".* TO 'wb_reader'@'%'");
        $judge->exec('GRANT INSERT ON ' . self::setting('DB_DATABASE') . ".trades TO 'wb_reader'@'%'");
        $config = $this->app->make('config');
        $config->set('database.connections.reader', ['username' => 'wb_reader', 'password' => 'secret'] + self::server());
        $config->set('write-buffer.default', 'typo');
        $config->set('write-buffer.buffers', [
            'default' => ['driver' => 'native', 'ledger_table' => 'wb_odd_ledger', 'tables' => [
                'balances' => ['merge' => ['freee' => 'sum']],
                'keyless' => [],
                'logs' => ['mode' => 'insert'],
                'gone' => ['key' => 'id'],
            ], 'models' => [\WriteBuffer\Laravel\Tests\Support\CountedOrder::class]],
            'reader' => ['driver' => 'native', 'connection' => 'reader', 'order_table' => 'balances',
                'ledger_table' => 'wb_no_ledger'],
            'misspelled' => ['driver' => 'php', 'batchsize' => 5],
            'well' => ['driver' => 'php', 'tables' => ['orders' => ['allowSecondUnique' => true]]],
            'servers' => ['driver' => 'native', 'tables' => ['orders' => ['key' => 'server']]],
            'unknown' => ['driver' => 'php', 'tables' => ['orders' => ['key' => 'server']]],
        ]);
        try {
            [$status, $output] = $this->install();
        } finally {
            $judge->exec("DROP USER 'wb_reader'@'%'");
        }
        self::assertSame(1, $status);
        foreach (
            [
                'The default buffer of config/write-buffer.php is typo, which is not among its buffers: default, reader,',
                'Buffer default: table orders has a second unique index, by_email (email)',
                'Buffer default: table balances has no column freee, which its rules name',
                'Buffer default: table keyless has no primary key',
                'Buffer default: table logs has the engine MyISAM',
                'Buffer default: there is no table gone in',
                'Buffer default: there is no table counted_orders in',
                'wb_odd_ledger has the engine MyISAM',
                'Buffer reader: the account wb_reader may not write to table balances: it lacks INSERT, UPDATE',
                'Buffer reader: the account wb_reader may not create the table wb_no_ledger',
                "Buffer unknown: table orders: 'key' => 'server' needs the extension",
                'Buffer misspelled: the buffer misspelled of config/write-buffer.php has an unknown setting batchsize',
            ] as $expected
        ) {
            self::assertStringContainsString($expected, $output);
        }
        self::assertStringNotContainsString('Buffer well', $output);
        self::assertStringNotContainsString('Buffer servers', $output);
        self::assertStringNotContainsString('table trades', $output);
        self::assertSame('0', (string) $judge->query('SELECT COUNT(*) FROM trades')->fetchColumn());
    }

    public function testTheMigrationMakesTheLedgerThatTheExtensionMakes(): void
    {
        $database = $this->app->make('db')->connection('mysql');
        $ddl = static fn (): string => ((array) $database->select('SHOW CREATE TABLE write_buffer_ledger')[0])['Create Table'];
        $database->unprepared('DROP TABLE IF EXISTS write_buffer_ledger');
        $this->createTable('orders', 'id INT PRIMARY KEY');
        $this->createTable('trades', 'id INT AUTO_INCREMENT PRIMARY KEY, v INT');
        $this->buffer()->add(null, ['v' => 1]);
        $this->buffer()->flush();
        $made = $ddl();
        $this->app->make(\WriteBuffer\Laravel\Buffers\BufferManager::class)->purge();
        $database->unprepared('DROP TABLE write_buffer_ledger');

        self::assertSame(0, $this->install(['--migration' => true])[0]);
        [$file] = glob("{$this->folder}/database/migrations/*_create_write_buffer_ledger_table.php");
        $migration = require $file;
        $migration->up();
        self::assertSame($made, $ddl());
        $this->app->make('config')->set('write-buffer.buffers.audit', ['driver' => 'sync', 'ledger_table' => 'wb_audit_ledger']);
        $migration->up();
        $this->buffer('audit')->add(null, ['v' => 2]);
        self::assertCount(1, $database->select('SELECT * FROM wb_audit_ledger'));
        $migration->down();
        foreach (['write_buffer_ledger', 'wb_audit_ledger'] as $table) {
            self::assertFalse($database->getSchemaBuilder()->hasTable($table));
        }
    }
}
