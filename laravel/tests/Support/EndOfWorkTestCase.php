<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Contracts\Debug\ExceptionHandler;
use PDO;
use Throwable;
use WriteBuffer\Buffer;

/** Work that adds rows to a table ends, and what is written and reported then. */
abstract class EndOfWorkTestCase extends TestCase
{
    private ?PDO $judge = null;

    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => ['default' => [
            'driver' => 'native',
            'background' => false,
            'flush_interval_ms' => 3_600_000,
        ]]];
    }

    protected function setUp(): void
    {
        parent::setUp();
        BufferingJob::$seen = [];
        $this->createTable('orders_away', 'id INT');
        $this->judge()->exec('DROP TABLE orders_away');
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable('wb_jobs', 'id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, queue VARCHAR(255) NOT NULL, '
            . 'payload LONGTEXT NOT NULL, attempts TINYINT UNSIGNED NOT NULL, reserved_at INT UNSIGNED, '
            . 'available_at INT UNSIGNED NOT NULL, created_at INT UNSIGNED NOT NULL');
    }

    /** @return list<int> */
    protected function written(): array
    {
        return array_column($this->rows('orders'), 'id');
    }

    /** @return list<Throwable> */
    protected function reported(): array
    {
        return $this->app->make(ExceptionHandler::class)->reported;
    }

    protected function judge(): PDO
    {
        return $this->judge ??= new PDO(
            'mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'),
            'root',
        );
    }

    protected function await(string $what, callable $condition): void
    {
        $deadline = hrtime(true) + 30 * 10 ** 9;
        while (!$condition()) {
            self::assertLessThan($deadline, hrtime(true), "no {$what}");
            usleep(1_000);
        }
    }

    /** @param array<string, mixed> $settings */
    protected function inTheBackground(array $settings = []): Buffer
    {
        $this->app->make('config')->set('write-buffer.buffers.default', $settings + [
            'driver' => 'native', 'flush_interval_ms' => 1,
        ]);

        return $this->buffer();
    }

    /** @return list<list<int>> the keys of the rows that were given up, of each report */
    protected function reportedIds(): array
    {
        return array_map(
            static fn (Throwable $e): array => array_map(
                static fn (array $group): int => $group['rows'][0]['key']['id'],
                $e->context()['given_up'],
            ),
            $this->reported(),
        );
    }
}
