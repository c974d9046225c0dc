<?php

declare(strict_types=1);

namespace Bench;

use App\Models\Order;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Connection;
use PDO;

/** The throwaway server of scripts/with-server. Every contestant reaches it over TCP. */
final class Database
{
    /** If BENCH_PORT is set, it is the port of a proxy with latency. */
    private static function port(): int
    {
        return (int) (getenv('BENCH_PORT') ?: getenv('DB_PORT'));
    }

    public static function pdo(bool $direct = false): PDO
    {
        $port = $direct ? (int) getenv('DB_PORT') : self::port();

        return new PDO(
            sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', getenv('DB_HOST'), $port, getenv('DB_DATABASE')),
            (string) getenv('DB_USERNAME'),
            (string) getenv('DB_PASSWORD'),
            [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false],
        );
    }

    /** The administrator, over the server's socket: the benchmark's account may load no files. */
    public static function root(): PDO
    {
        return new PDO(
            sprintf('mysql:unix_socket=%s;dbname=%s;charset=utf8mb4', getenv('DB_SOCKET'), getenv('DB_DATABASE')),
            'root',
            '',
            [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    /** The DSN for the extension. With TLS it checks the server's certificate and address. */
    public static function dsn(bool $isTls = false): string
    {
        return sprintf(
            'mysql://%s:%s@%s:%d/%s?charset=utf8mb4',
            rawurlencode((string) getenv('DB_USERNAME')),
            rawurlencode((string) getenv('DB_PASSWORD')),
            getenv('DB_HOST'),
            self::port(),
            rawurlencode((string) getenv('DB_DATABASE')),
        ) . ($isTls ? '&tls_ca=' . rawurlencode(getenv('DB_TLS_DIR') . '/ca.pem') : '');
    }

    /** Laravel's connection, also Eloquent's, with the exchange's config/database.php. */
    public static function laravel(): Connection
    {
        require_once __DIR__ . '/../../examples/spot-exchange/bootstrap/autoload.php';
        $manager = new Manager();
        $manager->addConnection([
            'driver' => 'mysql',
            'host' => getenv('DB_HOST'),
            'port' => self::port(),
            'database' => getenv('DB_DATABASE'),
            'username' => getenv('DB_USERNAME'),
            'password' => getenv('DB_PASSWORD'),
            'charset' => 'utf8mb4',
            'collation' => 'utf8mb4_unicode_ci',
            'prefix' => '',
            'strict' => true,
            'engine' => 'InnoDB',
        ]);
        $manager->setAsGlobal();
        $manager->bootEloquent();

        return $manager->getConnection();
    }

    /** Loads Laravel and the models without a server. */
    public static function loadModels(): void
    {
        require_once __DIR__ . '/../../examples/spot-exchange/bootstrap/autoload.php';
        new Order();
    }
}
