<?php

declare(strict_types=1);

namespace Tests\Support;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Database\Connection;
use Illuminate\Foundation\Application;
use PHPUnit\Framework\TestCase;

/** The application on a database whose tables are dropped and created again. */
abstract class DatabaseTestCase extends TestCase
{
    use CreatesApplication;

    protected Application $app;

    protected function setUp(): void
    {
        $this->app = $this->createApplication();
        $this->emptyTables($this->app);
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
