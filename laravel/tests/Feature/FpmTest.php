<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Filesystem\Filesystem;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\Tests\Fpm\Support\FastCgiClient;
use WriteBuffer\Tests\Fpm\Support\FpmServer;

/** Requests to a real php-fpm, whose worker keeps a persistent buffer. */
final class FpmTest extends TestCase
{
    /** It loads the extensions that this PHP has. */
    private function startFpm(string $binary): FpmServer
    {
        $before = getenv('PHP_INI_SCAN_DIR');
        if ($before === false) {
            putenv('PHP_INI_SCAN_DIR=' . dirname(trim(explode(',', (string) php_ini_scanned_files())[0])));
        }
        try {
            return new FpmServer($binary, null, [
                'php_admin_value[extension]' => self::setting('WRITE_BUFFER_EXTENSION'),
            ]);
        } finally {
            putenv($before === false ? 'PHP_INI_SCAN_DIR' : "PHP_INI_SCAN_DIR={$before}");
        }
    }

    public function testEachRefusedRowIsReportedByOneRequest(): void
    {
        $binary = getenv('PHP_FPM');
        if (!is_string($binary) || $binary === '') {
            self::markTestSkipped('Needs a php-fpm, in PHP_FPM: see scripts/fetch-fpm.');
        }
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $folder = sys_get_temp_dir() . '/write-buffer-fpm-' . bin2hex(random_bytes(6));
        $fpm = $this->startFpm($binary);
        $request = function (?array $row, int $await) use ($fpm, $folder): array {
            $answer = (new FastCgiClient($fpm->socket(), dirname(__DIR__) . '/Support/fpm.php', (string) json_encode([
                'connection' => self::server(),
                'buffer' => ['driver' => 'native', 'persistent' => 'orders', 'flush_interval_ms' => 1],
                'status' => $folder,
                'row' => $row,
                'await' => $await,
            ])))->answer();
            self::assertIsArray($answer->value('reported'), $answer->describe() . $fpm->log());

            return [$answer->value('failures'), $answer->value('reported')];
        };
        try {
            self::assertSame([0, []], $request(['id' => 1, 'v' => 1], 0));
            self::assertSame([1, [[2]]], $request(['id' => 2, 'v' => null], 1));
            self::assertSame([1, []], $request(['id' => 3, 'v' => 1], 1), 'another request has told it');
            self::assertSame([2, [[4]]], $request(['id' => 4, 'v' => null], 2));
            self::assertSame([2, []], $request(null, 2));
            self::assertSame('exit 0', $fpm->stop());
            self::assertStringNotContainsString('nobody called takeFailures()', $fpm->phpLog() . $fpm->log());
            self::assertSame([1, 3], array_column($this->rows('orders'), 'id'));
        } finally {
            $fpm->kill();
            (new Filesystem())->deleteDirectory($folder);
        }
    }
}
