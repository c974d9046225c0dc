<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Database\Connection;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Tests\Support\Item;
use WriteBuffer\MemorySink;

/**
 * The contract: what becomes of a model's update if its row is gone. save() updates nothing then,
 * and says that it did. A buffer refuses the update, whatever an INSERT of it needs.
 */
final class GoneRowsTest extends ContractTestCase
{
    private const REQUIRED = 'id VARCHAR(36) NOT NULL PRIMARY KEY, status VARCHAR(10) NOT NULL, quantity INTEGER, '
        . 'created_at DATETIME, updated_at DATETIME';

    private const OPTIONAL = "id VARCHAR(36) NOT NULL PRIMARY KEY, status VARCHAR(10) DEFAULT 'new', quantity INTEGER, "
        . 'created_at DATETIME, updated_at DATETIME';

    protected function tearDown(): void
    {
        Item::flushEventListeners();
        parent::tearDown();
    }

    private function database(): Connection
    {
        return $this->app->make('db')->connection($this->driver === 'php on sqlite' ? 'sqlite' : 'mysql');
    }

    private function items(string $driver, string $definition): Buffer
    {
        $this->driver = $driver;
        $this->createTables(['wb_items' => $definition]);
        $this->app->make('config')->set('database.default', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');

        return $this->make(['tables' => []]);
    }

    /** A model whose row others have deleted, and which is changed. */
    private function gone(Buffer $buffer, string $id): Item
    {
        $item = new Item(['id' => $id, 'status' => 'open', 'quantity' => 1]);
        $buffer->add($item);
        $buffer->flush();
        $this->driver === 'memory' ? MemorySink::reset() : $this->database()->table('wb_items')->where('id', $id)->delete();

        return $item->fill(['quantity' => 2]);
    }

    /** @return iterable<string, array{string, bool, string}> */
    public static function ways(): iterable
    {
        foreach (self::drivers() as $driver => [$name]) {
            foreach (['a row needs more' => self::REQUIRED, 'a row needs no more' => self::OPTIONAL] as $which => $table) {
                yield "{$driver}, nobody listens, {$which}" => [$name, false, $table];
                yield "{$driver}, somebody listens, {$which}" => [$name, true, $table];
            }
        }
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testItIsRefused(string $driver, bool $isHeard, string $table): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, $table);
        $gone = $this->gone($buffer, 'a');
        if ($driver !== 'memory') {
            self::assertTrue((clone $gone)->save(), 'save() says so');
        }
        self::assertSame([], $this->tableOf('wb_items', ['id']), 'and there is nothing');

        $thrown = $this->refusedBy($buffer, [
            static fn () => $buffer->add(new Item(['id' => 'b', 'status' => 'new'])),
            static fn () => $buffer->add($gone),
            static fn () => $buffer->add(new Item(['id' => 'c', 'status' => 'new'])),
        ]);
        self::assertStringContainsString(
            'table wb_items: an update of a row that is gone: there is no row with its key (id)',
            $thrown->getMessage(),
        );
        [$failure] = $thrown->getFailures();
        self::assertSame(
            [['table' => 'wb_items', 'update' => true, 'id' => 'a', 'quantity' => 2]],
            array_map(
                static fn (array $row): array => ['table' => $row['table'], 'update' => $row['update']]
                    + array_intersect_key($row['row'], ['id' => 0, 'quantity' => 0]),
                $failure['rows'],
            ),
        );
        self::assertTrue($gone->exists, 'the server has refused it later');
        self::assertSame(['b', 'c'], array_column($this->tableOf('wb_items', ['id']), 'id'), 'the others are written');

        // It is an update also when it is put back.
        $buffer->takeFailures();
        $again = $this->refusedBy($buffer, [static fn () => $buffer->retry([['id' => 'again'] + $failure])]);
        self::assertSame($failure['rows'], $again->getFailures()[0]['rows']);
        self::assertSame(['b', 'c'], array_column($this->tableOf('wb_items', ['id']), 'id'));
        $buffer->takeFailures();
        $buffer->put('wb_items', ['id' => 'a', 'status' => 'back', 'quantity' => 7]);
        $buffer->retry([['id' => 'once more'] + $failure]);
        $buffer->flush();
        self::assertSame(
            ['id' => 'a', 'status' => 'back', 'quantity' => '2'],
            $this->tableOf('wb_items', ['id', 'status', 'quantity'])[0],
        );
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testSoItIsIfTheBufferItselfDeletesTheRow(string $driver, bool $isHeard, string $table): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, $table);
        $item = new Item(['id' => 'a', 'status' => 'open', 'quantity' => 1]);
        $buffer->add($item);
        $old = clone $item;
        $this->refusedBy($buffer, [
            static fn () => $buffer->delete('wb_items', 'a'),
            static fn () => $buffer->add($old->fill(['quantity' => 2])),
        ]);
        $buffer->takeFailures();
        self::assertSame([], $this->tableOf('wb_items', ['id']));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testSoItIsIfATransactionHasHeldIt(string $driver, bool $isHeard, string $table): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, $table);
        $gone = $this->gone($buffer, 'a');
        $connection = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $thrown = $this->refusedBy($buffer, [
            static fn () => $connection->transaction(static fn () => $buffer->add($gone)),
        ]);
        self::assertStringContainsString('an update of a row that is gone', $thrown->getMessage());
        $buffer->takeFailures();
        self::assertSame([], $this->tableOf('wb_items', ['id']));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAnUpdateBehindItsOwnInsertIsNone(string $driver, bool $isHeard, string $table): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, $table);
        $item = new Item(['id' => 'a', 'status' => 'open', 'quantity' => 1]);
        $buffer->add($item);
        $buffer->add($item->fill(['quantity' => 2]));
        $buffer->flush();
        $buffer->add($item->fill(['quantity' => 3]));
        $buffer->add($item->fill(['status' => 'shut']));
        $buffer->flush();
        self::assertSame(
            [['id' => 'a', 'status' => 'shut', 'quantity' => '3']],
            $this->tableOf('wb_items', ['id', 'status', 'quantity']),
        );
    }
}
