<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Config\Repository;
use Illuminate\Contracts\Console\Kernel as ConsoleKernelContract;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel as HttpKernelContract;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Console\Kernel as ConsoleKernel;
use Illuminate\Foundation\Http\Kernel as HttpKernel;
use Illuminate\Foundation\Testing\TestCase as LaravelTestCase;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Facade;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\WriteBufferServiceProvider;

/**
 * Laravel with this package, and without an application: the configuration is here, and nothing is
 * written to disk. Its database is on the server DB_HOST (see scripts/with-server). The account may
 * create databases.
 */
abstract class TestCase extends LaravelTestCase
{
    private const PROVIDERS = [
        \Illuminate\Bus\BusServiceProvider::class,
        \Illuminate\Cache\CacheServiceProvider::class,
        \Illuminate\Database\DatabaseServiceProvider::class,
        \Illuminate\Encryption\EncryptionServiceProvider::class,
        \Illuminate\Filesystem\FilesystemServiceProvider::class,
        \Illuminate\Foundation\Providers\ConsoleSupportServiceProvider::class,
        \Illuminate\Foundation\Providers\FoundationServiceProvider::class,
        \Illuminate\Queue\QueueServiceProvider::class,
        WriteBufferServiceProvider::class,
    ];

    /** @var list<string> tables to drop */
    private array $tables = [];

    public function createApplication(): Application
    {
        $app = new Application($this->basePath());
        $app->instance('env', 'testing');
        $app->instance('config', new Repository($this->configuration()));
        $app->instance('request', Request::create('http://localhost'));
        $app->singleton(ConsoleKernelContract::class, ConsoleKernel::class);
        $app->singleton(HttpKernelContract::class, HttpKernel::class);
        $app->singleton(ExceptionHandler::class, RecordingHandler::class);
        Facade::clearResolvedInstances();
        Facade::setFacadeApplication($app);
        foreach (self::PROVIDERS as $provider) {
            $app->register($provider);
        }
        // Bootstraps nothing, so that no kernel looks for an application's files.
        $app->bootstrapWith([]);
        $app->boot();

        return $app;
    }

    /** The application's folder. Nothing reads it, unless a test does. */
    protected function basePath(): string
    {
        return __DIR__;
    }

    /** @return array<string, mixed> */
    protected function configuration(): array
    {
        return [
            'app' => ['key' => str_repeat('k', 32), 'cipher' => 'AES-256-CBC', 'timezone' => 'UTC', 'env' => 'testing'],
            'cache' => ['default' => 'array', 'stores' => ['array' => ['driver' => 'array']]],
            'logging' => ['default' => 'null', 'channels' => ['null' => [
                'driver' => 'monolog',
                'handler' => \Monolog\Handler\NullHandler::class,
            ]]],
            'queue' => ['default' => 'sync', 'failed' => ['driver' => 'null'], 'connections' => [
                'sync' => ['driver' => 'sync'],
                'database' => ['driver' => 'database', 'table' => 'wb_jobs', 'queue' => 'default', 'retry_after' => 90],
            ]],
            'database' => ['default' => 'mysql', 'migrations' => 'migrations', 'connections' => [
                'mysql' => self::server(),
                'sqlite' => ['driver' => 'sqlite', 'database' => ':memory:', 'prefix' => ''],
            ]],
            'write-buffer' => $this->bufferConfiguration() + ['status' => false],
        ];
    }

    /** @return array<string, mixed> replaces the package's configuration */
    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => [
            'default' => ['driver' => 'native', 'background' => false, 'flush_interval_ms' => 3_600_000],
        ]];
    }

    /**
     * Laravel's connection to the throwaway server, as in config/database.php.
     *
     * @param array<string, mixed> $changes
     *
     * @return array<string, mixed>
     */
    protected static function server(array $changes = []): array
    {
        return $changes + [
            'driver' => 'mysql',
            'host' => self::setting('DB_HOST'),
            'port' => self::setting('DB_PORT'),
            'database' => self::setting('DB_DATABASE'),
            'username' => self::setting('DB_USERNAME'),
            'password' => self::setting('DB_PASSWORD'),
            'unix_socket' => '',
            'charset' => 'utf8mb4',
            'collation' => 'utf8mb4_unicode_ci',
            'prefix' => '',
            'strict' => true,
            'engine' => null,
        ];
    }

    protected static function setting(string $name): string
    {
        $value = getenv($name);

        return $value === false || $value === ''
            ? self::fail("{$name} is not set: run the tests with `make test-laravel`")
            : $value;
    }

    protected function tearDown(): void
    {
        if ($this->app) {
            $manager = $this->app->make(BufferManager::class);
            foreach ($manager->made() as $buffer) {
                try {
                    $buffer->flush(2_000);
                } catch (\Throwable) {
                    // The test has told what is wrong, so the buffer's end need not.
                }
                $buffer->takeFailures();
            }
            foreach (array_reverse($this->tables) as $table) {
                $this->app->make('db')->connection('mysql')->unprepared("DROP TABLE IF EXISTS {$table}");
            }
            $this->app->make('db')->connection('mysql')->disconnect();
        }
        $this->tables = [];
        parent::tearDown();
        // An application refers to itself, and has connections: many of them would be too many.
        gc_collect_cycles();
    }

    protected function buffer(?string $name = null): Buffer
    {
        return $this->app->make(BufferManager::class)->buffer($name);
    }

    /** Creates a table on the server. The test's end drops it. */
    protected function createTable(string $name, string $definition): void
    {
        $database = $this->app->make('db')->connection('mysql');
        $database->unprepared("DROP TABLE IF EXISTS {$name}");
        $database->unprepared("CREATE TABLE {$name} ({$definition}) ENGINE=InnoDB");
        $this->tables[] = $name;
    }

    /** @return list<array<string, mixed>> a table's rows on the server, by its first column */
    protected function rows(string $table, string $connection = 'mysql'): array
    {
        $rows = $this->app->make('db')->connection($connection)->select("SELECT * FROM {$table} ORDER BY 1");

        return array_map(static fn (object $row): array => (array) $row, $rows);
    }
}
