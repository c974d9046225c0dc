<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Carbon;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Facades\WriteBuffer;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Tests\Support\BufferedItem;
use WriteBuffer\Laravel\Tests\Support\Item;
use WriteBuffer\Laravel\Tests\Support\Point;
use WriteBuffer\Laravel\Tests\Support\SavingItem;

/**
 * `add($model)` is save(), later: the same random operations on two tables, once by Eloquent's own
 * save(), once through the buffer. The events and the models are compared after each operation, the
 * tables row by row after each flush. A failure prints the seed; `WRITE_BUFFER_TEST_SEED` repeats
 * it.
 */
final class ModelTwinTest extends ContractTestCase
{
    private const SEQUENCES = 4;

    private const CALLS = 60;

    private const KEYS = ['a', 'b', 'c', 'd'];

    private const COLUMNS = ['id', 'status', 'quantity', 'is_open', 'tags', 'point', 'due_at', 'created_at', 'updated_at'];

    private const TABLE = 'id VARCHAR(36) NOT NULL PRIMARY KEY, status VARCHAR(10) NOT NULL, quantity INTEGER, is_open INTEGER, '
        . 'tags VARCHAR(50), point VARCHAR(20), due_at DATETIME, created_at DATETIME, updated_at DATETIME';

    private const EVENTS = ['saving', 'creating', 'created', 'updating', 'updated', 'saved', 'deleting', 'deleted'];

    private const DATABASES = ['native background', 'native foreground', 'sync', 'php', 'php on sqlite'];

    private const SAVED = 'wb_saved_items';

    private const BUFFERED = 'wb_buffered_items';

    /** @var array<string, list<mixed>> what listeners heard, by table */
    private array $heard = [];

    /** @var list<array{Item, Item}> models of the same row, Eloquent's and the buffer's */
    private array $pairs = [];

    /** @var array<string, bool> the keys whose rows are there */
    private array $there = [];

    private string $halts = '';

    /** @return iterable<string, array{string, class-string<Item>}> */
    public static function models(): iterable
    {
        foreach ([...array_keys([...self::drivers()]), 'fake'] as $driver) {
            foreach ([Item::class, BufferedItem::class, SavingItem::class] as $class) {
                yield $driver . ', ' . substr($class, strrpos($class, '\\') + 1) => [$driver, $class];
            }
        }
    }

    protected function tearDown(): void
    {
        Carbon::setTestNow();
        foreach ([Item::class, BufferedItem::class, SavingItem::class] as $class) {
            $class::flushEventListeners();
        }
        parent::tearDown();
    }

    /**
     * @param class-string<Item> $class
     *
     * @dataProvider models
     */
    #[DataProvider('models')]
    public function testARandomSequenceLeavesWhatSaveLeaves(string $driver, string $class): void
    {
        $seed = (int) (getenv('WRITE_BUFFER_TEST_SEED') ?: random_int(1, PHP_INT_MAX >> 33));
        mt_srand($seed);
        Carbon::setTestNow('2024-01-31 10:00:00');
        $updates = 0;
        for ($sequence = 0; $sequence < self::SEQUENCES; $sequence++) {
            $buffer = $this->twins($driver);
            $said = ["WRITE_BUFFER_TEST_SEED={$seed}, sequence {$sequence}:"];
            [$this->pairs, $this->there, $this->heard, $this->halts] = [[], [], [], ''];
            $class::flushEventListeners();
            for ($call = 0; $call < self::CALLS; $call++) {
                $said[] = $this->operation($buffer, $class, $said);
                $this->assertAlike(implode("\n", $said));
            }
            $this->assertTables($buffer, implode("\n", $said));
            $updates += count($this->there);
            $buffer->close();
        }
        self::assertGreaterThan(0, $updates, 'rows are left');
    }

    private function twins(string $driver): Buffer
    {
        $this->driver = $driver === 'fake' ? 'native foreground' : $driver;
        $this->createTables([self::SAVED => self::TABLE, self::BUFFERED => self::TABLE]);
        if ($driver === 'memory') {
            $this->createTable(self::SAVED, self::TABLE);
        }
        $this->app->make('config')->set('database.default', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        if ($driver === 'fake') {
            WriteBuffer::fake();
        }
        $buffer = $this->make(['tables' => [], 'batch_size' => mt_rand(1, 30)]);
        $this->driver = $driver;
        $this->app->make('config')->set('write-buffer.default', 'contract');

        return $buffer;
    }

    /**
     * @param class-string<Item> $class
     * @param list<string>       $said
     */
    private function operation(Buffer $buffer, string $class, array $said): string
    {
        $dice = mt_rand(0, 29);
        if ($dice < 2) {
            $this->assertTables($buffer, implode("\n", $said));

            return 'flush';
        }
        if ($dice < 4) {
            Carbon::setTestNow(Carbon::parse('2024-01-31 10:00:00')->addSeconds(mt_rand(0, 5)));

            return 'time';
        }
        if ($dice < 6) {
            $this->listen($class, mt_rand(0, 2));

            return 'listen';
        }
        if ($dice === 6 && $this->driver !== 'memory') {
            $isCommitted = mt_rand(0, 1) === 1;
            $there = $this->there;
            $database = $this->app->make('db')->connection();
            $database->beginTransaction();
            $words = [];
            for ($calls = mt_rand(1, 3); $calls > 0; $calls--) {
                $words[] = $this->save($buffer, $class);
            }
            $isCommitted ? $database->commit() : $database->rollBack();
            if (!$isCommitted) {
                // A model that was made here has no row, and save() updates none.
                $this->pairs = array_values(array_filter(
                    $this->pairs,
                    static fn (array $pair): bool => isset($there[$pair[0]->id]),
                ));
                $this->there = $there;
            }

            return ($isCommitted ? 'commit ' : 'roll back ') . implode(', ', $words);
        }

        if ($dice < 10 && in_array($this->driver, self::DATABASES, true) && method_exists($class, 'saveBuffered')) {
            $word = $this->changeBuffered($dice < 9);
            if ($word !== null) {
                return $word;
            }
        }

        return $this->save($buffer, $class);
    }

    /** Deletes a row, or adds to a column of it, by the methods that a model has always had. */
    private function changeBuffered(bool $isDeletion): ?string
    {
        $of = array_keys(array_filter(
            $this->pairs,
            fn (array $pair): bool => $pair[0]->exists && isset($this->there[$pair[0]->id]),
        ));
        if ($of === []) {
            return null;
        }
        [$saved, $buffered] = $this->pairs[$of[mt_rand(0, count($of) - 1)]];
        if (!$isDeletion) {
            $extra = mt_rand(0, 1) === 0 ? [] : ['status' => 'counted'];
            $saved->increment('quantity', 2, $extra);
            $buffered->increment('quantity', 2, $extra);

            return "increment {$saved->id}";
        }
        $saved->delete();
        $isLater = mt_rand(0, 1) === 0;
        $isLater ? $buffered->deleteBuffered() : $buffered->delete();
        unset($this->there[$saved->id]);
        // Other copies would update a row that is gone.
        $this->pairs = array_values(array_filter($this->pairs, static fn (array $pair): bool => $pair[0]->id !== $saved->id));

        return ($isLater ? 'delete later ' : 'delete ') . $saved->id;
    }

    /** @param class-string<Item> $class */
    private function listen(string $class, int $what): void
    {
        $class::flushEventListeners();
        $this->halts = '';
        if ($what === 0) {
            return;
        }
        $this->halts = $what === 1 ? '' : ['saving', 'creating', 'updating'][mt_rand(0, 2)];
        foreach (self::EVENTS as $event) {
            $class::{$event}(function (Item $item) use ($event) {
                $this->heard[$item->getTable()][] = [
                    $event, $item->id, $item->exists, $item->wasRecentlyCreated, $item->getDirty(), $item->getChanges(),
                ];

                return $event === $this->halts ? false : null;
            });
        }
    }

    /**
     * Changes some models and saves them, each pair by both ways.
     *
     * @param class-string<Item> $class
     */
    private function save(Buffer $buffer, string $class): string
    {
        $chosen = [];
        for ($count = mt_rand(0, 3) === 0 ? mt_rand(2, 3) : 1; $count > 0; $count--) {
            $key = self::KEYS[mt_rand(0, 3)];
            $of = array_keys(array_filter($this->pairs, static fn (array $pair): bool => $pair[0]->id === $key));
            if ($of === []) {
                $chosen[] = array_push($this->pairs, [
                    (new $class(['id' => $key, 'status' => 'new']))->setTable(self::SAVED),
                    (new $class(['id' => $key, 'status' => 'new']))->setTable(self::BUFFERED),
                ]) - 1;
            } elseif (mt_rand(0, 5) === 0 && isset($this->there[$key])) {
                // An old copy: it was read before others changed the row.
                $chosen[] = array_push($this->pairs, array_map(static fn (Item $item): Item => clone $item, $this->pairs[$of[0]])) - 1;
            } else {
                $chosen[] = $of[mt_rand(0, count($of) - 1)];
            }
        }
        $words = [];
        foreach ($chosen as $at) {
            $changes = $this->changes();
            $words[] = "{$at} {$this->pairs[$at][0]->id} " . json_encode($changes);
            foreach ($this->pairs[$at] as $item) {
                foreach ($changes as $column => $value) {
                    if ($column === 'move') {
                        // Without a setter: only the cast's cache knows.
                        $item->point !== null && $item->point->x = $value;
                    } else {
                        $item->{$column} = $column === 'point' ? new Point(...$value) : $value;
                    }
                }
            }
        }
        foreach ($chosen as $at) {
            $this->pairs[$at][0]->save();
        }
        $words[] = $this->add($buffer, array_map(fn (int $at): Item => $this->pairs[$at][1], $chosen));
        foreach ($chosen as $at) {
            if ($this->pairs[$at][0]->exists) {
                $this->there[$this->pairs[$at][0]->id] = true;
            }
        }

        return implode(' ', $words);
    }

    /** @param list<Item> $items */
    private function add(Buffer $buffer, array $items): string
    {
        $way = mt_rand(0, 5);
        if (count($items) === 1 && $way < 2) {
            if (!method_exists($items[0], 'saveBuffered')) {
                $buffer->add($items[0]);

                return 'alone';
            }
            // A plain save() too, whose row may be buffered or not.
            $isPlain = in_array($this->driver, self::DATABASES, true) && mt_rand(0, 1) === 0;
            $isPlain ? $items[0]->save() : $items[0]->saveBuffered();

            return $isPlain ? 'save()' : 'saveBuffered()';
        }
        match ($way) {
            0, 1 => $buffer->add($items),
            2 => $buffer->add($items[0], array_slice($items, 1)),
            3 => $buffer->put('elsewhere', (static fn (): iterable => yield from $items)()),
            4 => $buffer->group(static fn () => array_map(static fn (Item $item) => $buffer->add($item), $items)),
            5 => $buffer->putAll('elsewhere', $items),
        };

        return "way {$way}";
    }

    /** @return array<string, mixed> */
    private function changes(): array
    {
        $changes = [];
        foreach (
            [
                'status' => ['open', 'filled', 'cancelled', 'new'],
                'quantity' => [1, '2', 3, null],
                'is_open' => [true, false, 1],
                'tags' => [['a' => 1], [1, 'ä'], null],
                'point' => [[1, 2], [3, 4]],
                'move' => [5, 6],
                'due_at' => ['2024-02-01 00:00:00', Carbon::parse('2024-03-01 12:00:00'), null],
                'updated_at' => ['2023-01-01 00:00:00'],
            ] as $column => $values
        ) {
            if (mt_rand(0, $column === 'updated_at' ? 15 : 3) === 0) {
                $changes[$column] = $values[mt_rand(0, count($values) - 1)];
            }
        }

        return $changes;
    }

    private function assertAlike(string $message): void
    {
        foreach ($this->pairs as $at => [$saved, $buffered]) {
            self::assertSame(self::state($saved), self::state($buffered), "model {$at}\n{$message}");
        }
        self::assertSame($this->heard[self::SAVED] ?? [], $this->heard[self::BUFFERED] ?? [], $message);
    }

    /** @return array<string, mixed> */
    private static function state(Model $model): array
    {
        return [
            'exists' => $model->exists,
            'wasRecentlyCreated' => $model->wasRecentlyCreated,
            'dirty' => $model->getDirty(),
            'changes' => $model->getChanges(),
            'original' => $model->getRawOriginal(),
            'attributes' => $model->getAttributes(),
            'connection' => $model->getConnectionName(),
        ] + (method_exists($model, 'getPrevious') ? ['previous' => $model->getPrevious()] : []);
    }

    private function assertTables(Buffer $buffer, string $message): void
    {
        $buffer->flush();
        $expected = $this->rowsByPdo(self::SAVED);
        if ($this->driver === 'fake') {
            $found = [];
            foreach ($buffer->buffered() as $row) {
                $found[$row->values['id']] = self::texts(self::over($found, $row));
            }
            ksort($found);
            $found = array_values($found);
        } else {
            $found = $this->driver === 'memory' ? $this->tableOf(self::BUFFERED, self::COLUMNS) : $this->rowsByPdo(self::BUFFERED);
        }
        self::assertSame($expected, $found, $message);
    }

    /**
     * @param array<string, array<string, mixed>> $rows
     *
     * @return array<string, mixed>
     */
    private static function over(array $rows, Row $row): array
    {
        return array_replace($rows[$row->values['id']] ?? array_fill_keys(self::COLUMNS, null), $row->plainValues());
    }

    /** @return list<array<string, string|null>> */
    private function rowsByPdo(string $table): array
    {
        $pdo = $this->app->make('db')->connection()->getPdo();
        $rows = $pdo->query('SELECT ' . implode(', ', self::COLUMNS) . " FROM {$table} ORDER BY id")->fetchAll(\PDO::FETCH_ASSOC);

        return array_map(self::texts(...), $rows);
    }

    /**
     * @param array<string, mixed> $row
     *
     * @return array<string, string|null>
     */
    private static function texts(array $row): array
    {
        return array_map(static fn (mixed $value): ?string => $value === null ? null : (string) $value, $row);
    }
}
