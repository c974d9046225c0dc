<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Testing;

use Illuminate\Contracts\Container\Container;
use Illuminate\Database\Connection;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Buffers\PackageSettings;
use WriteBuffer\Laravel\Models\SavingBuffer;
use WriteBuffer\Laravel\Transactions\OpenTransactions;

/**
 * Makes a fake for every buffer. Its assertions are about the rows of all buffers together; each
 * fake has the same assertions for its own.
 */
final class BufferManagerFake extends BufferManager
{
    use AssertsBuffered;

    /** Whether rows are checked against the database's tables; null: where one is at hand. */
    private ?bool $checksSchema = null;

    public function __construct(private readonly Container $app)
    {
        parent::__construct($app);
    }

    /**
     * Checks the tables and columns of all rows, and opens the connection for it. Otherwise that is
     * done where the test has opened it, and its database has tables.
     *
     * @return $this
     */
    public function withSchema(): static
    {
        $this->checksSchema = true;

        return $this;
    }

    /**
     * Takes rows of any table, with any columns, whatever the test's database has.
     *
     * @return $this
     */
    public function withoutSchema(): static
    {
        $this->checksSchema = false;

        return $this;
    }

    public function buffered(): array
    {
        return array_merge(...array_map(static fn (BufferFake $fake): array => $fake->buffered(), $this->fakes()));
    }

    public function groups(): array
    {
        return array_merge(...array_map(static fn (BufferFake $fake): array => $fake->groups(), $this->fakes()));
    }

    public function flushes(): int
    {
        return array_sum(array_map(static fn (BufferFake $fake): int => $fake->flushes(), $this->fakes()));
    }

    protected function make(string $name): Buffer
    {
        $config = (array) $this->app->make('config')->get("write-buffer.buffers.{$name}", []);
        PackageSettings::check($this->app->make('config')->get('write-buffer'));
        if (in_array(BufferSettings::driver($config), self::DRIVERS, true)) {
            BufferSettings::refuseUnknown($name, $config);
        }
        $follows = BufferSettings::isAfterCommit($config) && !isset($config['dsn']) && $this->app->bound('db');

        $connection = fn (): Connection => $this->app->make('db')->connection(self::named($config));
        // The package's drivers write to this connection, but for `null`.
        $isPlaced = !isset($config['dsn']) && in_array(BufferSettings::driver($config), ['native', 'sync', 'php'], true);

        $fake = new BufferFake(
            ...BufferSettings::tables($config),
            tables: BufferSettings::rules($config),
            transactions: $follows ? $this->app->make(OpenTransactions::class) : null,
            connection: $follows ? $connection : null,
            schema: $isPlaced
                ? new SchemaCheck($connection, fn () => $this->catalogOf($name), fn (): ?bool => $this->checksSchema)
                : null,
        );

        return self::takingModels($fake, $config, isset($config['dsn']) ? null : self::named($config));
    }

    /** @return list<BufferFake> */
    private function fakes(): array
    {
        $fakes = array_map(
            static fn (Buffer $buffer): Buffer => $buffer instanceof SavingBuffer ? $buffer->rows() : $buffer,
            $this->made(),
        );

        return array_values(array_filter($fakes, static fn (Buffer $buffer): bool => $buffer instanceof BufferFake));
    }
}
