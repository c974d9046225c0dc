<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use Closure;
use Illuminate\Contracts\Container\Container;
use Illuminate\Database\Connection;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Drivers\Native\NativeDsn;
use WriteBuffer\Laravel\Drivers\Native\PrefixedBuffer;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Drivers\Php\PhpBuffer;
use WriteBuffer\Laravel\Models\SavingBuffer;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\Table;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\Laravel\Transactions\AfterCommitBuffer;
use WriteBuffer\Laravel\Transactions\OpenTransactions;

/**
 * Owns the buffers of config/write-buffer.php, by name. It is a manager in Laravel's sense: a
 * buffer is made at its first use, and kept. A method that the manager does not have is called on
 * the default buffer.
 *
 * @mixin Buffer
 */
class BufferManager
{
    /** @var array<string, Buffer> */
    private array $buffers = [];

    /** @var array<string, Closure(Container, array<string, mixed>, string): Buffer> */
    private array $creators = [];

    public function __construct(private readonly Container $container)
    {
    }

    public function buffer(?string $name = null): Buffer
    {
        $name ??= $this->getDefaultBuffer();

        return $this->buffers[$name] ??= $this->make($name);
    }

    /** Whether a buffer may have rows that an earlier request has added. */
    public function isPersistent(string $name): bool
    {
        return (string) ($this->config($name)['persistent'] ?? '') !== '';
    }

    /** A buffer by which models save themselves, whatever its setting `models` says. */
    public function saving(?string $name = null): SavingBuffer
    {
        $buffer = $this->buffer($name);

        return $buffer instanceof SavingBuffer
            ? $buffer
            : new SavingBuffer($buffer, BufferSettings::rules($this->config($name ?? $this->getDefaultBuffer())));
    }

    public function getDefaultBuffer(): string
    {
        return (string) $this->container->make('config')->get('write-buffer.default', 'default');
    }

    /** @return list<string> the names in config/write-buffer.php */
    public function names(): array
    {
        return array_map('strval', array_keys((array) $this->container->make('config')->get('write-buffer.buffers')));
    }

    /** @return array<string, mixed> a buffer's rules for a table */
    public function rulesOf(string $table, ?string $name = null): array
    {
        return BufferSettings::rules($this->config($name ?? $this->getDefaultBuffer()))[$table] ?? [];
    }

    /**
     * A buffer's rules, by the server's names of the tables: the names that failures have.
     *
     * @return array<string, array<string, mixed>>
     */
    public function serverRules(string $name): array
    {
        $config = $this->config($name);
        $prefix = isset($config['dsn']) ? '' : (string) $this->connection($config)->getTablePrefix();

        return BufferSettings::of($config, new RowReader($prefix))['tables'];
    }

    /** Whether values of rows stay out of a buffer's messages. */
    public function redactsValues(string $name): bool
    {
        return BufferSettings::isRedacted($this->config($name));
    }

    /** A table as a buffer sees it, for a caller that merges rows of it. */
    public function table(string $table, string $keyName, ?string $name = null): Table
    {
        $config = $this->config($name ?? $this->getDefaultBuffer());
        $reader = new RowReader((string) $this->connection($config)->getTablePrefix());
        $name = $reader->table($table);

        return $this->catalog($config, $reader)->of($name, new Row($name, [], $keyName));
    }

    /** @return array<string, Buffer> the buffers that were used, by name */
    public function made(): array
    {
        return $this->buffers;
    }

    /**
     * Registers a driver of the application.
     *
     * @param Closure(Container, array<string, mixed>, string): Buffer $creator
     *        gets the buffer's configuration, which may hold a password (mark the parameter as
     *        #[\SensitiveParameter]), and its name
     */
    public function extend(string $driver, Closure $creator): static
    {
        $this->creators[$driver] = $creator;

        return $this;
    }

    /**
     * Forgets a buffer. Its destruction writes what it holds. The next use makes a new one, from
     * the configuration at that time.
     */
    public function purge(?string $name = null): void
    {
        unset($this->buffers[$name ?? $this->getDefaultBuffer()]);
    }

    /**
     * A buffer like the named one, for groups that it gave up: it writes at once, and has no
     * dead-letter file.
     */
    public function makeForRetry(string $name): Buffer
    {
        $config = ['dead_letter_file' => '', 'after_commit' => false] + $this->config($name);

        return match ($config['driver'] ?? 'null') {
            'native', 'sync' => $this->makeNative('sync', $config, $name),
            'php' => $this->makePhp($config),
            default => $this->make($name),
        };
    }

    /** @param array<mixed> $arguments */
    public function __call(string $method, array $arguments): mixed
    {
        return $this->buffer()->{$method}(...$arguments);
    }

    protected function make(string $name): Buffer
    {
        $config = $this->config($name);
        $driver = $config['driver'] ?? 'null';
        if (isset($this->creators[$driver])) {
            return ($this->creators[$driver])($this->container, $config, $name);
        }

        $buffer = match ($driver) {
            'native', 'sync' => $this->makeNative($driver, $config, $name),
            'php' => $this->makePhp($config),
            'null' => new NullBuffer(),
            default => throw new ConfigException(
                "the buffer {$name} of config/write-buffer.php has the driver {$driver}; there are: native, sync, php,"
                . ' null, and what extend() registered'
            ),
        };

        return self::takingModels($buffer, $config);
    }

    /**
     * A buffer that takes a model as its save() does, unless the configuration says otherwise.
     *
     * @param array<string, mixed> $config
     */
    protected static function takingModels(Buffer $buffer, #[\SensitiveParameter] array $config): Buffer
    {
        return BufferSettings::takesModelsRaw($config)
            ? $buffer
            : new SavingBuffer($buffer, BufferSettings::rules($config));
    }

    /** @return array<string, mixed> */
    private function config(string $name): array
    {
        $config = $this->container->make('config')->get("write-buffer.buffers.{$name}");

        return is_array($config)
            ? $config
            : throw new ConfigException("there is no buffer {$name} in config/write-buffer.php; there are: "
                . implode(', ', $this->names()));
    }

    /** @param array<string, mixed> $config */
    private function makeNative(string $driver, #[\SensitiveParameter] array $config, string $name): Buffer
    {
        if (!extension_loaded('write_buffer')) {
            throw new ConfigException(
                "the buffer {$name} of config/write-buffer.php has the driver {$driver}, and the extension write_buffer"
                . ' is not loaded: add "extension=write_buffer" to php.ini, or use the driver "php"'
            );
        }
        $connection = null;
        if (isset($config['dsn'])) {
            $reader = new RowReader();
            $dsn = $config['dsn'];
        } else {
            $connection = $this->connection($config);
            $reader = new RowReader((string) $connection->getTablePrefix());
            $dsn = NativeDsn::fromConfig($connection->getConfig());
        }
        $settings = BufferSettings::of($config, $reader);
        $tables = BufferSettings::tables($config);
        $buffer = $driver === 'sync'
            ? new \SyncWriteBuffer($dsn, ...$settings)
            : new \WriteBuffer($dsn, ...$settings);

        if ((string) $connection?->getTablePrefix() !== '') {
            $buffer = new PrefixedBuffer($buffer, $reader, $this->catalog($config, $reader), ...$tables);
        }

        return $connection === null ? $buffer : $this->afterCommit($buffer, $config, $reader);
    }

    /** @param array<string, mixed> $config */
    private function makePhp(#[\SensitiveParameter] array $config): Buffer
    {
        $connection = fn (): Connection => $this->connection($config);
        $reader = new RowReader((string) $connection()->getTablePrefix());

        $transactions = $this->container->make(OpenTransactions::class);
        $mayWrite = BufferSettings::isAfterCommit($config)
            ? static fn (): bool => !$transactions->isOpen($connection())
            : null;
        $settings = ['mayWrite' => $mayWrite] + BufferSettings::ofPhp($config, $reader);

        return $this->afterCommit(new PhpBuffer($connection, $reader, ...$settings), $config, $reader);
    }

    /**
     * The buffer itself, or behind Laravel's transactions, if it follows them.
     *
     * @param array<string, mixed> $config
     */
    private function afterCommit(Buffer $buffer, #[\SensitiveParameter] array $config, RowReader $reader): Buffer
    {
        if (!BufferSettings::isAfterCommit($config)) {
            return $buffer;
        }

        return new AfterCommitBuffer(
            $buffer,
            $this->container->make(OpenTransactions::class),
            fn (): Connection => $this->connection($config),
            $reader,
            $this->catalog($config, $reader),
            ...BufferSettings::tables($config),
        );
    }

    /** @param array<string, mixed> $config */
    private function catalog(#[\SensitiveParameter] array $config, RowReader $reader): TableCatalog
    {
        $settings = BufferSettings::of($config, $reader);

        return new TableCatalog(
            fn (): Connection => $this->connection($config),
            $settings['tables'],
            $settings['orderTable'],
            $settings['tradeTable'],
        );
    }

    /** @param array<string, mixed> $config */
    private function connection(#[\SensitiveParameter] array $config): Connection
    {
        return $this->container->make('db')->connection($config['connection'] ?? null);
    }
}
