<?php

declare(strict_types=1);

namespace Tests\Feature;

use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use App\Services\OrderService;
use Illuminate\Foundation\Testing\TestCase;
use PHPUnit\Framework\Attributes\DataProvider;
use Tests\Support\Answers;
use Tests\Support\CreatesApplication;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Facades\WriteBuffer;

/** The exchange over HTTP, by Laravel's own test client. */
final class ApiTest extends TestCase
{
    use CreatesApplication;

    private const SELL = [
        'user_id' => 1, 'symbol' => 'BTC-USDT', 'side' => 'sell', 'type' => 'limit', 'quantity' => '0.5', 'price' => '100',
    ];

    private const BUY = [
        'user_id' => 2, 'symbol' => 'BTC-USDT', 'side' => 'buy', 'type' => 'limit', 'quantity' => '0.2', 'price' => '100.50',
    ];

    protected function setUp(): void
    {
        parent::setUp();
        $this->emptyTables($this->app);
        $this->app['config']->set([
            'write-buffer.buffers.default.driver' => extension_loaded('write_buffer') ? 'native' : 'php',
            // No row is written because time has passed.
            'write-buffer.buffers.default.flush_interval_ms' => 3_600_000,
        ]);
    }

    protected function tearDown(): void
    {
        if ($this->app) {
            $this->app->make('db')->connection()->disconnect();
        }
        parent::tearDown();
    }

    /** @return array<string, array{string}> */
    public static function drivers(): array
    {
        return ['native' => ['native'], 'sync' => ['sync'], 'php' => ['php']];
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testOrdersAreMatchedAtOnceAndSavedWhenTheAnswerIsSent(string $driver): void
    {
        $this->useDriver($driver);
        $this->deposit(1, 'BTC', '10');
        $this->deposit(2, 'USDT', '1000');
        $this->deposit(3, 'USDT', '1000');
        $answers = new Answers();

        $sell = $this->postJson('/orders', self::SELL)->assertCreated();
        $sell->assertJson(['order' => ['id' => 1, 'status' => 'open'], 'trades' => []]);
        $answers->add($sell->json());
        $buy = $this->postJson('/orders', self::BUY)->assertCreated();
        $buy->assertJson([
            'order' => ['id' => 2, 'status' => 'filled', 'filled_quantity' => Decimal::parse('0.2')],
            'trades' => [['id' => 1, 'maker_order_id' => 1, 'price' => Decimal::parse('100'), 'quantity' => Decimal::parse('0.2')]],
        ]);
        $answers->add($buy->json());
        $market = ['user_id' => 3, 'type' => 'market', 'quantity' => '9', 'price' => null] + self::BUY;
        $answers->add($this->postJson('/orders', $market)->assertCreated()->json());

        self::assertCount(2, $answers->trades());
        self::assertSame($answers->orders(), $this->rows('orders'));
        self::assertSame($answers->trades(), $this->rows('trades'));
        self::assertSame(
            ['1 BTC 9.5 0', '1 USDT 50 0', '2 BTC 0.2 0', '2 USDT 980 0', '3 BTC 0.3 0', '3 USDT 970 0'],
            array_map(
                static fn (array $row): string => "{$row['user_id']} {$row['asset']} " . ($row['available'] + 0)
                    . ' ' . ($row['reserved'] + 0),
                $this->rows('balances'),
            ),
        );
        $this->getJson('/orders/1')->assertOk()->assertExactJson(['order' => $answers->orders()[0]]);
        $this->getJson('/trades?symbol=BTC-USDT')->assertExactJson(['trades' => array_reverse($answers->trades())]);
        $this->getJson('/trades?symbol=BTC-USDT&limit=1')->assertExactJson(['trades' => [$answers->trades()[1]]]);
        $this->getJson('/trades?symbol=ETH-USDT')->assertOk()->assertExactJson(['trades' => []]);
    }

    public function testPricesAreComparedExactly(): void
    {
        $this->deposit(1, 'ETH', '10');
        $this->deposit(2, 'BTC', '900000000000');
        $order = ['symbol' => 'ETH-BTC', 'quantity' => '0.0001'];
        // As floats the two prices are the same.
        $this->postJson('/orders', $order + ['price' => '900000000000.000001'] + self::SELL)->assertCreated();

        $this->postJson('/orders', $order + ['price' => '900000000000.000000'] + self::BUY)
            ->assertCreated()
            ->assertJson(['order' => ['status' => 'open'], 'trades' => []]);
        $this->postJson('/orders', $order + ['price' => '900000000000.000001'] + self::BUY)
            ->assertCreated()
            ->assertJsonCount(1, 'trades');
    }

    public function testAnOrderThatIsStillBufferedIsFound(): void
    {
        $buffer = $this->app->make(Buffer::class);
        $amount = Decimal::parse('1');
        $order = new Order(7, 1, 'BTC-USDT', Side::Buy, OrderType::Limit, $amount, $amount, '2024-01-15 09:00:00.000000');
        $buffer->add($order);
        self::assertSame([], $this->rows('orders'));

        $this->getJson('/orders/7')->assertOk()->assertExactJson(['order' => $order->getAttributes()]);

        $buffer->flush();
        $order->cancel('2024-01-15 09:00:01.000000');
        $buffer->add($order);
        self::assertSame('open', $this->rows('orders')[0]['status']);
        $this->getJson('/orders/7')->assertOk()->assertJson(['order' => ['status' => 'cancelled']]);
    }

    public function testWhatIsNotThere(): void
    {
        $this->getJson('/orders/8')->assertNotFound()->assertJson(['message' => 'There is no order 8.']);
        $this->getJson('/orders/x')->assertNotFound();
        $this->getJson('/orders/' . str_repeat('9', 30))->assertNotFound();
        $this->getJson('/orders')->assertStatus(405);
    }

    /** @return array<string, array{array<string, mixed>, array<string, string>}> */
    public static function badOrders(): array
    {
        $amount = ' must be a string with a decimal number, such as "1.5".';

        return [
            'nothing' => [array_fill_keys(array_keys(self::SELL), null), [
                'user_id' => 'The user_id must be a whole number from 1 on.',
                'symbol' => 'The symbol must be one of: BTC-USDT, ETH-USDT, SOL-USDT, ETH-BTC.',
                'side' => 'The side must be "buy" or "sell".',
                'type' => 'The type must be "limit" or "market".',
                'quantity' => 'The quantity is missing.',
            ]],
            'a user who is none' => [['user_id' => true], ['user_id' => 'The user_id must be a whole number from 1 on.']],
            'a quantity that is a float' => [['quantity' => 0.5], ['quantity' => "The quantity{$amount}"]],
            'a price that is a number' => [['price' => 100], ['price' => "The price{$amount}"]],
            'a list' => [['price' => ['100']], ['price' => "The price{$amount}"]],
            'too fine' => [['quantity' => '0.000001'], ['quantity' => 'The quantity: "0.000001" has more than 5 decimals.']],
            'zero' => [['quantity' => '0.000'], ['quantity' => 'The quantity must be above 0.']],
            'negative' => [['price' => '-1'], ['price' => 'The price: "-1" is not a decimal number of at most 18 digits.']],
            'with an exponent' => [
                ['price' => '1e3'],
                ['price' => 'The price: "1e3" is not a decimal number of at most 18 digits.'],
            ],
            'a limit order without a price' => [['price' => null], ['price' => 'A limit order has a price.']],
            'a market order with a price' => [['type' => 'market'], ['price' => 'A market order has no price.']],
        ];
    }

    /**
     * @param array<string, mixed>  $changes
     * @param array<string, string> $errors
     *
     * @dataProvider badOrders
     */
    #[DataProvider('badOrders')]
    public function testABadOrderIsRefusedWithItsReasons(array $changes, array $errors): void
    {
        $this->deposit(1, 'BTC', '10');

        $answer = $this->postJson('/orders', $changes + self::SELL)->assertStatus(422);

        self::assertSame(array_map(static fn (string $error): array => [$error], $errors), $answer->json('errors'));
        self::assertSame([], $this->rows('orders'));
    }

    public function testWhatIsNoJsonIsRefused(): void
    {
        $this->call('POST', '/orders', [], [], [], ['CONTENT_TYPE' => 'application/json'], '{"user_id": 1,')
            ->assertStatus(400)
            ->assertJson(['message' => 'The body is not a JSON object.']);
    }

    public function testAnOrderWithoutFundsIsRefused(): void
    {
        $this->postJson('/orders', self::SELL)
            ->assertStatus(422)
            ->assertExactJson(['message' => 'User 1 does not have the BTC that the order needs.']);
        self::assertSame([], $this->rows('orders'));
    }

    public function testTradesOfNoMarketAreRefused(): void
    {
        $this->getJson('/trades')->assertStatus(422)->assertJsonValidationErrors(['symbol']);
        $this->getJson('/trades?symbol=BTC')->assertStatus(422)->assertJsonValidationErrors(['symbol']);
        $this->getJson('/trades?symbol=BTC-USDT&limit=0')->assertStatus(422)->assertJsonValidationErrors(['limit']);
    }

    public function testWithAFake(): void
    {
        $this->deposit(1, 'BTC', '10');
        WriteBuffer::fake();

        $this->post('/orders', self::SELL)->assertCreated();

        WriteBuffer::assertBuffered('orders', ['side' => 'sell', 'quantity' => Decimal::parse('0.5')]);
        WriteBuffer::assertBuffered('balances', static fn (array $row): bool => $row['reserved'] === Decimal::parse('0.5'));
        WriteBuffer::assertBufferedCount(2);
        WriteBuffer::assertNotBuffered('trades');
        WriteBuffer::assertFlushed();
        self::assertSame([], $this->rows('orders'));
    }

    public function testOnlyOneProcessAtATimePlacesOrders(): void
    {
        $this->deposit(1, 'BTC', '10');
        $config = $this->app['config'];
        $config->set('database.connections.other', $config->get('database.connections.mysql'));
        $other = $this->app->make('db')->connection('other');
        $lock = 'exchange ' . md5($other->getDatabaseName());

        $this->postJson('/orders', self::SELL)->assertCreated();
        self::assertSame(1, $other->selectOne('SELECT IS_FREE_LOCK(?) AS answer', [$lock])->answer, 'it was let go');

        $other->selectOne('SELECT GET_LOCK(?, 0)', [$lock]);
        $config->set('exchange.lock_timeout_s', 0);
        $this->postJson('/orders', self::SELL)
            ->assertStatus(503)
            ->assertHeader('Retry-After', '1')
            ->assertJson(['message' => 'The exchange is busy; the order was not placed.']);
        $other->disconnect();
        self::assertCount(1, $this->rows('orders'));
    }

    private function useDriver(string $driver): void
    {
        if ($driver !== 'php' && !extension_loaded('write_buffer')) {
            self::markTestSkipped('The extension write_buffer is not loaded.');
        }
        $this->app['config']->set('write-buffer.buffers.default.driver', $driver);
    }

    private function deposit(int $userId, string $asset, string $amount): void
    {
        $exchange = $this->app->make(OrderService::class);
        $exchange->deposit($userId, $asset, $amount, '2024-01-15 09:00:00.000000');
        $this->app->make(Buffer::class)->flush();
    }

    /** @return list<array<string, mixed>> */
    private function rows(string $table): array
    {
        $rows = $this->app->make('db')->connection()->table($table)->orderBy($table === 'balances' ? 'user_id' : 'id')->get();

        return array_map(static fn (object $row): array => (array) $row, $rows->all());
    }
}
