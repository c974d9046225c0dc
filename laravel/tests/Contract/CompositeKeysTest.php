<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Database\Eloquent\Relations\Pivot;
use Illuminate\Support\Carbon;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Tests\Support\Holding;

/** The contract: a model that says by itself which row it is, is saved as by its own save(). */
final class CompositeKeysTest extends ContractTestCase
{
    private const DEFINITION = 'user_id INTEGER NOT NULL, asset VARCHAR(5) NOT NULL, free INTEGER, held INTEGER, '
        . 'created_at DATETIME, updated_at DATETIME, PRIMARY KEY (user_id, asset)';

    private const COLUMNS = ['user_id', 'asset', 'free', 'held', 'created_at', 'updated_at'];

    protected function tearDown(): void
    {
        Carbon::setTestNow();
        Holding::flushEventListeners();
        parent::tearDown();
    }

    /** @return iterable<string, array{string, bool, bool}> */
    public static function ways(): iterable
    {
        foreach (self::drivers() as $driver => [$name]) {
            foreach ([false, true] as $isHeard) {
                // Only a server knows the key that nobody names.
                foreach ($driver === 'memory' ? [true] : [true, false] as $isNamed) {
                    yield $driver . ($isHeard ? ', somebody listens' : '') . ($isNamed ? '' : ', the table knows its key')
                        => [$name, $isHeard, $isNamed];
                }
            }
        }
    }

    private function twins(string $driver, bool $isHeard, bool $isNamed): \WriteBuffer\Buffer
    {
        Carbon::setTestNow('2024-01-31 10:00:00');
        $this->driver = $driver;
        $this->createTables(['wb_holdings' => self::DEFINITION, 'wb_saved_holdings' => self::DEFINITION]);
        if ($driver === 'memory') {
            $this->createTable('wb_saved_holdings', self::DEFINITION);
        }
        $this->app->make('config')->set('database.default', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        if ($isHeard) {
            Holding::registerModelEvent('saved', static fn () => null);
        }

        return $this->make(['tables' => $isNamed ? ['wb_holdings' => ['key' => ['user_id', 'asset']]] : []]);
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testItIsSavedAsByItsOwnSave(string $driver, bool $isHeard, bool $isNamed): void
    {
        $buffer = $this->twins($driver, $isHeard, $isNamed);
        $twins = [];
        foreach ([[1, 'BTC'], [1, 'ETH'], [2, 'BTC']] as [$userId, $asset]) {
            $attributes = ['user_id' => $userId, 'asset' => $asset, 'free' => 1, 'held' => 1];
            $twins[] = [(new Holding($attributes))->setTable('wb_saved_holdings'), new Holding($attributes)];
        }
        $save = function (int ...$of) use ($buffer, &$twins): void {
            array_map(static fn (int $at) => $twins[$at][0]->save(), $of);
            $buffer->add(array_map(static fn (int $at): Holding => $twins[$at][1], $of));
            foreach ($twins as $at => [$saved, $buffered]) {
                self::assertSame(self::state($saved), self::state($buffered), "model {$at}");
            }
        };
        $change = static function (int $at, array $values) use (&$twins): void {
            foreach ($twins[$at] as $model) {
                $model->fill($values);
            }
        };
        $save(0, 1, 2);
        $old = array_map(static fn (Holding $model): Holding => clone $model, $twins[0]);
        Carbon::setTestNow('2024-01-31 11:00:00');
        $change(0, ['free' => 2]);
        $change(2, ['held' => null]);
        $save(0, 2);
        $save(0);
        // It was read before the row was changed, and changes another column.
        $twins[] = $old;
        $change(3, ['held' => 7, 'user_id' => '1']);
        $save(3);
        $buffer->flush();
        $change(1, ['free' => 9, 'asset' => 'ETH']);
        $save(1);
        $buffer->flush();

        $database = $this->app->make('db')->connection();
        $expected = array_map(
            static fn (object $row): array => array_map(static fn ($value) => $value === null ? null : (string) $value, (array) $row),
            $database->select('SELECT ' . implode(', ', self::COLUMNS) . ' FROM wb_saved_holdings ORDER BY user_id, asset'),
        );
        self::assertSame(['2', '7'], [$expected[0]['free'], $expected[0]['held']]);
        self::assertSame($expected, $this->tableOf('wb_holdings', self::COLUMNS));
    }

    /** @dataProvider ways */
    #[DataProvider('ways')]
    public function testAKeyThatWasChangedIsRefused(string $driver, bool $isHeard, bool $isNamed): void
    {
        $buffer = $this->twins($driver, $isHeard, $isNamed);
        $holding = new Holding(['user_id' => 1, 'asset' => 'BTC', 'free' => 1]);
        $buffer->add($holding);
        $holding->asset = 'ETH';
        self::assertThrown(ConfigException::class, static fn () => $buffer->add($holding), 'its key asset was changed');

        $otherwise = new class (['user_id' => 1, 'asset' => 'BTC', 'free' => 1]) extends Holding {
            protected function setKeysForSaveQuery($query)
            {
                return $query->where('user_id', '>=', $this->user_id)->where('asset', $this->asset);
            }
        };
        $buffer->add($otherwise);
        $otherwise->free = 2;
        self::assertThrown(ConfigException::class, static fn () => $buffer->add($otherwise), 'compares by more than =');
        self::assertSame(2, $buffer->getMetrics()['rows_added']);
    }

    /** A pivot says by two columns which row it is, and need not have the table's own key. */
    public function testAPivotIsSavedIfItHasTheKeyOfItsTable(): void
    {
        $key = 'PRIMARY KEY (user_id, asset)';
        foreach (['native background', 'native foreground', 'sync', 'php', 'php on sqlite'] as $driver) {
            foreach ([$key, 'id INTEGER NOT NULL ' . ($driver === 'php on sqlite' ? '' : 'AUTO_INCREMENT ') . 'PRIMARY KEY'] as $definition) {
                $this->twins($driver, false, false);
                $columns = 'user_id INTEGER NOT NULL, asset VARCHAR(5) NOT NULL, level INTEGER';
                $this->createTables(['wb_pivots' => $definition === $key ? "{$columns}, {$key}" : "{$definition}, {$columns}"]);
                $buffer = $this->make(['tables' => []]);
                $database = $this->app->make('db')->connection();
                $database->table('wb_pivots')->insert(['user_id' => 1, 'asset' => 'BTC', 'level' => 1]);
                $attributes = ['user_id' => 1, 'asset' => 'BTC', 'level' => 1];
                $pivot = Pivot::fromRawAttributes(new Holding(), $attributes, 'wb_pivots', true)->setPivotKeys('user_id', 'asset');
                $pivot->level = 2;
                if ($definition === $key) {
                    $buffer->add($pivot);
                } else {
                    // As a new row it would be a second one.
                    self::assertThrown(ConfigException::class, static fn () => $buffer->add($pivot), 'it has no id, by which');
                    $pivot = Pivot::fromRawAttributes(new Holding(), ['id' => 1] + $attributes, 'wb_pivots', true)
                        ->setPivotKeys('user_id', 'asset');
                    $pivot->level = 2;
                    $buffer->add($pivot);
                }
                $buffer->flush();
                self::assertSame(
                    [['user_id' => '1', 'asset' => 'BTC', 'level' => '2']],
                    $this->tableOf('wb_pivots', ['user_id', 'asset', 'level']),
                    "{$driver}, {$definition}",
                );
            }
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAModelThatWasLoadedWithoutTheKeyThatTheRulesNameIsRefused(string $driver): void
    {
        $buffer = $this->twins($driver, false, true);
        $part = (new class extends Holding {
            protected function setKeysForSaveQuery($query)
            {
                return $query->where('user_id', $this->user_id);
            }
        })->newFromBuilder(['user_id' => 1, 'free' => 1]);
        $part->free = 2;
        self::assertThrown(ConfigException::class, static fn () => $buffer->add($part), 'it has no asset, by which');
        self::assertSame(0, $buffer->getMetrics()['rows_added']);
    }

    /** @return array<string, mixed> */
    private static function state(Holding $model): array
    {
        return [
            $model->exists, $model->wasRecentlyCreated, $model->getDirty(), $model->getChanges(), $model->getRawOriginal(),
            $model->getAttributes(), $model->getConnectionName(),
        ];
    }
}
