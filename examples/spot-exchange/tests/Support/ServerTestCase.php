<?php

declare(strict_types=1);

namespace Tests\Support;

use App\Matching\Order;
use App\Services\Audit;
use App\Services\OrderService;
use App\Simulation\Deposits;
use App\Simulation\OrderFlow;

/** A test of a real server's processes, and of the tables that they leave behind. */
abstract class ServerTestCase extends DatabaseTestCase
{
    protected const ORDERS = 200;

    private const USERS = 20;

    private PhpIni $ini;

    /** @var array<string, string> what was deposited */
    private array $deposits;

    protected function setUp(): void
    {
        $extension = getenv('WRITE_BUFFER_EXTENSION');
        if (!extension_loaded('write_buffer') || !is_string($extension) || !function_exists('posix_kill')) {
            self::markTestSkipped('Needs the extension posix, and write_buffer, in WRITE_BUFFER_EXTENSION too.');
        }
        parent::setUp();
        $this->ini = new PhpIni((string) realpath($extension));
        $this->app['config']->set('exchange.simulation.users', self::USERS);
        $this->deposits = $this->app->make(Deposits::class)->pay($this->app->make(OrderService::class));
        $this->app->make(\WriteBuffer\Buffer::class)->flush();
    }

    protected function tearDown(): void
    {
        unset($this->ini);
        parent::tearDown();
    }

    /** @return list<array<string, int|string>> orders as customers send them */
    protected static function orders(): array
    {
        $markets = (require __DIR__ . '/../../config/exchange.php')['markets'];
        $orders = [];
        foreach ((new OrderFlow($markets, self::USERS, 1))->events(self::ORDERS) as $event) {
            if ($event instanceof Order) {
                $orders[] = array_filter([
                    'user_id' => $event->userId,
                    'symbol' => $event->symbol,
                    'side' => $event->side->value,
                    'type' => $event->type->value,
                    'quantity' => $event->quantity,
                    'price' => $event->price,
                ]);
            }
        }

        return $orders;
    }

    /** The tables have exactly the rows that were answered, and agree with each other. */
    protected function assertTablesAreAsAnswered(Answers $answers): void
    {
        self::assertSame(range(1, self::ORDERS), array_column($answers->orders(), 'id'));
        self::assertGreaterThan(self::ORDERS / 4, count($answers->trades()));
        self::assertSame($answers->orders(), $this->rows('orders'));
        self::assertSame($answers->trades(), $this->rows('trades'));
        self::assertSame([], $this->app->make(Audit::class)->findings($this->deposits));
    }

    /** @return list<array<string, mixed>> */
    private function rows(string $table): array
    {
        $rows = $this->connection()->table($table)->orderBy('id')->get();

        return array_map(static fn (object $row): array => (array) $row, $rows->all());
    }
}
