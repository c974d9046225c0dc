<?php

declare(strict_types=1);

namespace Tests\Support;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Database\Connection;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Bootstrap\BootProviders;
use Illuminate\Foundation\Bootstrap\LoadConfiguration;
use Illuminate\Foundation\Bootstrap\LoadEnvironmentVariables;
use Illuminate\Foundation\Bootstrap\RegisterFacades;
use Illuminate\Foundation\Bootstrap\RegisterProviders;
use Illuminate\Foundation\Bootstrap\SetRequestForConsole;
use PHPUnit\Framework\TestCase;

/** The application on the database that DB_HOST or DB_SOCKET names. Its tables are dropped and made again. */
abstract class DatabaseTestCase extends TestCase
{
    protected Application $app;

    protected function setUp(): void
    {
        if (!getenv('DB_HOST') && !getenv('DB_SOCKET')) {
            self::markTestSkipped('Needs a MySQL or MariaDB server: set DB_HOST or DB_SOCKET, and DB_DATABASE,'
                . ' DB_USERNAME and DB_PASSWORD. The tables orders, trades and balances in it are dropped.');
        }

        $this->app = require __DIR__ . '/../../bootstrap/app.php';
        // All of the console kernel's bootstrappers but HandleExceptions: errors are PHPUnit's here.
        $this->app->bootstrapWith([
            LoadEnvironmentVariables::class,
            LoadConfiguration::class,
            RegisterFacades::class,
            SetRequestForConsole::class,
            RegisterProviders::class,
            BootProviders::class,
        ]);
        self::assertSame(0, $this->artisan('migrate:refresh', ['--force' => true]));
    }

    protected function tearDown(): void
    {
        if (isset($this->app)) {
            $this->connection()->disconnect();
            $this->app->flush();
        }
    }

    protected function connection(): Connection
    {
        return $this->app->make('db')->connection();
    }

    /** @param array<string, mixed> $parameters */
    protected function artisan(string $command, array $parameters = []): int
    {
        return $this->app->make(Kernel::class)->call($command, $parameters);
    }
}
