<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Support\ServiceProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Drivers\Null\NullBuffer;
use WriteBuffer\Laravel\Facades\WriteBuffer as WriteBufferFacade;
use WriteBuffer\Laravel\Tests\Support\Service;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\Laravel\WriteBufferServiceProvider;

/** The buffers of a configuration, and where the application gets them. */
final class ProviderTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        return ['default' => 'main', 'buffers' => [
            'main' => ['driver' => 'native', 'background' => '0', 'batch_size' => '2', 'flush_interval_ms' => 3_600_000],
            'audit' => ['driver' => 'sync'],
            'off' => ['driver' => 'null'],
            'wrong' => ['driver' => 'carrier pigeon'],
            'not a number' => ['driver' => 'native', 'batch_size' => 'many'],
            'elsewhere' => ['driver' => 'native', 'connection' => 'sqlite'],
        ]];
    }

    public function testTheDefaultBufferIsInjected(): void
    {
        $service = $this->app->make(Service::class);

        self::assertSame($this->buffer('main'), $service->buffer);
        self::assertInstanceOf(\WriteBuffer::class, $service->buffer->inner());
        self::assertSame($service->buffer, $this->app->make(Service::class)->buffer, 'it is kept');
    }

    public function testAServiceGetsTheBufferThatIsNamedForIt(): void
    {
        $this->app->when(Service::class)->needs(Buffer::class)->give('write-buffer.audit');

        $buffer = $this->app->make(Service::class)->buffer;

        self::assertInstanceOf(\SyncWriteBuffer::class, $buffer->inner());
        self::assertSame($this->buffer('audit'), $buffer);
        self::assertNotSame($buffer, $this->app->make(Buffer::class));
    }

    public function testTheSettingsReachTheExtension(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, price DECIMAL(10,2)');
        WriteBufferFacade::add(['id' => 1, 'price' => '1.50']);
        self::assertSame(1, WriteBufferFacade::count());
        self::assertSame(['id' => 1, 'price' => '1.50'], WriteBufferFacade::find('orders', 1));

        WriteBufferFacade::add(['id' => 2, 'price' => '2.50']);

        self::assertSame(0, WriteBufferFacade::count(), 'two rows are a batch here, in the foreground');
        self::assertSame(
            [['id' => 1, 'price' => '1.50'], ['id' => 2, 'price' => '2.50']],
            $this->rows('orders'),
        );
    }

    public function testTheDriverNull(): void
    {
        $buffer = $this->buffer('off');
        $buffer->add(['id' => 1], [['id' => 2], ['id' => 3]]);

        self::assertInstanceOf(NullBuffer::class, $buffer->inner());
        self::assertCount(0, $buffer);
        self::assertSame(3, $buffer->getMetrics()['rows_added']);
        self::assertSame(array_keys($this->buffer('main')->getMetrics()), array_keys((new NullBuffer())->getMetrics()));
        $this->expectException(\TypeError::class);
        $buffer->add(1);
    }

    public function testADriverOfTheApplicationsOwn(): void
    {
        $own = new NullBuffer();
        $this->app->make(BufferManager::class)->extend('carrier pigeon', static fn (): Buffer => $own);

        self::assertSame($own, $this->buffer('wrong'));
    }

    public function testPurgeMakesTheBufferAnew(): void
    {
        $before = $this->buffer('off');
        WriteBufferFacade::purge('off');

        self::assertNotSame($before, $this->buffer('off'));
    }

    public function testAPrefixIsThatOfLaravelsConnection(): void
    {
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, price INT');
        $this->createTable('wb_trades', 'id INT PRIMARY KEY, price INT');
        $this->createTable('wb_balances', 'u INT, a VARCHAR(5), free INT NOT NULL DEFAULT 0, PRIMARY KEY (u, a)');
        $config = $this->app->make('config');
        $config->set('database.connections.prefixed', self::server(['prefix' => 'wb_']));
        $config->set('write-buffer.buffers.prefixed', [
            'driver' => 'native',
            'background' => false,
            'connection' => 'prefixed',
            'flush_interval_ms' => 3_600_000,
            'models' => 'raw',
            'tables' => ['balances' => ['merge' => ['free' => 'sum']]],
        ]);
        $buffer = $this->buffer('prefixed');
        $model = (new class extends \Illuminate\Database\Eloquent\Model {
            protected $table = 'balances';
        })->forceFill(['u' => 1, 'a' => 'BTC', 'free' => 2]);

        $buffer->add([['id' => 1, 'price' => 5], $model], [['id' => 7, 'price' => 6]]);
        $buffer->put('balances', ['u' => 1, 'a' => 'BTC', 'free' => 3]);

        self::assertSame(['u' => 1, 'a' => 'BTC', 'free' => 5], $buffer->find('balances', [1, 'BTC']));
        self::assertSame(4, $buffer->flush());
        self::assertSame([['id' => 1, 'price' => 5]], $this->rows('wb_orders'));
        self::assertSame([['id' => 7, 'price' => 6]], $this->rows('wb_trades'));
        self::assertSame([['u' => 1, 'a' => 'BTC', 'free' => 5]], $this->rows('wb_balances'));
    }

    public function testWhatCannotWorkSaysWhat(): void
    {
        foreach (
            [
                'missing' => 'there is no buffer missing in config/write-buffer.php; there are: main, audit, off,',
                'wrong' => 'has the driver carrier pigeon; there are: native, sync, php, null',
                'not a number' => "batch_size in config/write-buffer.php must be a whole number, not 'many'",
                'elsewhere' => 'the connection sqlite of config/database.php has the driver sqlite',
            ] as $name => $message
        ) {
            try {
                $this->buffer($name);
                self::fail("{$name} works");
            } catch (ConfigException $e) {
                self::assertStringContainsString($message, $e->getMessage());
            }
        }
    }

    public function testTheConfigurationCanBePublished(): void
    {
        $paths = ServiceProvider::pathsToPublish(WriteBufferServiceProvider::class, 'write-buffer-config');

        self::assertSame([$this->app->configPath('write-buffer.php')], array_values($paths));
        $published = require array_key_first($paths);
        self::assertSame('native', $published['buffers']['default']['driver']);
    }
}
