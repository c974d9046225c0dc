<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use ArrayIterator;
use DateTimeImmutable;
use DateTimeZone;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Collection;
use Illuminate\Support\Stringable;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Tests\Support\Side;

/** The contract: what is in the tables afterwards. */
final class WritingTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAGroupIsWritten(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->add(
            ['id' => 1, 'user_id' => 7, 'price' => '1.25', 'status' => 'new'],
            [['id' => 10, 'order_id' => 1], ['id' => 11, 'order_id' => 1]],
        );
        $buffer->put('quotes', ['symbol' => 'BTC', 'version' => 1, 'price' => 5]);
        self::assertCount($this->isSync() ? 0 : 4, $buffer);
        self::assertSame($this->isSync() ? 0 : 4, $buffer->flush());

        self::assertCounted($buffer);
        self::assertCount(0, $buffer);
        self::assertSame(4, $buffer->getMetrics()['rows_committed']);
        self::assertSame([['id' => '1', 'price' => '1.25']], $this->tableOf('orders', ['id', 'price']));
        self::assertSame(['10', '11'], array_column($this->tableOf('trades', ['id']), 'id'));
        self::assertSame(0, $buffer->flush());
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsThatTheirGuardTurnsAwayAreCounted(string $driver): void
    {
        $buffer = $this->of($driver);
        $counted = [];
        foreach ([['BTC' => 5, 'ETH' => 1], ['BTC' => 4], ['BTC' => 4, 'ETH' => 2, 'XRP' => 1], ['BTC' => 1, 'ETH' => 1]] as $flush) {
            foreach ($flush as $symbol => $version) {
                $buffer->put('quotes', ['symbol' => $symbol, 'version' => $version, 'price' => $version]);
            }
            $buffer->flush();
            $counted[] = $buffer->getMetrics()['rows_stale'];
        }
        self::assertSame(
            match ($driver) {
                // One row in three was stale, and a row that is changed counts twice.
                'php' => [0, 1, 1, 3],
                'php on sqlite' => [0, 0, 0, 0],
                default => [0, 1, 2, 4],
            },
            $counted,
        );
        self::assertSame(
            [['BTC', '5'], ['ETH', '2'], ['XRP', '1']],
            array_map('array_values', $this->tableOf('quotes', ['symbol', 'version'])),
        );
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testMomentsAreConvertedToTheTimeZone(string $driver): void
    {
        $settings = ['time_zone' => 'Asia/Tokyo', 'tables' => ['ticks' => ['key' => 'at']]];
        $buffer = $this->of($driver, $settings);
        $this->createTables(['ticks' => 'at DATETIME NOT NULL PRIMARY KEY, v INTEGER']);
        $moment = new DateTimeImmutable('2024-07-01 12:00:00', new DateTimeZone('Europe/Berlin'));
        $buffer->put('moments', ['id' => 1, 'happened_at' => $moment]);
        $buffer->put('moments', ['id' => 2, 'happened_at' => \DateTime::createFromImmutable($moment)]);
        $buffer->put('ticks', ['at' => $moment, 'v' => 1]);
        if (!$this->isSync()) {
            $tokyo = $moment->setTimezone(new DateTimeZone('Asia/Tokyo'));
            self::assertNotNull($buffer->find('ticks', $tokyo));
            self::assertNotNull($buffer->find('ticks', ['at' => $moment]));
        }
        $buffer->delete('ticks', $moment);
        $buffer->flush();
        $times = array_column($this->tableOf('moments', ['happened_at']), 'happened_at');
        self::assertSame(['2024-07-01 19:00:00', '2024-07-01 19:00:00'], array_map(
            static fn (string $time): string => substr($time, 0, 19),
            $times,
        ));
        self::assertSame([], $this->tableOf('ticks', ['at']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAKeyIsAnyValue(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->put('quotes', ['symbol' => new Stringable('BTC'), 'version' => 1]);
        $buffer->put('balances', ['user_id' => true, 'asset' => Side::Buy]);
        if ($this->isSync()) {
            self::assertNull($buffer->find('quotes', new Stringable('BTC')));

            return;
        }
        self::assertSame(['symbol' => 'BTC', 'version' => 1], $buffer->find('quotes', new Stringable('BTC')));
        self::assertNotNull($buffer->find('balances', [true, Side::Buy]));
        self::assertNotNull($buffer->find('balances', ['asset' => Side::Buy, 'user_id' => 1]));
        $buffer->delete('quotes', new Stringable('BTC'));
        self::assertFalse($buffer->find('quotes', new Stringable('BTC')));
        foreach ([null, true, 1.5, new \stdClass(), [null], [NAN]] as $key) {
            self::assertThrown(\TypeError::class, static fn () => $buffer->find('quotes', $key));
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testARowWithoutItsNumberedKeyIsInserted(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($driver === 'memory') {
            // No server says what it numbers.
            self::assertThrown(ConfigException::class, static fn () => $buffer->put('orders', ['status' => 'a']));

            return;
        }
        $number = $driver === 'php on sqlite' ? 'INTEGER PRIMARY KEY' : 'INTEGER PRIMARY KEY AUTO_INCREMENT';
        $this->createTables(['tickets' => "id {$number}, word VARCHAR(10) NOT NULL, times INTEGER DEFAULT 0"]);
        foreach (
            [
                ['word' => 'c', 'times' => 1],
                ['word' => 'a', 'times' => 1],
                ['id' => 7, 'word' => 'x', 'times' => 1],
                ['word' => 'b', 'times' => 1],
                ['id' => 7, 'word' => 'y', 'times' => 5],
                ['id' => 1, 'word' => 'd'],
                ['word' => 'c'],
            ] as $row
        ) {
            $buffer->put('tickets', $row);
        }
        $buffer->flush();
        self::assertSame([
            ['id' => '1', 'word' => 'd', 'times' => '1'],
            ['id' => '2', 'word' => 'a', 'times' => '1'],
            ['id' => '7', 'word' => 'y', 'times' => '5'],
            ['id' => '8', 'word' => 'b', 'times' => '1'],
            ['id' => '9', 'word' => 'c', 'times' => '0'],
        ], $this->tableOf('tickets', ['id', 'word', 'times']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTheLaterRowReplacesTheEarlier(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach ([false, true] as $isFlushedBetween) {
            $id = (int) $isFlushedBetween;
            $buffer->add(['id' => $id, 'user_id' => 7, 'price' => 1, 'status' => 'new']);
            if ($isFlushedBetween) {
                $buffer->flush();
            }
            $buffer->add(['id' => (string) $id, 'user_id' => 7, 'price' => 2, 'status' => 'new']);
            $buffer->add(['id' => $id, 'user_id' => 8, 'status' => null]);
        }
        $buffer->flush();

        self::assertSame([
            ['id' => '0', 'user_id' => '8', 'price' => '2', 'status' => null],
            ['id' => '1', 'user_id' => '8', 'price' => '2', 'status' => null],
        ], $this->tableOf('orders', ['id', 'user_id', 'price', 'status']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testARowWithoutARequiredColumnChangesTheWholeOne(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->add(['id' => 1, 'user_id' => 7, 'price' => 1]);
        $buffer->add(['id' => 1, 'status' => 'filled']);
        $buffer->flush();
        $buffer->add(['id' => 1, 'price' => '2.5']);
        $buffer->add(['id' => 2, 'user_id' => 9, 'price' => 3]);
        $buffer->flush();

        self::assertSame([
            ['id' => '1', 'user_id' => '7', 'price' => '2.5', 'status' => 'filled'],
            ['id' => '2', 'user_id' => '9', 'price' => '3', 'status' => null],
        ], $this->tableOf('orders', ['id', 'user_id', 'price', 'status']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testEachColumnHasItsRule(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach ([false, true] as $isFlushedBetween) {
            foreach (
                [
                    ['free' => '1.5', 'first' => 'a', 'lo' => 5, 'hi' => null],
                    ['free' => '0.25', 'first' => 'b', 'lo' => 3, 'hi' => 5],
                    ['free' => -1, 'first' => 'c', 'lo' => null, 'hi' => 7],
                    ['free' => '10', 'first' => 'd', 'lo' => 9, 'hi' => 6],
                ] as $row
            ) {
                $buffer->put('balances', ['user_id' => (int) $isFlushedBetween, 'asset' => 'BTC'] + $row);
                if ($isFlushedBetween) {
                    $buffer->flush();
                }
            }
        }
        $buffer->flush();

        $expected = ['asset' => 'BTC', 'free' => '10.75', 'first' => 'a', 'lo' => '3', 'hi' => '7'];
        self::assertSame(
            [['user_id' => '0'] + $expected, ['user_id' => '1'] + $expected],
            $this->tableOf('balances', ['user_id', 'asset', 'free', 'first', 'lo', 'hi']),
        );
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAnOlderRowNeverReplacesANewerOne(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach (['BTC' => false, 'ETH' => true] as $symbol => $isFlushedBetween) {
            foreach ([[2, 20], [3, 30], [1, 10], [3, 31], [2, 21]] as [$version, $price]) {
                $buffer->put('quotes', ['symbol' => $symbol, 'version' => $version, 'price' => $price]);
                if ($isFlushedBetween) {
                    $buffer->flush();
                }
            }
        }
        $buffer->flush();

        self::assertSame([
            ['symbol' => 'BTC', 'version' => '3', 'price' => '31'],
            ['symbol' => 'ETH', 'version' => '3', 'price' => '31'],
        ], $this->tableOf('quotes', ['symbol', 'version', 'price']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsOfEveryForm(string $driver): void
    {
        $buffer = $this->of($driver, ['models' => 'raw']);
        $model = (new class extends Model {
            protected $table = 'orders';
        })->forceFill(['id' => 2, 'user_id' => 7]);
        $buffer->add((object) ['id' => 1, 'user_id' => 7]);
        $buffer->add($model);
        $model->forceFill(['id' => 99]);
        $buffer->add([['id' => 3, 'user_id' => 7], (object) ['id' => 4, 'user_id' => 7]]);
        $buffer->add(new Collection(['id' => 5, 'user_id' => 7]) instanceof \Traversable
            ? new Collection([['id' => 5, 'user_id' => 7]])
            : []);
        $buffer->add((static function (): iterable {
            yield ['id' => 6, 'user_id' => 7];
            yield 'x' => ['id' => 7, 'user_id' => 7];
        })());
        $buffer->put('orders', new ArrayIterator([['id' => 8, 'user_id' => 7]]));
        $buffer->add([], new ArrayIterator([]));
        $buffer->add(null, null);
        $buffer->put('trades', $model->forceFill(['id' => 9]));
        $buffer->flush();

        self::assertSame(
            ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
            array_column($this->tableOf('orders', ['id']), 'id'),
        );
        self::assertSame([], $this->tableOf('trades', ['id']), "a model's own table wins");
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAModelWhoseRowIsThereGivesWhatHasChanged(string $driver): void
    {
        $buffer = $this->of($driver, ['models' => 'raw']);
        $order = (new class extends Model {
            protected $table = 'orders';
        })->newFromBuilder(['id' => 1, 'user_id' => 7, 'price' => '1', 'status' => 'new']);
        $quote = (new class extends Model {
            protected $table = 'quotes';
            protected $primaryKey = 'symbol';
            protected $keyType = 'string';
            public $incrementing = false;
        })->newFromBuilder(['symbol' => 'BTC', 'version' => 1, 'price' => '1']);
        $write = function (bool $isHeld) use ($buffer, $order, $quote, $driver): void {
            $buffer->put('orders', [$order->getAttributes(), ['id' => 1, 'user_id' => 7, 'price' => 9]]);
            $buffer->put('quotes', $quote->getAttributes());
            $buffer->flush();
            $before = $buffer->getMetrics()['rows_added'];
            $add = function () use ($buffer, $order, $quote, $before): void {
                $buffer->add($order);
                $buffer->put('orders', [$order, $quote]);
                self::assertSame($before, $buffer->getMetrics()['rows_added'], 'nothing has changed');
                $changed = (clone $order)->forceFill(['status' => 'filled']);
                $buffer->add($changed);
                $buffer->put('orders', [(clone $quote)->forceFill(['price' => 3])]);
                // With another key it is another row.
                $buffer->add((clone $order)->forceFill(['id' => 2]));
            };
            $isHeld
                ? $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql')->transaction($add)
                : $add();
            $buffer->flush();
            self::assertSame($before + 3, $buffer->getMetrics()['rows_added']);
            self::assertSame([
                ['id' => '1', 'user_id' => '7', 'price' => '9', 'status' => 'filled'],
                ['id' => '2', 'user_id' => '7', 'price' => '1', 'status' => 'new'],
            ], $this->tableOf('orders', ['id', 'user_id', 'price', 'status']));
            self::assertSame(
                [['symbol' => 'BTC', 'version' => '1', 'price' => '3']],
                $this->tableOf('quotes', ['symbol', 'version', 'price']),
            );
        };
        $write(false);
        $driver === 'memory' || $write(true);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testValuesOfEveryType(string $driver): void
    {
        $buffer = $this->of($driver);
        $moment = new DateTimeImmutable('2024-01-31 23:59:59.999999', new \DateTimeZone('Asia/Tokyo'));
        $buffer->put('moments', [
            ['id' => 1, 'happened_at' => $moment, 'flag' => true, 'rate' => 0.1 + 0.2, 'word' => Side::Buy],
            ['id' => 2, 'happened_at' => null, 'flag' => false, 'rate' => -1e-7, 'word' => new Stringable("it's ä")],
        ]);
        $buffer->flush();

        $moments = $this->tableOf('moments', ['happened_at', 'flag', 'word']);
        self::assertSame([null, '0', "it's ä"], array_values($moments[0]));
        self::assertSame(['1', 'buy'], array_slice(array_values($moments[1]), 1));
        // Cut, not rounded into the next month. In `memory:` columns have no precision.
        self::assertSame('2024-01-31 23:59:59' . ($driver === 'memory' ? '.999999' : ''), $moments[1]['happened_at']);
        if ($driver !== 'memory') {
            $rates = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql')->select(
                'SELECT id FROM moments WHERE rate = 0.30000000000000004e0 OR rate = -1e-7'
            );
            self::assertCount(2, $rates, 'to the last digit');
        }
    }
}
