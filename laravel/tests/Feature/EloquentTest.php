<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Support\Carbon;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Facades\WriteBuffer;
use WriteBuffer\Laravel\Tests\Support\CountedOrder;
use WriteBuffer\Laravel\Tests\Support\Order;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** saveBuffered() is save() later: the same events, the same row, the same model afterwards. */
final class EloquentTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        $buffer = ['background' => false, 'flush_interval_ms' => 3_600_000, 'models' => [Order::class]];

        return ['default' => 'native', 'buffers' => [
            'native' => ['driver' => 'native'] + $buffer,
            'php' => ['driver' => 'php'] + $buffer,
        ]];
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id VARCHAR(36) PRIMARY KEY, symbol VARCHAR(10) NOT NULL, quantity INT, is_open TINYINT, '
            . 'tags JSON, created_at DATETIME, updated_at DATETIME');
        $this->createTable('counted_orders', 'id INT AUTO_INCREMENT PRIMARY KEY, symbol VARCHAR(10)');
        Carbon::setTestNow('2024-01-31 10:00:00');
    }

    protected function tearDown(): void
    {
        Carbon::setTestNow();
        Order::flushEventListeners();
        Order::clearBootedModels();
        parent::tearDown();
    }

    /** @return iterable<string, array{string}> */
    public static function drivers(): iterable
    {
        yield 'native' => ['native'];
        yield 'php' => ['php'];
    }

    /** @return array<string, mixed> */
    private static function state(Order $order): array
    {
        return [
            'exists' => $order->exists,
            'wasRecentlyCreated' => $order->wasRecentlyCreated,
            'isDirty' => $order->isDirty(),
            'changes' => $order->getChanges(),
            'original' => array_diff_key($order->getRawOriginal(), ['id' => 0]),
            'attributes' => array_diff_key($order->getAttributes(), ['id' => 0]),
            'connection' => $order->getConnectionName(),
        ];
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testItIsAsAfterSave(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        $events = [];
        foreach (['saving', 'creating', 'created', 'updating', 'updated', 'saved'] as $event) {
            Order::registerModelEvent($event, static function (Order $order) use (&$events, $event): void {
                $events[$order->symbol][] = $event;
            });
        }
        $attributes = ['quantity' => '5', 'is_open' => true, 'tags' => ['a' => [1, 'ä']]];
        [$saved, $buffered] = [new Order($attributes), new Order($attributes)];
        $saved->symbol = 'saved';
        $buffered->symbol = 'buffered';
        self::assertTrue($saved->save());
        self::assertTrue($buffered->saveBuffered());
        $this->assertAlike($saved, $buffered);

        Carbon::setTestNow('2024-01-31 11:00:00');
        foreach ([$saved, $buffered] as $order) {
            $order->quantity = 6;
            $order->is_open = false;
        }
        $saved->save();
        self::assertSame(6, $buffered->saveBuffered() ? $buffered->quantity : null);
        $this->assertAlike($saved, $buffered);
        self::assertTrue($buffered->saveBuffered(), 'nothing to do');
        $saved->save();
        self::assertCount(2, $this->buffer());
        self::assertSame($events['SAVED'], $events['BUFFERED']);

        self::assertSame(2, $this->buffer()->flush());
        $rows = array_map(
            static fn (array $row): array => array_diff_key($row, ['id' => 0, 'symbol' => 0]),
            $this->rows('orders'),
        );
        self::assertCount(2, $rows);
        self::assertSame($rows[0], $rows[1]);
        self::assertSame('2024-01-31 10:00:00', $rows[0]['created_at']);
        self::assertSame('2024-01-31 11:00:00', $rows[0]['updated_at']);
        self::assertSame(['a' => [1, 'ä']], Order::query()->find($buffered->id)->tags);
    }

    private function assertAlike(Order $saved, Order $buffered): void
    {
        $expected = self::state($saved);
        array_walk_recursive($expected, static function (mixed &$value): void {
            $value = $value === 'SAVED' ? 'BUFFERED' : $value;
        });
        self::assertSame($expected, self::state($buffered));
    }

    public function testAnEventHaltsIt(): void
    {
        foreach (['saving', 'creating'] as $event) {
            Order::flushEventListeners();
            Order::registerModelEvent($event, static fn (): bool => false);
            $order = new Order(['id' => 'x', 'symbol' => 'btc']);
            self::assertFalse($order->saveBuffered());
            self::assertFalse($order->exists);
        }
        self::assertCount(0, $this->buffer());
    }

    public function testWhatAListenerSavesIsSavedAtOnce(): void
    {
        Order::registerModelEvent('created', static function (Order $order): void {
            if ($order->symbol === 'FIRST') {
                Order::query()->create(['symbol' => 'second']);
                $order->quantity = 9;
                $order->save();
            }
        });
        Order::createBuffered(['id' => '1', 'symbol' => 'first']);

        self::assertSame(['SECOND'], array_column($this->rows('orders'), 'symbol'));
        $this->buffer()->flush();
        self::assertCount(2, $this->rows('orders'));
    }

    public function testCreatedAtIsThatOfTheFirstRow(): void
    {
        Order::createBuffered(['id' => '1', 'symbol' => 'btc']);
        $this->buffer()->flush();
        Carbon::setTestNow('2024-02-01 00:00:00');
        Order::createBuffered(['id' => '1', 'symbol' => 'eth']);
        $this->buffer()->flush();

        [$row] = $this->rows('orders');
        self::assertSame(['ETH', '2024-01-31 10:00:00', '2024-02-01 00:00:00'], [
            $row['symbol'], $row['created_at'], $row['updated_at'],
        ]);
    }

    public function testAModelReadsItsOwnWrites(): void
    {
        self::assertNull(Order::findBuffered('1'));
        Order::query()->create(['id' => '1', 'symbol' => 'btc', 'quantity' => 1, 'is_open' => true]);
        $order = Order::findBuffered('1');
        $order->quantity = 2;
        $order->saveBuffered();
        Order::createBuffered(['id' => '2', 'symbol' => 'eth', 'tags' => [1]]);

        $read = Order::findBuffered('1');
        self::assertSame([2, true, 'BTC', true, false], [
            $read->quantity, $read->is_open, $read->symbol, $read->exists, $read->isDirty(),
        ]);
        self::assertSame(1, Order::query()->find('1')->quantity);
        self::assertSame([[1], true], [Order::findBuffered('2')->tags, Order::findBuffered('2')->exists]);
    }

    public function testAModelWithoutAKeyIsRefused(): void
    {
        $order = new CountedOrder(['symbol' => 'btc']);
        try {
            $order->saveBuffered();
            self::fail('it was buffered');
        } catch (ConfigException $e) {
            self::assertStringContainsString('has no key id yet: the database would make one by auto-increment', $e->getMessage());
        }
        self::assertFalse($order->exists);
        self::assertTrue($order->save(), 'the next save is a plain one');
        self::assertCount(1, $this->rows('counted_orders'));

        CountedOrder::createBuffered(['id' => 7, 'symbol' => 'eth']);
        $this->buffer()->flush();
        self::assertSame([1, 7], array_column($this->rows('counted_orders'), 'id'));
    }

    public function testAKeyThatWasChangedIsRefused(): void
    {
        $order = Order::createBuffered(['id' => '1', 'symbol' => 'btc']);
        $order->id = '2';
        $this->expectException(ConfigException::class);
        $this->expectExceptionMessage('its key id was changed');
        $order->saveBuffered();
    }

    public function testTheFakeSeesIt(): void
    {
        WriteBuffer::fake();
        Order::createBuffered(['id' => '1', 'symbol' => 'btc']);

        WriteBuffer::assertBuffered('orders', ['id' => '1', 'symbol' => 'BTC', 'created_at' => '2024-01-31 10:00:00']);
    }
}
