<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Native;

use PDO;
use WriteBuffer\ConfigException;

/**
 * Owns the translation of a connection in config/database.php into the extension's DSN: both write
 * to the same server, with the same session. It reads the configuration of Laravel's connection
 * object: `url` is parsed already, and a read/write split is its write side.
 *
 * One thing differs on purpose: without `isolation_level` the extension uses READ COMMITTED.
 */
final class NativeDsn
{
    /** Laravel's modes under `strict`, since MySQL 8.0.11 and MariaDB 10. */
    private const STRICT_MODES = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,'
        . 'ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

    private const DRIVERS = ['mysql', 'mariadb'];

    private const TLS_ATTRIBUTES = [
        'SSL_CA', 'SSL_CAPATH', 'SSL_CERT', 'SSL_CIPHER', 'SSL_KEY', 'SSL_VERIFY_SERVER_CERT',
    ];

    /** @param array<string, mixed> $config of Laravel's connection: `$connection->getConfig()` */
    public static function fromConfig(#[\SensitiveParameter] array $config): string
    {
        $name = $config['name'] ?? '?';
        $driver = $config['driver'] ?? null;
        if (!in_array($driver, self::DRIVERS, true)) {
            throw new ConfigException(
                "the connection {$name} of config/database.php has the driver "
                . (is_string($driver) ? $driver : get_debug_type($driver))
                . ': the extension writes to mysql and mariadb; use the buffer driver "php" for others'
            );
        }
        foreach (['username', 'database'] as $needed) {
            if ((string) ($config[$needed] ?? '') === '') {
                throw new ConfigException("the connection {$name} of config/database.php has no {$needed}");
            }
        }

        $socket = (string) ($config['unix_socket'] ?? '');
        $options = array_filter([
            'unix_socket' => $socket,
            'charset' => (string) ($config['charset'] ?? ''),
            'collation' => isset($config['charset']) ? (string) ($config['collation'] ?? '') : '',
            'timezone' => (string) ($config['timezone'] ?? ''),
            'isolation_level' => (string) ($config['isolation_level'] ?? ''),
        ], static fn (string $value): bool => $value !== '');
        $modes = self::modes($config);
        if ($modes !== null) {
            // Also if it is empty: that is a mode too.
            $options['sql_mode'] = $modes;
        }
        $options += self::pdoOptions($config['options'] ?? [], $socket !== '', (string) $name);

        $password = (string) ($config['password'] ?? '');

        return 'mysql://' . rawurlencode((string) $config['username'])
            . ($password === '' ? '' : ':' . rawurlencode($password))
            . '@' . ($socket === '' ? self::hosts($config, (string) $name) : 'localhost')
            . '/' . rawurlencode((string) $config['database'])
            . ($options === [] ? '' : '?' . http_build_query($options, '', '&', PHP_QUERY_RFC3986));
    }

    /** @param array<string, mixed> $config */
    private static function hosts(#[\SensitiveParameter] array $config, string $name): string
    {
        $port = (string) ($config['port'] ?? '');
        $hosts = [];
        foreach ((array) ($config['host'] ?? []) as $host) {
            // PDO takes an IPv6 address with or without brackets; a DSN needs them.
            $host = str_contains($host, ':') && !str_starts_with($host, '[') ? "[{$host}]" : $host;
            $hosts[] = $host . ($port === '' ? '' : ":{$port}");
        }
        if ($hosts === []) {
            throw new ConfigException("the connection {$name} of config/database.php has no host");
        }

        return implode(',', $hosts);
    }

    /** @param array<string, mixed> $config */
    private static function modes(#[\SensitiveParameter] array $config): ?string
    {
        if (isset($config['modes'])) {
            return implode(',', $config['modes']);
        }
        if (!isset($config['strict'])) {
            return null;
        }

        return $config['strict'] ? self::STRICT_MODES : 'NO_ENGINE_SUBSTITUTION';
    }

    /**
     * The options of PDO that say how to reach the server. The others change PDO alone.
     *
     * @param array<int, mixed> $pdo
     *
     * @return array<string, string>
     */
    private static function pdoOptions(#[\SensitiveParameter] array $pdo, bool $isSocket, string $name): array
    {
        $options = [];
        if (isset($pdo[PDO::ATTR_TIMEOUT])) {
            $options['connect_timeout_ms'] = (string) max(1, (int) $pdo[PDO::ATTR_TIMEOUT] * 1000);
        }
        $tls = [];
        foreach (self::TLS_ATTRIBUTES as $attribute) {
            $value = $pdo[self::attribute($attribute)] ?? null;
            // Laravel's own configuration leaves out what is empty. False counts as a value.
            if ($value !== null && $value !== '') {
                $tls[$attribute] = $value;
            }
        }
        // A unix socket never leaves the machine, and is not encrypted.
        if ($tls === [] || $isSocket) {
            return $options;
        }
        foreach (['SSL_CAPATH', 'SSL_CIPHER'] as $unknown) {
            if (isset($tls[$unknown])) {
                throw new ConfigException(
                    "the connection {$name} of config/database.php sets MYSQL_ATTR_{$unknown}, which the extension does"
                    . ' not have: name one file by MYSQL_ATTR_SSL_CA, and leave the ciphers to the server'
                );
            }
        }
        $options['tls'] = 'required';
        if (array_key_exists('SSL_VERIFY_SERVER_CERT', $tls) && !$tls['SSL_VERIFY_SERVER_CERT']) {
            // PDO then checks no certificate, even if authorities are named.
            $options['tls_verify'] = 'none';
            unset($tls['SSL_CA']);
        }
        foreach (['SSL_CA' => 'tls_ca', 'SSL_CERT' => 'tls_cert', 'SSL_KEY' => 'tls_key'] as $attribute => $option) {
            if (isset($tls[$attribute])) {
                $options[$option] = (string) $tls[$attribute];
            }
        }

        return $options;
    }

    /**
     * PHP 8.5 deprecates the old names. Without pdo_mysql neither name exists, and no option uses
     * one.
     */
    private static function attribute(string $name): int|string
    {
        foreach (["Pdo\\Mysql::ATTR_{$name}", "PDO::MYSQL_ATTR_{$name}"] as $constant) {
            if (defined($constant)) {
                return constant($constant);
            }
        }

        return $name;
    }
}
