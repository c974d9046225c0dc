<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use Closure;
use Illuminate\Container\Container;
use Illuminate\Contracts\Config\Repository;
use Illuminate\Database\Connection;
use Illuminate\Database\DatabaseManager;
use WriteBuffer\ConfigException;

/**
 * Owns where a buffer writes: the server, the account, the database and the prefix that a
 * connection of Laravel had when the buffer was made. An application with tenants changes these at
 * run time.
 *
 * Invariant: connection() is always of this place, whatever the connection's name means by now.
 *
 * isCurrent() is asked for each row, so it compares what was remembered, and makes nothing.
 */
final class Place
{
    /** What says which database a connection has, beside its prefix. */
    private const SERVER = ['host', 'port', 'unix_socket', 'database'];

    public readonly string $name;

    private Connection $connection;

    /** The place's own connection, once the name means another one. */
    private ?Connection $own = null;

    /** @var array<string, mixed>|null as in config/database.php; null: it is not there */
    private readonly ?array $written;

    /** @var array<string, mixed> as the connection has it */
    private readonly array $config;

    private readonly string $prefix;

    private readonly string $database;

    private Container $container;

    private ?Repository $repository = null;

    /**
     * @param string|null $named the buffer's `connection`; null: the default one
     * @param Closure(array<string, mixed>, string): Connection $open opens a connection by its
     *                                                                configuration
     *
     * @throws ConfigException nobody can say where the connection leads
     */
    public function __construct(
        private readonly DatabaseManager $databases,
        private readonly ?string $named,
        private readonly Closure $open,
    ) {
        $this->name = $named ?? (string) $databases->getDefaultConnection();
        $this->connection = $databases->connection($this->name);
        $this->config = (array) $this->connection->getConfig();
        $this->prefix = (string) $this->connection->getTablePrefix();
        $this->database = (string) $this->connection->getDatabaseName();
        $this->written = $this->settings()['connections'][$this->name] ?? null;
        $this->refuseDoubt();
    }

    /** Whether the connection's name still means this place. */
    public function isCurrent(): bool
    {
        $settings = $this->settings();
        if (
            ($this->named ?? $settings['default'] ?? null) !== $this->name
            || ($settings['connections'][$this->name] ?? null) !== $this->written
        ) {
            return false;
        }
        $now = $this->databases->getConnections()[$this->name] ?? null;
        if ($now !== $this->connection) {
            // It was purged: it is made anew, from the configuration of now.
            $now ??= $this->databases->connection($this->name);
            if ((array) $now->getConfig() !== $this->config) {
                return false;
            }
            $this->connection = $now;
        }

        return $now->getTablePrefix() === $this->prefix && $now->getDatabaseName() === $this->database;
    }

    /** A connection of this place: Laravel's own, as long as that leads here. */
    public function connection(): Connection
    {
        if ($this->isCurrent()) {
            $this->own = null;

            return $this->connection;
        }
        if ($this->own === null) {
            $this->own = ($this->open)($this->config, $this->name);
            $this->own->setTablePrefix($this->prefix);
            $this->own->setDatabaseName($this->database);
        }

        return $this->own;
    }

    /** @return array<string, mixed> the configuration of its connection; it has a password */
    public function config(): array
    {
        return $this->config;
    }

    public function prefix(): string
    {
        return $this->prefix;
    }

    /** For messages. */
    public function describe(): string
    {
        $prefix = $this->prefix === '' ? '' : ", prefix {$this->prefix}";

        return "the connection {$this->name} (database {$this->database}{$prefix})";
    }

    /** Whether another connection of Laravel's has the same tables. */
    public function isSameAs(string $name): bool
    {
        if ($name === $this->name) {
            return true;
        }
        $other = $this->databases->connection($name);
        // Each connection to a database in memory has one of its own.
        $isShared = $this->database !== '' && $this->database !== ':memory:';
        $config = (array) $other->getConfig();
        foreach (self::SERVER as $key) {
            $isShared = $isShared && ($config[$key] ?? null) === ($this->config[$key] ?? null);
        }

        return $isShared && $other->getTablePrefix() === $this->prefix && $other->getDatabaseName() === $this->database;
    }

    /**
     * After config() without DB::purge(), or with DB::reconnect(), a connection tells one place and
     * may lead to another one.
     */
    private function refuseDoubt(): void
    {
        // What the configuration says in other ways is put together by Laravel.
        $other = array_intersect_key($this->written ?? [], ['url' => 0, 'read' => 0, 'write' => 0]);
        if ($this->written === null || array_filter($other) !== []) {
            return;
        }
        foreach ([...self::SERVER, 'username'] as $key) {
            if (($this->written[$key] ?? null) !== ($this->config[$key] ?? null)) {
                throw new ConfigException(
                    "the connection {$this->name} of config/database.php has another {$key} now than when it was opened:"
                    . " call DB::purge('{$this->name}') after you changed its configuration"
                );
            }
        }
    }

    /** @return array<string, mixed> config/database.php */
    private function settings(): array
    {
        // Octane gives each request a container and a configuration of its own.
        $container = Container::getInstance();
        if (!isset($this->container) || $container !== $this->container) {
            $this->container = $container;
            $this->repository = $container->bound('config') ? $container->make('config') : null;
        }

        return $this->repository?->all()['database'] ?? [];
    }
}
