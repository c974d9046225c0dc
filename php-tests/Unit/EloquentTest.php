<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use Closure;
use DateTimeImmutable;
use Illuminate\Database\Eloquent\Collection;
use Illuminate\Database\Eloquent\Model;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\EloquentOrder;
use WriteBuffer\Tests\Support\EloquentThing;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** Laravel's own models, where Laravel is installed. */
final class EloquentTest extends MemoryTestCase
{
    public static function setUpBeforeClass(): void
    {
        foreach (['Illuminate/Database/autoload.php', 'Illuminate/Support/autoload.php'] as $file) {
            $path = stream_resolve_include_path($file);
            if (!class_exists(Model::class) && $path !== false) {
                // The packaged libraries raise notices on newer PHP.
                $level = error_reporting(E_ALL & ~E_DEPRECATED);
                require_once $path;
                error_reporting($level);
            }
        }
    }

    protected function setUp(): void
    {
        parent::setUp();
        if (!class_exists(Model::class)) {
            self::markTestSkipped('Laravel is not installed (Debian: php-illuminate-database)');
        }
    }

    private static function order(string $id, string $price = '50000.10'): EloquentOrder
    {
        $order = new EloquentOrder();
        $order->uuid = $id;
        $order->price = $price;
        $order->is_maker = true;
        $order->meta = ['client' => 'app', 'tags' => ['a', 'ü']];
        $order->placed_at = new DateTimeImmutable('2024-02-29 12:34:56');

        return $order;
    }

    /** @return array<string, mixed> */
    private static function row(string $id, string $price = '50000.10'): array
    {
        return [
            'uuid' => $id,
            'price' => $price,
            'is_maker' => 1,
            'meta' => '{"client":"app","tags":["a","\u00fc"]}',
            'placed_at' => '2024-02-29 12:34:56',
        ];
    }

    public function testAModelIsARowOfItsOwnTableAndKey(): void
    {
        $buffer = $this->buffer();
        $order = self::order('a');
        self::assertEquals(self::row('a'), $order->getAttributes(), 'what Laravel itself would write');
        $buffer->add($order);
        $order->price = '1.00';
        $buffer->add([$order, self::order('b')]);
        $buffer->flush();
        self::assertSame([self::row('a', '1.00'), self::row('b')], self::rowsOf('spot_orders'));
        self::assertSame([], self::rowsOf('orders'));
    }

    public function testACollectionIsAListOfRows(): void
    {
        $buffer = $this->buffer();
        $buffer->add(new Collection([self::order('a'), self::order('b')]), new Collection());
        self::assertCount(2, $buffer);
        $buffer->flush();
        self::assertSame([self::row('a'), self::row('b')], self::rowsOf('spot_orders'));
    }

    public function testAModelIsNotChanged(): void
    {
        $order = self::order('a');
        $dirty = $order->getDirty();
        $buffer = $this->buffer();
        $buffer->add($order);
        $buffer->flush();
        self::assertSame($dirty, $order->getDirty());
        self::assertFalse($order->exists);
    }

    public function testOfAModelThatWasLoadedGoesWhatHasChanged(): void
    {
        $order = (new EloquentOrder())->newFromBuilder([
            'uuid' => 'a', 'price' => '1.00', 'is_maker' => 1, 'meta' => '{"a":1}', 'orders_count' => 5,
        ]);
        $buffer = $this->buffer();
        $buffer->add((new EloquentOrder())->setRawAttributes(['uuid' => 'a']));
        $buffer->flush();
        $buffer->add($order);
        self::assertCount(0, $buffer, 'nothing has changed');
        $order->is_maker = true;
        $order->meta = ['a' => 1];
        $buffer->add($order);
        self::assertCount(0, $buffer, 'Laravel itself would write nothing');
        $order->price = '2.00';
        $order->placed_at = new DateTimeImmutable('2024-02-29 12:34:56');
        $buffer->add($order);
        $buffer->flush();
        self::assertSame(
            [['uuid' => 'a', 'price' => '2.00', 'placed_at' => '2024-02-29 12:34:56']],
            self::rowsOf('spot_orders'),
        );
    }

    /**
     * What a class's models said before says nothing of the next one: each goes to the table that
     * its own getTable() names then.
     *
     * @dataProvider modelsOfOneClass
     *
     * @param Closure(): list<Model> $make
     */
    #[DataProvider('modelsOfOneClass')]
    public function testEachModelIsAskedAsItIs(Closure $make): void
    {
        $buffer = $this->buffer();
        $expected = [];
        foreach ($make() as $id => $model) {
            $model->setRawAttributes([$model->getKeyName() => $id]);
            $buffer->add($model);
            $expected[$model->getTable()][] = [$model->getKeyName() => $id];
        }
        $buffer->flush();
        ksort($expected);
        $tables = MemorySink::tables();
        ksort($tables);
        self::assertSame($expected, $tables);
    }

    /** @return array<string, array{Closure(): list<Model>}> */
    public static function modelsOfOneClass(): array
    {
        $of = static fn (Closure $make): array => [static fn (): array => array_map($make, range(0, 7))];

        return [
            'its own' => $of(static fn (): Model => new EloquentOrder()),
            'setTable()' => $of(static fn (int $at): Model => (new EloquentOrder())->setTable(['x', 'y', "z{$at}"][$at % 3])),
            'setTable() at times' => $of(
                static fn (int $at): Model => $at % 3 === 2 ? (new EloquentOrder())->setTable('x') : new EloquentOrder()
            ),
            'setKeyName()' => $of(
                static fn (int $at): Model => (new EloquentThing())->setTable(['x', 'y'][$at % 2])->setKeyName(['k', 'l'][$at % 2])
            ),
            'by the name of the class' => $of(static fn (): Model => new EloquentThing()),
            'by it at times' => $of(
                static fn (int $at): Model => $at % 3 === 2 ? (new EloquentThing())->setTable('x') : new EloquentThing()
            ),
            'a getTable() of the class' => $of(static fn (int $at): Model => new class ($at) extends Model {
                protected $table = 'declared';

                public function __construct(private readonly int $at = 0)
                {
                    parent::__construct();
                }

                public function getTable()
                {
                    return $this->at < 3 ? parent::getTable() : 'later';
                }
            }),
            'without the property at times' => $of(static function (int $at): Model {
                $model = new EloquentThing();
                $model->setTable('x');
                if ($at % 3 === 2) {
                    (function (): void {
                        unset($this->table);
                    })->call($model);
                }

                return $model;
            }),
            'a property that is a reference' => $of(static function (int $at): Model {
                $model = new EloquentThing();
                (function () use ($at): void {
                    static $names = [];
                    $names[$at] = 'x' . $at % 3;
                    $this->table = &$names[$at];
                })->call($model);

                return $model;
            }),
            'many classes' => [static function (): array {
                $models = [];
                foreach (range(0, 59) as $at) {
                    $class = 'EloquentModel' . $at % 20;
                    if (!class_exists($class)) {
                        eval("class {$class} extends " . Model::class . " { protected \$table = 'of_{$class}'; }");
                    }
                    $models[] = new $class();
                }

                return $models;
            }],
        ];
    }

    public function testWhetherAModelIsStoredIsAskedEachTime(): void
    {
        $buffer = $this->buffer();
        foreach (range(0, 7) as $id) {
            $buffer->put('x', ['id' => $id, 'a' => 0, 'b' => 0]);
        }
        $buffer->flush();
        $exists = false;
        foreach (range(0, 7) as $id) {
            $model = new EloquentThing();
            $model->setTable('x')->setRawAttributes(['id' => $id, 'a' => 1, 'b' => 2], true);
            $model->setAttribute('b', 3);
            match ($id % 4) {
                0 => null,
                1 => $model->exists = true,
                2 => $model->exists = &$exists,
                3 => (static function () use ($model): void {
                    unset($model->exists);
                    $model->setRawAttributes(['exists' => true] + $model->getAttributes(), true);
                    $model->setAttribute('b', 4);
                })(),
            };
            $exists = $id > 3;
            $buffer->add($model);
            $buffer->flush();
        }
        $whole = static fn (int $id): array => ['id' => $id, 'a' => 1, 'b' => 3];
        // Its "a" has not changed, so it is not written.
        $part = static fn (int $id, int $b = 3): array => ['id' => $id, 'a' => 0, 'b' => $b];
        self::assertEquals(
            [$whole(0), $part(1), $whole(2), $part(3, 4), $whole(4), $part(5), $part(6), $part(7, 4)],
            self::rowsOf('x'),
        );
    }

    public function testAnAttributeThatIsARowOfAttributesIsRefused(): void
    {
        $order = self::order('a');
        $order->setRawAttributes(['uuid' => 'a', 'meta' => ['not' => 'cast']]);
        self::assertThrows(
            \TypeError::class,
            'WriteBuffer::add(): Argument #1 ($order) has a wrong value: table spot_orders, column meta: array is no value, json_encode() it for a JSON column; '
                . 'give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable',
            fn () => $this->buffer()->add($order),
        );
    }
}
