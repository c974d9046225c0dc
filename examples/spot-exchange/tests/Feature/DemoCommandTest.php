<?php

declare(strict_types=1);

namespace Tests\Feature;

use App\Simulation\SnapshotComparison;
use Illuminate\Contracts\Console\Kernel;
use Tests\Support\DatabaseTestCase;

/** The commands exchange:demo and exchange:match. */
final class DemoCommandTest extends DatabaseTestCase
{
    private string $folder = '';

    protected function setUp(): void
    {
        parent::setUp();
        $this->folder = sys_get_temp_dir() . '/exchange-test-' . bin2hex(random_bytes(8));
        mkdir($this->folder, 0700);
    }

    protected function tearDown(): void
    {
        if ($this->folder !== '') {
            array_map('unlink', glob("{$this->folder}/*"));
            rmdir($this->folder);
        }
        parent::tearDown();
    }

    public function testTheDemoComparesTheBuffers(): void
    {
        $status = $this->artisan('exchange:demo', [
            '--orders' => 50,
            '--buffers' => 'eloquent,php',
            '--json' => "{$this->folder}/report.json",
        ]);
        $output = $this->app->make(Kernel::class)->output();

        self::assertSame(0, $status, $output);
        self::assertStringContainsString('The tables are identical, row by row: 50 orders', $output);
        $report = json_decode(file_get_contents("{$this->folder}/report.json"), true);
        self::assertTrue($report['identical']);
        self::assertSame(['eloquent', 'php'], array_column($report['runs'], 'buffer'));
        self::assertCount(1, array_unique(array_column($report['runs'], 'checksum')));
    }

    public function testAnUnknownBufferIsRefused(): void
    {
        self::assertSame(1, $this->artisan('exchange:demo', ['--buffers' => 'eloquent,redis']));
    }

    public function testTheFirstDifferenceIsFound(): void
    {
        $cases = [
            ["a\nb\n", "a\nb\n", null],
            ["a\nb\n", "a\nc\n", 'row 2 is b and c'],
            ["a\n", "a\nb\n", 'row 2 is missing and b'],
            ["a\n", '', 'row 1 is a and missing'],
        ];
        foreach ($cases as [$expected, $actual, $difference]) {
            file_put_contents("{$this->folder}/expected", $expected);
            file_put_contents("{$this->folder}/actual", $actual);
            self::assertSame(
                $difference,
                SnapshotComparison::firstDifference("{$this->folder}/expected", "{$this->folder}/actual"),
            );
        }
    }
}
