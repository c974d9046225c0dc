<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DateTimeImmutable;
use Illuminate\Database\Eloquent\Collection;
use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Tests\Support\EloquentOrder;
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
