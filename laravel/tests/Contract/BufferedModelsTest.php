<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\ModelNotFoundException;
use Illuminate\Queue\SerializesModels;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Tests\Support\Cart;
use WriteBuffer\Laravel\Tests\Support\PlainCart;

/** The contract: no method of a model misses a row that is only buffered. */
final class BufferedModelsTest extends ContractTestCase
{
    private const COLUMNS = ['id', 'name', 'quantity', 'tenant_id', 'parent_id', 'deleted_at'];

    private const TABLES = [
        'wb_carts' => 'id VARCHAR(36) NOT NULL PRIMARY KEY, name VARCHAR(20), quantity INTEGER, tenant_id INTEGER, '
            . 'parent_id VARCHAR(36), deleted_at DATETIME',
    ];

    private Buffer $buffer;

    protected function tearDown(): void
    {
        Cart::$tenant = null;
        Cart::flushEventListeners();
        PlainCart::flushEventListeners();
        parent::tearDown();
    }

    /** @return iterable<string, array{string}> those whose rows Laravel's connection reads */
    public static function databases(): iterable
    {
        foreach (self::drivers() as $name => $driver) {
            if ($name !== 'memory') {
                yield $name => $driver;
            }
        }
    }

    private function carts(string $driver): void
    {
        $this->driver = $driver;
        $this->createTables(self::TABLES);
        $config = $this->app->make('config');
        $config->set('database.default', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        $this->buffer = $this->make(['tables' => []]);
        $config->set('write-buffer.default', 'contract');
    }

    /** @return array<string, mixed> */
    private static function cart(string $id, ?int $quantity = 1): array
    {
        return ['id' => $id, 'name' => 'new', 'quantity' => $quantity, 'tenant_id' => 7, 'parent_id' => null, 'deleted_at' => null];
    }

    /** @return array<string, array<string, string|null>> by id */
    private function written(): array
    {
        $this->buffer->flush();

        return array_column($this->tableOf('wb_carts', self::COLUMNS), null, 'id');
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testWritesToABufferedRowAreNotLost(string $driver): void
    {
        $this->carts($driver);
        foreach ([false, true] as $isInGroup) {
            $work = function () use ($isInGroup): void {
                $prefix = $isInGroup ? 'g' : 'a';
                $make = static fn (int $number): PlainCart => PlainCart::createBuffered(self::cart("{$prefix}{$number}"));
                $cart = $make(1);
                $cart->name = 'saved';
                self::assertTrue($cart->save());
                $cart = $make(2);
                self::assertTrue($cart->update(['name' => 'updated', 'quantity' => 5]));
                self::assertSame([], $cart->getDirty());
                self::assertTrue($make(3)->delete());
                self::assertSame(1, PlainCart::query()->whereKey($make(4)->id)->update(['name' => 'mass']));
                self::assertSame(1, PlainCart::query()->where('id', $make(5)->id)->delete());
                // A row that will be deleted may come again.
                self::assertTrue((new PlainCart(['name' => 'again'] + self::cart("{$prefix}3")))->save());
            };
            $isInGroup ? $this->buffer->group($work) : $work();
        }
        $names = array_map(static fn (array $row): array => [$row['name'], $row['quantity']], $this->written());
        $expected = ['1' => ['saved', '1'], '2' => ['updated', '5'], '3' => ['again', '1'], '4' => ['mass', '1']];
        foreach (['a', 'g'] as $prefix) {
            foreach ($expected as $number => $row) {
                self::assertSame($row, $names["{$prefix}{$number}"] ?? null, "{$prefix}{$number}");
            }
        }
        self::assertCount(8, $names);
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testWhatTheDatabaseHasToDoIsDoneAfterAFlush(string $driver): void
    {
        $this->carts($driver);
        $cart = PlainCart::createBuffered(self::cart('a'));
        $cart->increment('quantity', 2);
        self::assertSame('3', (string) $this->written()['a']['quantity']);
        $cart->quantity = 10;
        $cart->saveBuffered();
        $cart->decrement('quantity', 1, ['name' => 'less']);
        self::assertSame(['less', '9'], array_slice(array_values($this->written()['a']), 1, 2));

        PlainCart::createBuffered(['name' => 'x'] + self::cart('b'));
        self::assertSame(1, PlainCart::query()->where('name', 'x')->update(['quantity' => 4]));
        PlainCart::createBuffered(['name' => 'y'] + self::cart('c'));
        self::assertSame(1, PlainCart::query()->where('name', 'y')->delete());
        self::assertSame(['a', 'b'], array_keys($this->written()));
        self::assertSame('4', (string) $this->written()['b']['quantity']);
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testARowIsNotMadeTwice(string $driver): void
    {
        $this->carts($driver);
        PlainCart::createBuffered(['name' => 'x'] + self::cart('a'));
        self::assertSame('a', PlainCart::query()->updateOrCreate(['name' => 'x'], ['quantity' => 9])->id);
        PlainCart::createBuffered(['name' => 'y'] + self::cart('b'));
        self::assertSame('b', PlainCart::query()->firstOrCreate(['name' => 'y'], ['id' => 'another'])->id);
        PlainCart::createBuffered(['name' => 'z', 'parent_id' => 'b'] + self::cart('c'));
        $parts = Cart::query()->findOrFail('b')->parts();
        self::assertSame('c', $parts->updateOrCreate(['name' => 'z'], ['quantity' => 3])->id);

        self::assertSame(['a' => '9', 'b' => '1', 'c' => '3'], array_column($this->written(), 'quantity', 'id'));
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testDeletionsComeInOrder(string $driver): void
    {
        $this->carts($driver);
        $heard = [];
        foreach (['deleting', 'deleted', 'trashed', 'forceDeleted', 'restored'] as $event) {
            Cart::registerModelEvent($event, static function (Cart $cart) use (&$heard, $event): void {
                $heard[] = "{$event} {$cart->id}";
            });
        }
        $cart = Cart::createBuffered(self::cart('a'));
        self::assertTrue($cart->deleteBuffered());
        self::assertTrue($cart->trashed());
        self::assertNull(Cart::findBuffered('a'));
        $this->isSync() || self::assertNotNull(Cart::withTrashed()->findBuffered('a'));
        self::assertNotNull($this->written()['a']['deleted_at']);
        self::assertTrue($cart->restore());
        Cart::createBuffered(self::cart('b'))->forceDelete();
        Cart::createBuffered(self::cart('c'))->delete();
        self::assertTrue(PlainCart::createBuffered(self::cart('d'))->deleteBuffered());
        $stored = new PlainCart(self::cart('e'));
        $stored->save();
        self::assertTrue($stored->deleteBuffered());
        self::assertFalse($stored->exists);
        self::assertNull($stored->deleteBuffered(), 'it is gone already');

        $rows = $this->written();
        self::assertSame(['a', 'c'], array_keys($rows));
        self::assertSame([true, false], [$rows['a']['deleted_at'] === null, $rows['c']['deleted_at'] === null]);
        self::assertSame(['deleting a', 'deleted a'], array_values(array_diff(array_slice($heard, 0, 3), ['trashed a'])));
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testScopesDecideOverWhatIsBuffered(string $driver): void
    {
        $this->carts($driver);
        (new Cart(self::cart('stored')))->save();
        (new Cart(self::cart('moved')))->save();
        Cart::createBuffered(self::cart('a'));
        Cart::createBuffered(['tenant_id' => 8] + self::cart('b'));
        Cart::find('moved')->fill(['tenant_id' => 8])->saveBuffered();
        $gone = Cart::createBuffered(self::cart('gone'));
        $gone->deleteBuffered();
        PlainCart::find('stored')->fill(['name' => 'changed'])->saveBuffered();
        PlainCart::createBuffered(self::cart('dropped'))->deleteBuffered();

        Cart::$tenant = 7;
        $ids = static fn (iterable $carts): array => array_map(static fn (Cart $cart): string => $cart->id, [...$carts]);
        $all = ['a', 'b', 'stored', 'moved', 'gone', 'dropped', 'never'];
        self::assertEqualsCanonicalizing(['a', 'stored'], $ids(Cart::findBuffered($all)));
        self::assertSame('changed', Cart::findBuffered('stored')->name);
        self::assertNull(Cart::findBuffered('b'));
        self::assertNull(Cart::findBuffered('moved'));
        self::assertEqualsCanonicalizing(['a', 'stored', 'gone'], $ids(Cart::withTrashed()->findBuffered($all)));
        self::assertSame('b', Cart::withoutGlobalScope('tenant')->findBuffered('b')->id);
        // What PHP cannot decide, the database does, after a flush.
        self::assertSame('a', Cart::query()->where('name', 'like', 'n%')->findBuffered('a')->id);
        self::assertNull(Cart::query()->whereRaw('1 = 0')->findBuffered('a'));
        self::assertSame('a', Cart::findBufferedOrFail('a')->id);
        self::assertThrown(ModelNotFoundException::class, static fn () => Cart::findBufferedOrFail('b'));
        self::assertThrown(ModelNotFoundException::class, static fn () => Cart::query()->findBufferedOrFail(['a', 'never']), 'never');
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testRelationsMakeBufferedRows(string $driver): void
    {
        $this->carts($driver);
        $parent = Cart::createBuffered(self::cart('a'));
        $part = $parent->parts()->createBuffered(['id' => 'b'] + self::cart('b'));
        self::assertSame(['a', true], [$part->parent_id, $part->wasRecentlyCreated]);
        self::assertSame('b', $parent->parts()->findBuffered('b')->id);
        self::assertNull($parent->parts()->findBuffered('a'));
        self::assertSame('a', $this->written()['b']['parent_id']);
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testAModelIsReadAnewWithWhatIsBuffered(string $driver): void
    {
        $this->carts($driver);
        $cart = Cart::createBuffered(self::cart('a'));
        $copy = clone $cart;
        $cart->name = 'other';
        $cart->saveBuffered();
        self::assertSame('other', $copy->refresh()->name);
        self::assertFalse($copy->isDirty());
        self::assertSame('other', $copy->fresh()->name);
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testARouteAndAJobFindBufferedRows(string $driver): void
    {
        $this->carts($driver);
        Cart::createBuffered(self::cart('a'));
        self::assertSame('a', (new Cart())->resolveRouteBinding('a')->id);
        Cart::createBuffered(['name' => 'slug'] + self::cart('b'));
        self::assertSame('b', (new Cart())->resolveRouteBinding('slug', 'name')->id);
        $cart = Cart::createBuffered(self::cart('c'));
        $job = new class ($cart) {
            use SerializesModels;

            public function __construct(public Model $cart)
            {
            }

            /** @return array<string, mixed> */
            public function there(): array
            {
                return $this->__serialize();
            }
        };
        $job->there();
        self::assertSame(['a', 'b', 'c'], array_column($this->tableOf('wb_carts', ['id']), 'id'), 'without a flush of ours');
    }

    /** @dataProvider databases */
    #[DataProvider('databases')]
    public function testRowsThatWaitForACommitAreFollowed(string $driver): void
    {
        $this->carts($driver);
        $database = $this->app->make('db')->connection();
        $database->transaction(function (): void {
            $cart = PlainCart::createBuffered(self::cart('a'));
            $cart->name = 'saved';
            self::assertTrue($cart->save());
            self::assertSame('saved', (clone $cart)->refresh()->name);
            PlainCart::createBuffered(self::cart('b'))->delete();
            self::assertThrown(BlockedException::class, static fn () => $cart->increment('quantity'), 'wait for the end of a transaction');
            self::assertThrown(BlockedException::class, static fn () => PlainCart::query()->where('name', 'x')->update(['quantity' => 1]));
            self::assertThrown(BlockedException::class, static fn () => PlainCart::query()->firstOrCreate(['name' => 'x'], ['id' => 'c']));
        });
        self::assertSame(['a' => 'saved'], array_column($this->written(), 'name', 'id'));
    }

    public function testRowsOfAnotherTenantAreNotLookedAt(): void
    {
        $this->carts('native foreground');
        $database = $this->app->make('db');
        $place = $database->connection('mysql')->getDatabaseName();
        $database->connection('mysql')->unprepared('CREATE DATABASE write_buffer_test_cart');
        try {
            $database->connection('mysql')->unprepared("CREATE TABLE write_buffer_test_cart.wb_carts LIKE {$place}.wb_carts");
            $database->connection('mysql')->unprepared("INSERT INTO write_buffer_test_cart.wb_carts (id, name) VALUES ('a', 'of the other')");
            PlainCart::createBuffered(self::cart('a'))->deleteBuffered();
            $this->app->make('config')->set('database.connections.mysql.database', 'write_buffer_test_cart');
            $database->purge('mysql');
            $cart = PlainCart::query()->findOrFail('a');
            self::assertTrue($cart->update(['name' => 'changed']));
            self::assertSame('changed', PlainCart::query()->find('a')->name, 'at once: nothing is buffered here');
        } finally {
            $this->app->make('config')->set('database.connections.mysql.database', $place);
            $database->purge('mysql');
            $this->buffer->flush();
            $database->connection('mysql')->unprepared('DROP DATABASE write_buffer_test_cart');
        }
    }
}
