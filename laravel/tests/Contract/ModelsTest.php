<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Support\Carbon;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\Laravel\Tests\Support\BufferedItem;
use WriteBuffer\Laravel\Tests\Support\ClosedItem;
use WriteBuffer\Laravel\Tests\Support\Item;
use WriteBuffer\RefusedException;
use WriteBuffer\TooLargeException;

/** The contract: a model looks saved if its row was taken, and only then. */
final class ModelsTest extends ContractTestCase
{
    private const TABLES = [
        'wb_items' => 'id VARCHAR(36) NOT NULL PRIMARY KEY, status VARCHAR(10) NOT NULL, quantity INTEGER, is_open INTEGER, '
            . 'tags VARCHAR(50), point VARCHAR(20), due_at DATETIME, created_at DATETIME, updated_at DATETIME',
    ];

    protected function setUp(): void
    {
        parent::setUp();
        Carbon::setTestNow('2024-01-31 10:00:00');
    }

    protected function tearDown(): void
    {
        Carbon::setTestNow();
        Item::flushEventListeners();
        parent::tearDown();
    }

    /** @param array<string, mixed> $settings */
    private function items(string $driver, array $settings = []): Buffer
    {
        $this->driver = $driver;
        $this->createTables(self::TABLES);
        $this->app->make('config')->set('database.default', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');

        return $this->make($settings + ['tables' => [], 'order_table' => 'wb_items']);
    }

    private static function item(string $id, string $status = 'new'): Item
    {
        return new Item(['id' => $id, 'status' => $status]);
    }

    private static function assertUnsaved(Item ...$items): void
    {
        foreach ($items as $item) {
            self::assertSame(
                [false, false, [], []],
                [$item->exists, $item->wasRecentlyCreated, $item->getRawOriginal(), $item->getChanges()],
                $item->id,
            );
            self::assertArrayHasKey('status', $item->getDirty());
        }
    }

    private static function assertSaved(Item ...$items): void
    {
        foreach ($items as $item) {
            self::assertSame([true, true, []], [$item->exists, $item->wasRecentlyCreated, $item->getDirty()], $item->id);
        }
    }

    /** @return list<array<string, string|null>> */
    private function written(Buffer $buffer): array
    {
        $buffer->flush();

        return $this->tableOf('wb_items', ['id', 'status', 'quantity']);
    }

    /** @return iterable<string, array{string, bool}> */
    public static function ways(): iterable
    {
        foreach (self::drivers() as $driver => [$name]) {
            yield "{$driver}, nobody listens" => [$name, false];
            yield "{$driver}, somebody listens" => [$name, true];
        }
    }

    private static function listen(bool $isHeard): void
    {
        if ($isHeard) {
            Item::registerModelEvent('saved', static fn () => null);
        }
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAnOldCopyOverwritesNothingThatItHasNotChanged(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $buffer = $this->items($driver);
        $order = self::item('a', 'open');
        $order->quantity = 1;
        $buffer->add($order);
        $old = clone $order;
        $order->status = 'cancelled';
        $buffer->add($order);
        $old->quantity = 2;
        $buffer->add($old);
        $buffer->add($old);

        self::assertSame([['id' => 'a', 'status' => 'cancelled', 'quantity' => '2']], $this->written($buffer));
        self::assertSame(3, $buffer->getMetrics()['rows_added'], 'nothing had changed the last time');
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAModelThatIsRefusedIsNotSaved(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $buffer = $this->items($driver);
        $bad = self::item('a')->setRawAttributes(['id' => 'a', 'status' => new \stdClass()]);
        $good = self::item('b');
        foreach (
            [
                static fn () => $buffer->add($bad),
                static fn () => $buffer->put('x', $bad),
                static fn () => $buffer->add([$good, $bad]),
                static fn () => $buffer->add($good, [$bad]),
                static fn () => $buffer->add((static fn () => yield from [$good, $bad])()),
                static fn () => $buffer->group(static function () use ($buffer, $good, $bad): void {
                    $buffer->add($good);
                    $buffer->add($bad);
                }),
            ] as $call
        ) {
            self::assertThrown(\TypeError::class, $call, 'stdClass is no value');
            self::assertUnsaved($bad, $good);
        }
        $bad->status = 'mended';
        $buffer->add([$good, $bad]);
        self::assertSaved($good, $bad);

        self::assertSame(['mended', 'new'], array_column($this->written($buffer), 'status'));
        self::assertSame(2, $buffer->getMetrics()['rows_added']);
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testWhatIsTooLargeOrComesTooLateIsNotSaved(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $isBounded = !str_starts_with($driver, 'sync');
        $buffer = $this->items($driver, $isBounded ? ['max_pending_rows' => 2, 'batch_size' => 2] : []);
        $items = array_map(self::item(...), ['a', 'b', 'c']);
        if ($isBounded) {
            self::assertThrown(TooLargeException::class, static fn () => $buffer->add($items));
            self::assertUnsaved(...$items);
            self::assertThrown(TooLargeException::class, static fn () => $buffer->group(
                static fn () => array_map($buffer->add(...), $items),
            ));
            self::assertUnsaved(...$items);
        }
        $buffer->close();
        self::assertThrown(ClosedException::class, static fn () => $buffer->add($items[0]));
        self::assertThrown(ClosedException::class, static fn () => $buffer->add([$items[0], $items[1]]));
        self::assertUnsaved(...$items);
    }

    public function testWhatHasNoRoomIsNotSaved(): void
    {
        foreach ([false, true] as $isHeard) {
            self::listen($isHeard);
            $heard = [];
            $isHeard && Item::registerModelEvent('created', static function (Item $item) use (&$heard): void {
                $heard[] = $item->id;
            });
            // A table that is not there yet: the thread cannot make room.
            $this->driver = 'native background';
            $buffer = $this->make(['max_pending_rows' => 2, 'batch_size' => 2, 'overflow' => 'throw', 'tables' => [],
                'order_table' => 'wb_items']);
            $items = array_map(self::item(...), ['a', 'b', 'c']);
            $buffer->add([$items[0], $items[1]]);
            self::assertThrown(FullException::class, static fn () => $buffer->add($items[2]));
            self::assertThrown(FullException::class, static fn () => $buffer->add([$items[2], ['id' => 'd', 'status' => 'x']]));
            self::assertUnsaved($items[2]);
            self::assertSame($isHeard ? ['a', 'b', 'c'] : [], $heard, 'alone it is refused before it is created');

            $this->createTables(self::TABLES);
            $buffer->flush();
            $buffer->add($items[2]);
            self::assertSaved(...$items);
            self::assertSame(['a', 'b', 'c'], array_column($this->written($buffer), 'id'));
            $this->app->make('db')->connection('mysql')->unprepared('DROP TABLE wb_items');
            $buffer->close();
        }
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testWhatIsTakenIsSavedThoughTheCallThrows(string $driver, bool $isHeard): void
    {
        if (!in_array($driver, ['native foreground', 'php', 'php on sqlite'], true)) {
            self::assertContains($driver, ['native background', 'sync', 'memory'], 'there add() makes no flush that is refused');

            return;
        }
        self::listen($isHeard);
        $buffer = $this->items($driver, ['batch_size' => 2]);
        $buffer->add(['id' => 'a']);
        $item = self::item('b');
        self::assertThrown(RefusedException::class, static fn () => $buffer->add($item));
        self::assertSaved($item);
        $buffer->takeFailures();

        self::assertSame([['id' => 'b', 'status' => 'new', 'quantity' => null]], $this->written($buffer));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testARollbackLeavesModelsAsItLeavesThoseOfSave(string $driver, bool $isHeard): void
    {
        if ($driver === 'memory') {
            self::assertSame('memory', $driver, 'a DSN follows no transaction of Laravel');

            return;
        }
        self::listen($isHeard);
        $buffer = $this->items($driver);
        $database = $this->app->make('db')->connection();
        $database->beginTransaction();
        [$saved, $added] = [self::item('a'), self::item('b')];
        $saved->save();
        $buffer->add($added);
        $database->rollBack();

        self::assertSame([], $this->written($buffer));
        self::assertSaved($saved, $added);
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAGroupThatIsDroppedLeavesItsModelsUnsaved(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $buffer = $this->items($driver);
        [$first, $second, $third] = array_map(self::item(...), ['a', 'b', 'c']);
        $buffer->group(static function () use ($buffer, $first, $second, $third): void {
            $buffer->add($first);
            try {
                $buffer->group(static function () use ($buffer, $second, $third): void {
                    $buffer->add($second);
                    $second->status = 'again';
                    $buffer->add([$second, $third]);
                    throw new RuntimeException('on purpose');
                });
            } catch (RuntimeException) {
                self::assertUnsaved($second, $third);
                self::assertSaved($first);
            }
        });
        self::assertSaved($first);
        self::assertSame(['a'], array_column($this->written($buffer), 'id'));
        $buffer->add([$second, $third]);
        self::assertSame(['again', 'new'], array_slice(array_column($this->written($buffer), 'status'), 1));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatAListenerAddsStandsWhereSaveWouldPutIt(string $driver): void
    {
        $buffer = $this->items($driver);
        Item::registerModelEvent('created', static function (Item $item) use ($buffer): void {
            $buffer->put('wb_items', ['id' => $item->id, 'status' => 'heard']);
        });
        $buffer->add(self::item('a'));
        $ticket = $buffer->add([self::item('b'), ['id' => 'x', 'status' => 'row'], self::item('c')]);
        self::assertSame($ticket, $buffer->lastTicket());

        self::assertSame(['heard', 'heard', 'heard', 'row'], array_column($this->written($buffer), 'status'), 'the row came before');
        self::assertSame(3, $ticket, 'a group, with what was added within it');
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTicketsAreThoseOfTheRows(string $driver): void
    {
        $buffer = $this->items($driver);
        [$first, $second] = [self::item('a'), self::item('b')];
        self::assertSame(1, $buffer->add($first));
        self::assertSame(1, $buffer->add($first), 'nothing has changed: no group');
        Item::registerModelEvent('saving', static fn (Item $item): ?bool => $item->status === 'halted' ? false : null);
        self::assertSame(2, $buffer->add([$second, self::item('c')]));
        self::assertSame(2, $buffer->add($first));
        $second->status = 'halted';
        self::assertSame(2, $buffer->add($second));
        self::assertSame(2, $buffer->add([$second, $first]));
        $second->status = 'open';
        self::assertSame(3, $buffer->add($second, null));
        $buffer->waitFor(3);
        self::assertSame(['new', 'open', 'new'], array_column($this->tableOf('wb_items', ['id', 'status']), 'status'));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAnImportSavesTheModelsThatItTakes(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $buffer = $this->items($driver);
        $items = array_map(self::item(...), ['a', 'b', 'c']);
        $items[1]->setRawAttributes(['id' => 'b', 'status' => []]);
        try {
            $buffer->putAll('wb_items', (static fn () => yield from [...$items, ['id' => 'd', 'status' => 'row'], $items[0]])());
            self::fail('the second one was taken');
        } catch (IncompleteException $e) {
            self::assertSame([3, 1, [2]], [$e->getTakenRows(), $e->getSkippedRows(), array_keys($e->getReasons())]);
            self::assertStringContainsString('column status: array is no value', $e->getReasons()[2]);
        }
        self::assertSaved($items[0], $items[2]);
        self::assertUnsaved($items[1]);
        self::assertSame(['a', 'c', 'd'], array_column($this->written($buffer), 'id'));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAModelThatCannotBeFoundAgainIsRefused(string $driver, bool $isHeard): void
    {
        self::listen($isHeard);
        $buffer = $this->items($driver);
        self::assertThrown(ConfigException::class, static fn () => $buffer->add(new Item(['status' => 'x'])), 'has no key id yet');
        $item = self::item('a');
        $buffer->add($item);
        $item->id = 'b';
        self::assertThrown(ConfigException::class, static fn () => $buffer->add($item), 'its key id was changed');
        self::assertThrown(
            ConfigException::class,
            static fn () => $buffer->add(new ClosedItem(['id' => 'c', 'status' => 'x'])),
            'it has a save() of its own, which a buffer calls only if the model uses the trait',
        );
        $part = (new Item())->newFromBuilder(['status' => 'open']);
        $part->status = 'closed';
        self::assertThrown(ConfigException::class, static fn () => $buffer->add($part), 'load the model with its key');
        self::assertSame(['a'], array_column($this->written($buffer), 'id'));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTheSettingRawTakesAttributesAsTheyAre(string $driver): void
    {
        $buffer = $this->items($driver, ['models' => 'raw']);
        $heard = 0;
        Item::registerModelEvent('saving', static function () use (&$heard): void {
            $heard++;
        });
        $item = self::item('a');
        $buffer->add($item);
        $buffer->put('wb_items', [new ClosedItem(['id' => 'c', 'status' => 'x'])]);
        self::assertUnsaved($item);
        self::assertSame([0, null], [$heard, $item->created_at]);
        self::assertSame(['a', 'c'], array_column($this->written($buffer), 'id'));
        // saveBuffered() is a save() all the same.
        $this->app->make('config')->set('write-buffer.default', 'contract');
        BufferedItem::registerModelEvent('saving', static function () use (&$heard): void {
            $heard++;
        });
        self::assertTrue(BufferedItem::createBuffered(['id' => 'b', 'status' => 'new'])->exists);
        BufferedItem::flushEventListeners();
        self::assertSame(1, $heard);
        self::assertThrown(ConfigException::class, fn () => $this->make(['models' => 'rwa']), "models in config/write-buffer.php must be");
    }
}
