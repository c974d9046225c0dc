<?php

declare(strict_types=1);

namespace Tests\Support;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Bootstrap\BootProviders;
use Illuminate\Foundation\Bootstrap\LoadConfiguration;
use Illuminate\Foundation\Bootstrap\LoadEnvironmentVariables;
use Illuminate\Foundation\Bootstrap\RegisterFacades;
use Illuminate\Foundation\Bootstrap\RegisterProviders;
use Illuminate\Foundation\Bootstrap\SetRequestForConsole;

/** The application on the database that DB_HOST or DB_SOCKET names. */
trait CreatesApplication
{
    public function createApplication(): Application
    {
        if (!getenv('DB_HOST') && !getenv('DB_SOCKET')) {
            self::markTestSkipped('Needs a MySQL or MariaDB server: set DB_HOST or DB_SOCKET, and DB_DATABASE,'
                . ' DB_USERNAME and DB_PASSWORD. The tables orders, trades and balances in it are dropped.');
        }
        $app = require __DIR__ . '/../../bootstrap/app.php';
        // All bootstrappers of the kernels but HandleExceptions: here PHPUnit handles errors.
        $app->bootstrapWith([
            LoadEnvironmentVariables::class,
            LoadConfiguration::class,
            RegisterFacades::class,
            SetRequestForConsole::class,
            RegisterProviders::class,
            BootProviders::class,
        ]);
        $app['config']->set('write-buffer.status', false);

        return $app;
    }

    /** Drops the exchange's tables, and creates them again. */
    private function emptyTables(Application $app): void
    {
        self::assertSame(0, $app->make(Kernel::class)->call('migrate:refresh', ['--force' => true]));
    }
}
