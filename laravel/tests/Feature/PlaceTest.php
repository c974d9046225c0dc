<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\Eloquent\Model;
use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Facades\WriteBuffer;
use WriteBuffer\Laravel\Tests\Support\BufferedItem;
use WriteBuffer\Laravel\Tests\Support\Item;
use WriteBuffer\Laravel\Tests\Support\Order;
use WriteBuffer\Laravel\Tests\Support\SavingItem;
use WriteBuffer\Laravel\Tests\Support\Service;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * A row gets into the database that its connection means at that moment, and into no other. The
 * judge is a connection of the test's own, which asks each database.
 */
final class PlaceTest extends TestCase
{
    private const TENANTS = ['wb_tenant_1', 'wb_tenant_2'];

    private PDO $judge;

    private string $account;

    protected function configuration(): array
    {
        $configuration = parent::configuration();
        foreach (self::TENANTS as $tenant) {
            $configuration['database']['connections'][$tenant] = self::server(['database' => $tenant]);
        }
        $configuration['database']['connections']['tenant'] = self::server(['database' => self::TENANTS[0]]);

        return $configuration;
    }

    protected function bufferConfiguration(): array
    {
        return ['default' => 'native', 'buffers' => array_map(
            static fn (array $driver): array => $driver + ['connection' => 'tenant', 'flush_interval_ms' => 3_600_000],
            [
                'native' => ['driver' => 'native'],
                'foreground' => ['driver' => 'native', 'background' => false],
                'sync' => ['driver' => 'sync'],
                'php' => ['driver' => 'php'],
                'at once' => ['driver' => 'native', 'after_commit' => false],
            ],
        )];
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->judge = new PDO('mysql:unix_socket=' . self::setting('DB_SOCKET'), 'root');
        $account = $this->app->make('db')->selectOne('SELECT CURRENT_USER() AS account')->account;
        $this->account = "'" . str_replace('@', "'@'", $account) . "'";
        foreach (self::TENANTS as $tenant) {
            $this->judge->exec("DROP DATABASE IF EXISTS {$tenant}");
            $this->judge->exec("CREATE DATABASE {$tenant}");
            $this->judge->exec("GRANT ALL ON {$tenant}.* TO {$this->account}");
            foreach (['orders', 'a_orders', 'b_orders'] as $table) {
                $this->judge->exec("CREATE TABLE {$tenant}.{$table} (id INT PRIMARY KEY, v INT) ENGINE=InnoDB");
            }
        }
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        foreach (self::TENANTS as $tenant) {
            $this->judge->exec("DROP DATABASE {$tenant}");
            $this->judge->exec("REVOKE ALL ON {$tenant}.* FROM {$this->account}");
        }
        // PHPUnit keeps each test, and the server has a bound for connections.
        unset($this->judge);
    }

    /** @return list<int> */
    private function idsOf(string $tenant, string $table = 'orders'): array
    {
        $found = $this->judge->query("SELECT id FROM {$tenant}.{$table} ORDER BY id")->fetchAll(PDO::FETCH_COLUMN);

        return array_map('intval', $found);
    }

    /** @return iterable<string, array{string}> */
    public static function drivers(): iterable
    {
        foreach (['native', 'foreground', 'sync', 'php', 'at once'] as $driver) {
            yield $driver => [$driver];
        }
    }

    /** @param array<string, mixed> $changes */
    private function becomeTenant(string $tenant, array $changes = []): void
    {
        $this->app->make('config')->set('database.connections.tenant', self::server($changes + ['database' => $tenant]));
        $this->app->make('db')->purge('tenant');
    }

    private function manager(): BufferManager
    {
        return $this->app->make(BufferManager::class);
    }

    /**
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAConnectionThatIsAnotherTenantsHasABufferOfItsOwn(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        $kept = $this->app->make(Service::class)->buffer;
        foreach ([1, 2] as $id) {
            $this->app->make(Buffer::class)->add(['id' => $id, 'v' => 1]);
        }
        $this->becomeTenant(self::TENANTS[1]);
        $this->app->make(Buffer::class)->add(['id' => 3, 'v' => 2]);
        $this->becomeTenant(self::TENANTS[0]);
        $this->app->make(Buffer::class)->add(['id' => 4, 'v' => 1]);
        self::assertSame($kept, $this->app->make(Buffer::class), 'each place has one buffer');
        $this->becomeTenant(self::TENANTS[1]);
        $this->app->make(Buffer::class)->add(['id' => 5, 'v' => 2]);
        foreach (
            [
                fn () => $kept->add(['id' => 9, 'v' => 9]),
                fn () => $kept->put('orders', ['id' => 9, 'v' => 9]),
                fn () => $kept->putAll('orders', [['id' => 9, 'v' => 9]]),
                fn () => $kept->delete('orders', 3),
                fn () => $kept->group(fn () => $kept->add(['id' => 9, 'v' => 9])),
                fn () => $kept->find('orders', 3),
                fn () => $kept->retry([]),
            ] as $at => $call
        ) {
            try {
                $call();
                self::fail("call {$at} is taken for another tenant");
            } catch (ConfigException $e) {
                self::assertStringContainsString(
                    "was made for the connection tenant (database wb_tenant_1), which is another place now",
                    $e->getMessage(),
                );
            }
        }
        $this->app->terminate();

        self::assertSame([], $this->app->make(ExceptionHandler::class)->reported);
        self::assertSame([[1, 2, 4], [3, 5]], array_map([$this, 'idsOf'], self::TENANTS));
    }

    /**
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testTheDefaultConnectionIsThatOfTheMoment(string $driver): void
    {
        $config = $this->app->make('config');
        $config->set('write-buffer.default', $driver);
        $config->set("write-buffer.buffers.{$driver}.connection", '');
        foreach ([0, 1, 0] as $at => $tenant) {
            $this->app->make('db')->setDefaultConnection(self::TENANTS[$tenant]);
            $this->app->make(Buffer::class)->add(['id' => $at, 'v' => 1]);
        }
        $this->app->terminate();

        self::assertSame([[0, 2], [1]], array_map([$this, 'idsOf'], self::TENANTS));
    }

    /**
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAPrefixThatIsSetAtRunTime(string $driver): void
    {
        $this->app->make('config')->set('write-buffer.default', $driver);
        foreach (['a_', '', 'b_', 'a_'] as $id => $prefix) {
            $connection = $this->app->make('db')->connection('tenant');
            $connection->setTablePrefix($prefix);
            $this->app->make(Buffer::class)->put('orders', ['id' => $id, 'v' => 1]);
        }
        $this->app->terminate();

        self::assertSame([[0, 3], [1], [2]], array_map(
            fn (string $table): array => $this->idsOf(self::TENANTS[0], $table),
            ['a_orders', 'orders', 'b_orders'],
        ));
    }

    public function testRowsOfATransactionStayWithItsTenant(): void
    {
        $this->app->make('db')->connection('tenant')->beginTransaction();
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $first = $this->app->make('db')->connection('tenant');
        $this->becomeTenant(self::TENANTS[1]);
        $this->app->make('db')->connection('tenant')->transaction(function (): void {
            $this->buffer()->add(['id' => 2, 'v' => 1]);
            // It asks the buffer of the earlier place too.
            $this->app->terminate();
            self::assertSame(1, $this->buffer()->heldRows());
        });
        $this->app->terminate();

        self::assertSame([[], [2]], array_map([$this, 'idsOf'], self::TENANTS), 'the first one was never committed');
        unset($first);
    }

    public function testWhatNobodyCanSayIsRefused(): void
    {
        $connection = $this->app->make('db')->connection('tenant');
        $connection->getPdo();
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->make('config')->set('database.connections.tenant.database', self::TENANTS[1]);
        // The connection has a new PDO then, and its old configuration.
        $this->app->make('db')->reconnect('tenant');
        foreach ([1, 2] as $ignored) {
            try {
                $this->buffer();
                self::fail('it goes to one of two databases');
            } catch (ConfigException $e) {
                self::assertStringContainsString("has another database now than when it was opened: call DB::purge('tenant')", $e->getMessage());
            }
        }
        $this->app->make('db')->purge('tenant');
        $this->buffer()->add(['id' => 2, 'v' => 1]);
        $this->app->terminate();

        self::assertSame([[1], [2]], array_map([$this, 'idsOf'], self::TENANTS));
    }

    public function testAReconnectionIsNoChange(): void
    {
        $kept = $this->buffer();
        $this->app->make('db')->purge('tenant');
        $kept->add(['id' => 1, 'v' => 1]);
        $this->app->make('db')->reconnect('tenant');
        $kept->add(['id' => 2, 'v' => 1]);

        self::assertSame($kept, $this->buffer());
        self::assertSame(2, $kept->flush());
    }

    public function testAProcessOfManyTenantsHoldsFewBuffers(): void
    {
        $made = [];
        foreach (range(1, 30) as $id) {
            $this->becomeTenant(self::TENANTS[$id % 2], ['username' => 'root', 'password' => null, 'unix_socket' => self::setting('DB_SOCKET'), 'port' => $id]);
            $buffer = $this->buffer();
            $buffer->add(['id' => $id, 'v' => 1]);
            $made[] = \WeakReference::create($buffer);
            unset($buffer);
        }
        $live = static fn (): int => count(array_filter($made, static fn (\WeakReference $one): bool => $one->get() !== null));
        self::assertSame(9, $live());
        $this->app->terminate();
        self::assertSame(1, $live());
        self::assertSame([range(2, 30, 2), range(1, 29, 2)], array_map([$this, 'idsOf'], self::TENANTS));
    }

    /** A service may keep a buffer that has nothing to write. */
    public function testABufferThatTheManagerHasLetGoIsFlushedAsEver(): void
    {
        $kept = $this->buffer('php');
        $this->becomeTenant(self::TENANTS[1]);
        $this->buffer('php');
        $this->app->terminate();
        $this->becomeTenant(self::TENANTS[0]);
        $kept->add(['id' => 1, 'v' => 1]);
        self::assertSame($kept, $this->buffer('php'));
        $this->becomeTenant(self::TENANTS[1]);
        $this->app->terminate();

        self::assertSame([[1], []], array_map([$this, 'idsOf'], self::TENANTS));
    }

    public function testAModelOfAnotherConnectionIsRefused(): void
    {
        $model = static fn (?string $connection): Model => (new class extends Model {
            protected $table = 'orders';
            public $timestamps = false;
        })->forceFill(['id' => 1, 'v' => 1])->setConnection($connection);
        $buffer = $this->buffer();
        $new = $model(null);
        $buffer->add($new);
        self::assertSame('tenant', $new->getConnectionName(), 'it is saved there from now on');
        $buffer->add($new->forceFill(['v' => 2]));
        $buffer->add($model('tenant'));
        $buffer->add($model(self::TENANTS[0]));
        self::assertSame(4, $buffer->flush(), 'another name for the same database');

        $other = $model(self::TENANTS[1]);
        foreach (
            [
                fn () => $buffer->add($other),
                fn () => $buffer->add(['id' => 2, 'v' => 1], [$other]),
                fn () => $buffer->add(null, new \Illuminate\Support\Collection([$other])),
                fn () => $buffer->put('orders', [$other]),
                fn () => $buffer->put('orders', new \ArrayIterator([$other])),
                fn () => $buffer->put('orders', (static fn (): \Generator => yield $other)()),
                fn () => $buffer->putAll('orders', [['id' => 2, 'v' => 1], $other]),
            ] as $at => $call
        ) {
            try {
                $call();
                self::fail("call {$at} is taken");
            } catch (ConfigException $e) {
                self::assertStringContainsString(
                    'is of the connection wb_tenant_2, and the buffer native writes to the connection tenant (database wb_tenant_1)',
                    $e->getMessage(),
                );
            }
        }
        self::assertSame(0, $buffer->count());
        try {
            (new Order(['id' => 'a']))->setConnection(self::TENANTS[1])->saveBuffered();
            self::fail('saveBuffered() takes it');
        } catch (ConfigException $e) {
            self::assertStringContainsString('is of the connection wb_tenant_2', $e->getMessage());
        }
    }

    /** @return iterable<string, array{string, class-string<Item>, bool}> */
    public static function waysToSave(): iterable
    {
        foreach (['native', 'sync', 'php', 'raw', 'fake'] as $driver) {
            foreach ([Item::class, BufferedItem::class, SavingItem::class] as $class) {
                foreach ([false, true] as $isHeard) {
                    $name = substr($class, strrpos($class, '\\') + 1) . ($isHeard ? ', somebody listens' : '');
                    yield "{$driver}, {$name}" => [$driver, $class, $isHeard];
                }
            }
        }
    }

    /**
     * @param class-string<Item> $class
     *
     * @dataProvider waysToSave
     */
    #[DataProvider('waysToSave')]
    public function testAModelIsOfTheConnectionOnceItIsTaken(string $driver, string $class, bool $isHeard): void
    {
        if ($driver === 'fake') {
            WriteBuffer::fake();
        } elseif ($driver === 'raw') {
            $this->app->make('config')->set('write-buffer.buffers.raw', ['models' => 'raw', 'connection' => 'tenant']);
        }
        $name = $driver === 'fake' ? 'native' : $driver;
        $this->app->make('config')->set('write-buffer.default', $name);
        $this->app->make('config')->set("write-buffer.buffers.{$name}.tables", []);
        foreach (self::TENANTS as $tenant) {
            $this->judge->exec(
                "CREATE TABLE {$tenant}.wb_items (id VARCHAR(9) PRIMARY KEY, status VARCHAR(9), quantity INT, created_at DATETIME,"
                . ' updated_at DATETIME) ENGINE=InnoDB',
            );
        }
        $buffer = $this->manager()->buffer();
        $save = $driver === 'raw'
            ? fn (Item $item): bool => $this->manager()->saving($item)->saveModel($item)
            : static fn (Item $item): int => $buffer->put('wb_items', $item);
        $of = static fn (string $status): Item => new $class(['id' => $status, 'status' => $status]);
        try {
            if ($isHeard) {
                foreach (['saving', 'creating'] as $event) {
                    $class::{$event}(static fn (Item $item): ?bool => $item->status === $event ? false : null);
                }
                foreach (['saving', 'creating'] as $event) {
                    $halted = $of($event);
                    $save($halted);
                    self::assertSame([null, false], [$halted->getConnectionName(), $halted->exists], "{$event} halted it");
                }
            }
            $refused = (new $class())->setRawAttributes(['id' => 'r', 'status' => new \stdClass()]);
            $dropped = $of('dropped');
            foreach (
                [
                    static fn () => $save($refused),
                    static fn () => $buffer->group(static function () use ($save, $dropped): void {
                        $save($dropped);
                        self::assertSame('tenant', $dropped->getConnectionName());
                        throw new \TypeError('on purpose');
                    }),
                ] as $at => $call
            ) {
                if ($driver === 'raw' && $at === 1) {
                    // The group is not that of the buffer that saves.
                    continue;
                }
                try {
                    $call();
                    self::fail("call {$at} is taken");
                } catch (\TypeError) {
                    self::assertSame([null, null], [$refused->getConnectionName(), $dropped->getConnectionName()]);
                }
            }
            $refused->status = 'mended';
            $taken = [$refused, $of('new')];
            array_map($save, $taken);
            $default = (new $class(['id' => 'd', 'status' => 'd']))->setConnection($this->app->make('db')->getDefaultConnection());
            try {
                $save($default);
                self::assertSame('fake', $driver, 'it belongs to another database');
            } catch (ConfigException $e) {
                self::assertStringContainsString('is of the connection mysql', $e->getMessage());
            }
            foreach ($taken as $item) {
                self::assertSame(['tenant', true], [$item->getConnectionName(), $item->exists]);
                // It is of this tenant from now on.
                $item->status = 'again';
                $save($item);
            }
            $buffer->flush();
        } finally {
            $class::flushEventListeners();
        }

        $found = $this->judge->query('SELECT id, status FROM wb_tenant_1.wb_items ORDER BY id')->fetchAll(PDO::FETCH_KEY_PAIR);
        self::assertSame($driver === 'fake' ? [] : ['new' => 'again', 'r' => 'again'], $found);
        self::assertSame([], $this->idsOf(self::TENANTS[1], 'wb_items'));
    }

    public function testASettingThatThereIsNotIsRefused(): void
    {
        $config = $this->app->make('config');
        foreach (
            [
                'batchsize' => 'the buffer native of config/write-buffer.php has an unknown setting batchsize: is it batch_size?',
                'batchSize' => 'unknown setting batchSize: is it batch_size?',
                'flush_timeout_ms' => 'unknown setting flush_timeout_ms: it belongs to the top level of the file',
                'pigeons' => 'unknown setting pigeons; there are: batch_size, flush_interval_ms,',
            ] as $setting => $message
        ) {
            $config->set('write-buffer.buffers.native', ['connection' => 'tenant', $setting => 5]);
            try {
                $this->manager()->buffer('native');
                self::fail("{$setting} is taken");
            } catch (ConfigException $e) {
                self::assertStringContainsString($message, $e->getMessage());
            }
        }
        $config->set('write-buffer.buffers.native', ['connection' => 'tenant']);
        self::assertInstanceOf(\WriteBuffer::class, $this->buffer()->inner(), 'native is the driver of a buffer that names none');
        $config->set('write-buffer.buffers.off', ['driver' => null]);
        self::assertSame(
            \WriteBuffer\Laravel\Drivers\Null\NullBuffer::class,
            $this->buffer('off')->inner()::class,
            'env() makes null of "null"',
        );
        $published = (require __DIR__ . '/../../config/write-buffer.php')['buffers']['default'];
        $config->set('write-buffer.buffers.published', ['connection' => 'tenant', 'driver' => 'native'] + $published);
        self::assertInstanceOf(\WriteBuffer::class, $this->buffer('published')->inner());
    }
}
