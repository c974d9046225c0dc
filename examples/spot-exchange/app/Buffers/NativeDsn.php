<?php

declare(strict_types=1);

namespace App\Buffers;

use InvalidArgumentException;

/** Makes the extension's DSN from a Laravel connection's configuration, so that both use the same server and session. */
final class NativeDsn
{
    /** @param array<string, mixed> $config a connection of config/database.php */
    public static function fromConfig(#[\SensitiveParameter] array $config): string
    {
        if (($config['driver'] ?? null) !== 'mysql') {
            throw new InvalidArgumentException('The native buffer writes to a connection with the driver mysql only.');
        }

        $socket = (string) ($config['unix_socket'] ?? '');
        $address = $socket === '' ? "{$config['host']}:{$config['port']}" : 'localhost';
        $options = array_filter([
            'unix_socket' => $socket,
            'charset' => (string) ($config['charset'] ?? ''),
            'collation' => (string) ($config['collation'] ?? ''),
            'timezone' => (string) ($config['timezone'] ?? ''),
        ], static fn (string $value): bool => $value !== '');

        return 'mysql://' . rawurlencode((string) $config['username'])
            . ':' . rawurlencode((string) $config['password'])
            . '@' . $address . '/' . rawurlencode((string) $config['database'])
            . ($options === [] ? '' : '?' . http_build_query($options, '', '&', PHP_QUERY_RFC3986));
    }
}
