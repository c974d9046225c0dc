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
 * and says that it did. A buffer refuses the row, unless an INSERT of it needs no other column.
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

    /** @return iterable<string, array{string, bool}> */
    public static function ways(): iterable
    {
        foreach (self::drivers() as $driver => [$name]) {
            yield "{$driver}, nobody listens" => [$name, false];
            yield "{$driver}, somebody listens" => [$name, true];
        }
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testItIsRefusedIfARowNeedsMore(string $driver, bool $isHeard): void
    {
        if ($driver === 'memory') {
            self::assertSame('memory', $driver, 'it knows of no column what a row needs');

            return;
        }
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, self::REQUIRED);
        $gone = $this->gone($buffer, 'a');
        self::assertTrue((clone $gone)->save(), 'save() says so');
        self::assertSame([], $this->tableOf('wb_items', ['id']), 'and there is nothing');

        $thrown = $this->refusedBy($buffer, [
            static fn () => $buffer->add(new Item(['id' => 'b', 'status' => 'new'])),
            static fn () => $buffer->add($gone),
            static fn () => $buffer->add(new Item(['id' => 'c', 'status' => 'new'])),
        ]);
        self::assertStringContainsString('there is no row with its key (id)', $thrown->getMessage());
        self::assertSame(
            [['table' => 'wb_items', 'id' => 'a', 'quantity' => 2]],
            array_map(
                static fn (array $row): array => ['table' => $row['table']] + array_intersect_key($row['row'], ['id' => 0, 'quantity' => 0]),
                $thrown->getFailures()[0]['rows'],
            ),
        );
        self::assertTrue($gone->exists, 'the server has refused it later');
        $buffer->takeFailures();
        self::assertSame(['b', 'c'], array_column($this->tableOf('wb_items', ['id']), 'id'), 'the others are written');
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testItIsARowOfWhatChangedIfARowNeedsNoMore(string $driver, bool $isHeard): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, self::OPTIONAL);
        $buffer->add($this->gone($buffer, 'a'));
        $buffer->flush();

        $default = $driver === 'memory' ? null : 'new';
        self::assertSame(
            [['id' => 'a', 'status' => $default, 'quantity' => '2', 'created_at' => null]],
            $this->tableOf('wb_items', ['id', 'status', 'quantity', 'created_at']),
        );
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testItIsNoOtherIfTheBufferItselfDeletesTheRow(string $driver, bool $isHeard): void
    {
        $isHeard && Item::registerModelEvent('saved', static fn () => null);
        $buffer = $this->items($driver, self::REQUIRED);
        $item = new Item(['id' => 'a', 'status' => 'open', 'quantity' => 1]);
        $buffer->add($item);
        $old = clone $item;
        if ($driver === 'memory') {
            $buffer->delete('wb_items', 'a');
            $buffer->add($old->fill(['quantity' => 2]));
            $buffer->flush();
            self::assertSame([['id' => 'a', 'status' => null]], $this->tableOf('wb_items', ['id', 'status']));

            return;
        }
        $this->refusedBy($buffer, [
            static fn () => $buffer->delete('wb_items', 'a'),
            static fn () => $buffer->add($old->fill(['quantity' => 2])),
        ]);
        $buffer->takeFailures();
        self::assertSame([], $this->tableOf('wb_items', ['id']));
    }
}
