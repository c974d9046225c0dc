<?php

declare(strict_types=1);

namespace Tests\Unit;

use App\Buffers\NativeDsn;
use InvalidArgumentException;
use PHPUnit\Framework\TestCase;

final class NativeDsnTest extends TestCase
{
    private const CONFIG = [
        'driver' => 'mysql',
        'host' => 'db.example.org',
        'port' => '3307',
        'database' => 'exchange',
        'username' => 'me@here',
        'password' => 'p:a/s#s?',
        'unix_socket' => '',
    ];

    public function testADsnForAHost(): void
    {
        self::assertSame(
            'mysql://me%40here:p%3Aa%2Fs%23s%3F@db.example.org:3307/exchange',
            NativeDsn::fromConfig(self::CONFIG),
        );
    }

    public function testADsnForASocketWithASession(): void
    {
        $config = ['unix_socket' => '/run/my sql.sock', 'charset' => 'utf8mb4', 'timezone' => '+00:00'] + self::CONFIG;

        self::assertSame(
            'mysql://me%40here:p%3Aa%2Fs%23s%3F@localhost/exchange'
            . '?unix_socket=%2Frun%2Fmy%20sql.sock&charset=utf8mb4&timezone=%2B00%3A00',
            NativeDsn::fromConfig($config),
        );
    }

    public function testAnotherDriverIsRefused(): void
    {
        $this->expectException(InvalidArgumentException::class);
        NativeDsn::fromConfig(['driver' => 'sqlite'] + self::CONFIG);
    }
}
