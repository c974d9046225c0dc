<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use Closure;
use Illuminate\Contracts\Container\Container;
use Illuminate\Database\Connection;
use Illuminate\Database\Eloquent\Model;
use Throwable;
use WeakMap;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Drivers\Native\NativeDsn;
use WriteBuffer\Laravel\Drivers\Native\PrefixedBuffer;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Drivers\Php\PhpBuffer;
use WriteBuffer\Laravel\Models\SavingBuffer;
use WriteBuffer\Laravel\Rows\Identity;
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
    /** The package's own drivers. */
    public const DRIVERS = ['native', 'sync', 'php', 'null'];

    /** A server that did not describe a table is asked again after this time. */
    private const ASK_AGAIN_NS = 5_000_000_000;

    /** A process that goes from tenant to tenant has at most so many buffers of earlier ones. */
    private const EARLIER_MAX = 8;

    /** @var array<string, Buffer> */
    private array $buffers = [];

    /** @var array<string, list<PlacedBuffer>> their connection has become another place */
    private array $earlier = [];

    /** @var WeakMap<PlacedBuffer, string> all that somebody may still hold, with their names */
    private WeakMap $placed;

    /** @var array<string, Closure(Container, array<string, mixed>, string): Buffer> */
    private array $creators = [];

    public function __construct(private readonly Container $container)
    {
        $this->placed = new WeakMap();
    }

    public function buffer(?string $name = null): Buffer
    {
        $name ??= $this->getDefaultBuffer();
        $buffer = $this->buffers[$name] ?? null;
        if ($buffer instanceof PlacedBuffer && !$buffer->place()->isCurrent()) {
            $this->leave($name, $buffer);
            $buffer = $this->current($name);
        }
        if ($buffer === null) {
            $buffer = $this->make($name);
            if ($buffer instanceof PlacedBuffer) {
                $this->placed[$buffer] = $name;
            }
        }

        return $this->buffers[$name] = $buffer;
    }

    /** Whether a buffer may have rows that an earlier request has added. */
    public function isPersistent(string $name): bool
    {
        return (string) ($this->config($name)['persistent'] ?? '') !== '';
    }

    /**
     * Puts a buffer aside whose connection has become another place. It goes on writing what it has
     * to its own.
     */
    private function leave(string $name, PlacedBuffer $buffer): void
    {
        unset($this->buffers[$name]);
        $this->earlier[$name][] = $buffer;
        if (count($this->earlier[$name]) > self::EARLIER_MAX) {
            // Throws if rows cannot be written: then it stays, and the next change tries again.
            $this->earlier[$name][0]->flush();
            array_shift($this->earlier[$name]);
        }
    }

    /** A buffer of the place that its connection is now, if one was made before. */
    private function current(string $name): ?PlacedBuffer
    {
        foreach ($this->placed as $buffer => $of) {
            if ($of === $name && $buffer->place()->isCurrent()) {
                $this->earlier[$name] = array_values(array_filter(
                    $this->earlier[$name] ?? [],
                    static fn (PlacedBuffer $earlier): bool => $earlier !== $buffer,
                ));

                return $buffer;
            }
        }

        return null;
    }

    /** Lets go of the buffers of earlier places that have nothing to write or to tell any more. */
    public function forgetEarlier(): void
    {
        foreach ($this->earlier as $name => $buffers) {
            $this->earlier[$name] = array_values(array_filter(
                $buffers,
                static fn (PlacedBuffer $buffer): bool => count($buffer) > 0 || $buffer->failures() !== [],
            ));
        }
    }

    /**
     * A buffer by which a model saves itself, whatever the buffer's setting `models` says.
     *
     * @throws ConfigException the model belongs to another connection
     */
    public function saving(Model $model, ?string $name = null): SavingBuffer
    {
        $buffer = $this->buffer($name);
        $place = null;
        if ($buffer instanceof PlacedBuffer) {
            $buffer->check($model);
            $place = $buffer->place();
            $buffer = $buffer->behind();
        }
        $config = $this->config($name ?? $this->getDefaultBuffer());

        return $buffer instanceof SavingBuffer
            ? $buffer
            : new SavingBuffer($buffer, BufferSettings::rules($config), $place?->name, $this->identities($config, $place));
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

    /** Where a buffer of the extension writes: a DSN, with its password. */
    public function dsn(string $name): string
    {
        $config = $this->config($name);

        return self::dsnOf($config, $this->place(BufferSettings::driver($config), $config));
    }

    /** Whether values of rows stay out of a buffer's messages. */
    public function redactsValues(string $name): bool
    {
        return BufferSettings::isRedacted($this->config($name));
    }

    /** The tables of a buffer as the server describes them now, for a check. */
    public function catalogOf(string $name): TableCatalog
    {
        $config = $this->config($name);

        return $this->catalog($config, new RowReader((string) $this->connection($config)->getTablePrefix()));
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

    /** @return iterable<string, Buffer> these, and those of earlier places: names come again */
    public function all(): iterable
    {
        foreach ($this->placed as $buffer => $name) {
            yield $name => $buffer;
        }
        foreach ($this->buffers as $name => $buffer) {
            if (!$buffer instanceof PlacedBuffer) {
                yield $name => $buffer;
            }
        }
    }

    /**
     * Flushes all buffers that were used, also if one of them fails.
     *
     * @param int|null $timeoutMs for each
     *
     * @return int the rows that were committed
     *
     * @throws \WriteBuffer\Exception what the first one that failed has thrown
     */
    public function flushAll(?int $timeoutMs = null): int
    {
        $rows = 0;
        $thrown = null;
        foreach ($this->all() as $buffer) {
            try {
                $rows += $buffer->flush($timeoutMs);
            } catch (Throwable $e) {
                $thrown ??= $e;
            }
        }

        return $thrown === null ? $rows : throw $thrown;
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
        $name ??= $this->getDefaultBuffer();
        unset($this->buffers[$name], $this->earlier[$name]);
        $left = new WeakMap();
        foreach ($this->placed as $buffer => $of) {
            if ($of !== $name) {
                $left[$buffer] = $of;
            }
        }
        $this->placed = $left;
    }

    /**
     * A buffer like the named one, for groups that it gave up: it writes at once, and has no
     * dead-letter file.
     */
    public function makeForRetry(string $name): Buffer
    {
        $config = ['dead_letter_file' => '', 'after_commit' => false] + $this->config($name);

        $driver = BufferSettings::driver($config);

        return match ($driver) {
            'native', 'sync' => $this->makeNative('sync', $config, $name, $this->place($driver, $config)),
            'php' => $this->makePhp($config, $this->place($driver, $config)),
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
        PackageSettings::check($this->container->make('config')->get('write-buffer'));
        $config = $this->config($name);
        $driver = BufferSettings::driver($config);
        if (isset($this->creators[$driver])) {
            return ($this->creators[$driver])($this->container, $config, $name);
        }

        BufferSettings::refuseUnknown($name, $config);
        $place = $this->place($driver, $config);
        $buffer = match ($driver) {
            'native', 'sync' => $this->makeNative($driver, $config, $name, $place),
            'php' => $this->makePhp($config, $place),
            'null' => new NullBuffer(),
            default => throw new ConfigException(
                "the buffer {$name} of config/write-buffer.php has the driver {$driver}; there are: "
                . implode(', ', self::DRIVERS) . ', and what extend() registered'
            ),
        };

        $buffer = self::takingModels($buffer, $config, $place?->name, $this->identities($config, $place));

        return $place === null ? $buffer : new PlacedBuffer(
            $name,
            $place,
            $buffer,
            ...BufferSettings::tables($config),
        );
    }

    /**
     * A buffer that takes a model as its save() does, unless the configuration says otherwise.
     *
     * @param array<string, mixed> $config
     * @param string|null          $connection of the rows; null: the default one
     * @param (Closure(string): ?Identity)|null $identities
     */
    protected static function takingModels(
        Buffer $buffer,
        #[\SensitiveParameter] array $config,
        ?string $connection,
        ?Closure $identities = null,
    ): Buffer {
        return BufferSettings::takesModelsRaw($config)
            ? $buffer
            : new SavingBuffer($buffer, BufferSettings::rules($config), $connection, $identities);
    }

    /**
     * Asks the server which columns are a table's key; in an outage once in a while.
     *
     * @param array<string, mixed> $config
     *
     * @return (Closure(string): ?Identity)|null
     */
    private function identities(#[\SensitiveParameter] array $config, ?Place $place): ?Closure
    {
        if ($place === null) {
            return null;
        }
        $reader = new RowReader($place->prefix());
        $catalog = $this->catalog($config, $reader, $place);
        $notBefore = [];

        return static function (string $table) use ($reader, $catalog, &$notBefore): ?Identity {
            if (hrtime(true) < ($notBefore[$table] ?? 0)) {
                return null;
            }
            $identity = $catalog->identity($reader->table($table), null);
            if ($identity === null) {
                $notBefore[$table] = hrtime(true) + self::ASK_AGAIN_NS;
            }

            return $identity;
        };
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
    private static function dsnOf(#[\SensitiveParameter] array $config, ?Place $place): string
    {
        return $place === null ? (string) $config['dsn'] : NativeDsn::fromConfig($place->config());
    }

    /** @param array<string, mixed> $config */
    private function makeNative(
        string $driver,
        #[\SensitiveParameter] array $config,
        string $name,
        ?Place $place,
    ): Buffer {
        if (!extension_loaded('write_buffer')) {
            throw new ConfigException(
                "the buffer {$name} of config/write-buffer.php has the driver {$driver}, and the extension write_buffer"
                . ' is not loaded: add "extension=write_buffer" to php.ini, or use the driver "php"'
            );
        }
        $reader = new RowReader((string) $place?->prefix());
        $dsn = self::dsnOf($config, $place);
        $settings = BufferSettings::of($config, $reader);
        $tables = BufferSettings::tables($config);
        $buffer = $driver === 'sync'
            ? new \SyncWriteBuffer($dsn, ...$settings)
            : new \WriteBuffer($dsn, ...$settings);

        if ($place === null) {
            return $buffer;
        }
        if ($place->prefix() !== '') {
            $buffer = new PrefixedBuffer($buffer, $reader, $this->catalog($config, $reader, $place), ...$tables);
        }

        return $this->afterCommit($buffer, $config, $reader, $place);
    }

    /** @param array<string, mixed> $config */
    private function makePhp(#[\SensitiveParameter] array $config, Place $place): Buffer
    {
        $connection = $place->connection(...);
        $reader = new RowReader($place->prefix());

        $transactions = $this->container->make(OpenTransactions::class);
        $mayWrite = BufferSettings::isAfterCommit($config)
            ? static fn (): bool => !$transactions->isOpen($connection())
            : null;
        $settings = ['mayWrite' => $mayWrite] + BufferSettings::ofPhp($config, $reader);

        return $this->afterCommit(new PhpBuffer($connection, $reader, ...$settings), $config, $reader, $place);
    }

    /**
     * The buffer itself, or behind Laravel's transactions, if it follows them.
     *
     * @param array<string, mixed> $config
     */
    private function afterCommit(
        Buffer $buffer,
        #[\SensitiveParameter] array $config,
        RowReader $reader,
        Place $place,
    ): Buffer {
        if (!BufferSettings::isAfterCommit($config)) {
            return $buffer;
        }

        return new AfterCommitBuffer(
            $buffer,
            $this->container->make(OpenTransactions::class),
            $place->connection(...),
            $reader,
            $this->catalog($config, $reader, $place),
            ...BufferSettings::tables($config),
        );
    }

    /** @param array<string, mixed> $config */
    private function catalog(
        #[\SensitiveParameter] array $config,
        RowReader $reader,
        ?Place $place = null,
    ): TableCatalog {
        $settings = BufferSettings::of($config, $reader);

        return new TableCatalog(
            fn (): Connection => $place?->connection() ?? $this->connection($config),
            $settings['tables'],
            $settings['orderTable'],
            $settings['tradeTable'],
        );
    }

    /**
     * @param array<string, mixed> $config
     *
     * @return Place|null null: no connection of Laravel's says where it writes
     */
    private function place(string $driver, #[\SensitiveParameter] array $config): ?Place
    {
        $hasPlace = $driver === 'php' || (in_array($driver, ['native', 'sync'], true) && !isset($config['dsn']));

        if (!$hasPlace) {
            return null;
        }
        // Made now, since rows may still have to be written when the application is gone.
        $factory = $this->container->bound('db.factory') ? $this->container->make('db.factory') : null;

        return new Place(
            $this->container->make('db'),
            self::named($config),
            fn (#[\SensitiveParameter] array $of, string $name): Connection
                => ($factory ?? $this->container->make('db.factory'))->make($of, $name),
        );
    }

    /** @param array<string, mixed> $config */
    protected static function named(#[\SensitiveParameter] array $config): ?string
    {
        $named = (string) ($config['connection'] ?? '');

        return $named === '' ? null : $named;
    }

    /** @param array<string, mixed> $config */
    private function connection(#[\SensitiveParameter] array $config): Connection
    {
        return $this->container->make('db')->connection(self::named($config));
    }
}
