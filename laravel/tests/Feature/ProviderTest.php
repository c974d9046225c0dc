<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Console\Kernel;
use Illuminate\Support\ServiceProvider;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\PackageSettings;
use WriteBuffer\Laravel\Buffers\UnknownSetting;
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

    /** @return iterable<string, array{string, mixed, string}> */
    public static function wrongSettings(): iterable
    {
        $file = 'config/write-buffer.php has an unknown setting ';
        yield 'misspelled' => ['flush_timeout', 1, "{$file}flush_timeout: is it flush_timeout_ms?"];
        yield 'in another case' => ['logChannel', 'x', "{$file}logChannel: is it log_channel?"];
        yield 'of a buffer' => ['batch_size', 5, "{$file}batch_size: it belongs to a buffer, below `buffers`"];
        yield 'of flush_after' => ['redirect', false, "{$file}redirect: it belongs below `flush_after`"];
        yield 'unlike all' => ['pigeons', 1, "{$file}pigeons; there are: default, flush_after, flush_timeout_ms,"];
        yield 'within flush_after' => [
            'flush_after', ['requests' => true], 'flush_after in config/write-buffer.php has an unknown setting requests: is it request?',
        ];
        yield 'no array' => ['flush_after', false, 'flush_after in config/write-buffer.php must be an array of request, redirect'];
        yield 'no number' => ['flush_timeout_ms', '5s', "must be a whole number of milliseconds, not '5s'"];
        yield 'no folder' => ['status', true, 'status in config/write-buffer.php must be the path of a folder, or false, not true'];
    }

    /** @dataProvider wrongSettings */
    #[DataProvider('wrongSettings')]
    public function testASettingOfTheFileThatThereIsNotIsRefused(string $setting, mixed $value, string $message): void
    {
        $this->app->make('config')->set("write-buffer.{$setting}", $value);
        foreach (
            [
                fn () => $this->buffer('main'),
                fn () => $this->app->make(Service::class),
                fn () => WriteBufferFacade::fake()->buffer('main'),
            ] as $call
        ) {
            try {
                $call();
                self::fail("{$setting} is taken");
            } catch (ConfigException $e) {
                self::assertStringContainsString($message, $e->getMessage());
            }
        }
        $kernel = $this->app->make(Kernel::class);
        $folder = sys_get_temp_dir() . '/write-buffer-none';
        foreach (['write-buffer:install' => [], 'write-buffer:status' => [], 'write-buffer:status --check' => ['--check' => true]] as $command => $options) {
            $setting === 'status' || $this->app->make('config')->set('write-buffer.status', $folder);
            $status = $kernel->call(strtok($command, ' '), $options);
            $output = (string) preg_replace('/\s+/', ' ', $kernel->output());
            self::assertSame($command === 'write-buffer:status' && $setting !== 'status' ? 0 : 1, $status, $output);
            self::assertSame(1, substr_count(strtolower($output), strtolower($message)), "{$command}: {$output}");
        }
    }

    public function testAllSettingsOfThePublishedFileAreTaken(): void
    {
        $published = require __DIR__ . '/../../config/write-buffer.php';
        $published['buffers']['default']['driver'] = 'null';
        // As an empty line of .env is read.
        $published['flush_timeout_ms'] = '';
        $this->app->make('config')->set('write-buffer', $published);

        self::assertInstanceOf(NullBuffer::class, $this->buffer()->inner());
        self::assertSame(array_keys($published), UnknownSetting::OF_FILE);
        self::assertSame([5_000, 5_000, 0, 70], array_map(PackageSettings::flushTimeoutMs(...), ['', null, '0', 70]));
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
