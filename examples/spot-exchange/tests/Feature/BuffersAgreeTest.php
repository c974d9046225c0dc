<?php

declare(strict_types=1);

namespace Tests\Feature;

use App\Services\TableSnapshot;
use Illuminate\Contracts\Console\Kernel;
use Tests\Support\DatabaseTestCase;

/** An order flow leaves the same tables, row by row, with every buffer. */
final class BuffersAgreeTest extends DatabaseTestCase
{
    private const ORDERS = 300;

    public function testThePhpBufferLeavesTheTablesThatEloquentLeaves(): void
    {
        self::assertSame($this->tablesAfter('eloquent'), $this->tablesAfter('php'));
    }

    public function testTheExtensionLeavesTheTablesThatEloquentLeaves(): void
    {
        if (!extension_loaded('write_buffer')) {
            self::markTestSkipped('The extension write_buffer is not loaded.');
        }
        self::assertSame($this->tablesAfter('eloquent'), $this->tablesAfter('native'));
    }

    public function testAnotherSeedLeavesOtherTables(): void
    {
        self::assertNotSame($this->tablesAfter('php', 1), $this->tablesAfter('php', 2));
    }

    /** @return array<string, list<string>> */
    private function tablesAfter(string $buffer, int $seed = 1): array
    {
        // Few users, so that deposits are fewer than orders; small batches, so that there are many.
        $this->app['config']->set('exchange.simulation.users', 20);
        $this->app['config']->set('write-buffer.buffers.default.batch_size', 17);
        $status = $this->artisan('exchange:match', [
            '--orders' => self::ORDERS,
            '--buffer' => $buffer,
            '--seed' => $seed,
        ]);
        self::assertSame(0, $status, $this->app->make(Kernel::class)->output());

        $tables = [];
        foreach (array_keys(TableSnapshot::TABLES) as $table) {
            $tables[$table] = [...$this->app->make(TableSnapshot::class)->lines($table)];
        }
        self::assertCount(self::ORDERS, $tables['orders']);
        self::assertGreaterThan(self::ORDERS / 4, count($tables['trades']));

        return $tables;
    }
}
