<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use Illuminate\Database\Eloquent\Model;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;

/** The contract: what delete() leaves in the tables. */
final class DeletingTest extends ContractTestCase
{
    private const FAMILY = [
        'parents' => 'id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(10)',
        'children' => 'id INTEGER NOT NULL PRIMARY KEY, parent_id INTEGER, '
            . 'CONSTRAINT wb_child FOREIGN KEY (parent_id) REFERENCES parents (id)',
    ];

    private function ofFamily(string $driver): Buffer
    {
        $this->driver = $driver;
        $this->createTables(self::FAMILY);

        return $this->make([]);
    }

    private function model(): Model
    {
        return (new class extends Model {
            protected $table = 'orders';
        })->forceFill(['id' => 1]);
    }

    private static function addOrders(Buffer $buffer, int ...$ids): void
    {
        foreach ($ids as $id) {
            $buffer->add(['id' => $id, 'user_id' => 7, 'price' => $id]);
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testARowIsDeletedByItsKey(string $driver): void
    {
        $buffer = $this->of($driver);
        self::addOrders($buffer, 1, 2, 3, 4, 5);
        foreach ([1, 2, 3, 4] as $user) {
            $buffer->put('balances', ['user_id' => $user, 'asset' => 'BTC', 'free' => 1]);
        }
        $buffer->put('quotes', [['symbol' => 'BTC', 'version' => 1], ['symbol' => 'ETH', 'version' => 1]]);
        $buffer->flush();

        $buffer->delete('orders', 1);
        $buffer->delete('orders', '2');
        $buffer->delete('orders', [3]);
        $buffer->delete('orders', ['ID' => 4]);
        $buffer->delete('orders', 99);
        $buffer->delete('balances', [1, 'BTC']);
        $buffer->delete('balances', ['asset' => 'BTC', 'user_id' => 2]);
        $buffer->delete('balances', [3, 'ETH']);
        $buffer->delete('quotes', 'ETH');
        self::assertCount($this->isSync() ? 0 : 9, $buffer);
        self::assertSame($this->isSync() ? 0 : 9, $buffer->flush(), 'deletions count as rows');

        self::assertCounted($buffer);
        self::assertSame([['id' => '5']], $this->tableOf('orders', ['id']));
        self::assertSame(['3', '4'], array_column($this->tableOf('balances', ['user_id']), 'user_id'));
        self::assertSame([['symbol' => 'BTC']], $this->tableOf('quotes', ['symbol']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testDeletionsKeepTheirPlaceAmongTheRowsOfTheirKey(string $driver): void
    {
        $buffer = $this->of($driver);
        $balance = ['user_id' => 1, 'asset' => 'BTC'];
        self::addOrders($buffer, 1, 2, 3);
        $buffer->put('balances', $balance + ['free' => 5, 'first' => 'old', 'lo' => 1]);
        foreach ([false, true] as $isFlushed) {
            $isFlushed && $buffer->flush();
            $buffer->delete('orders', 1);
            $buffer->delete('orders', 2);
            // From nothing: the old price is gone.
            $buffer->add(['id' => 2, 'user_id' => 8]);
            $buffer->add(['id' => 3, 'user_id' => 9]);
            $buffer->delete('orders', 3);
            $buffer->delete('balances', [1, 'BTC']);
            $buffer->put('balances', $balance + ['free' => 2, 'first' => 'new', 'lo' => 4]);
            $buffer->put('balances', $balance + ['free' => 1, 'first' => 'newer', 'lo' => 3]);
            $buffer->flush();

            self::assertSame(
                [['id' => '2', 'user_id' => '8', 'price' => null]],
                $this->tableOf('orders', ['id', 'user_id', 'price']),
            );
            self::assertSame(
                [['free' => '3', 'first' => 'new', 'lo' => '3']],
                $this->tableOf('balances', ['free', 'first', 'lo']),
            );
            self::addOrders($buffer, 1, 2, 3);
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAnOlderDeletionLeavesANewerRow(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach ([false, true] as $isFlushed) {
            foreach (['A' => 1, 'B' => 2, 'C' => 3, 'D' => 3] as $symbol => $version) {
                $buffer->put('quotes', ['symbol' => $symbol, 'version' => $version, 'price' => 1]);
            }
            $isFlushed && $buffer->flush();
            $buffer->delete('quotes', ['symbol' => 'A', 'version' => 2]);
            $buffer->delete('quotes', ['SYMBOL' => 'B', 'VERSION' => '2']);
            $buffer->delete('quotes', ['symbol' => 'C', 'version' => 2]);
            // Without a guard it deletes whatever is there.
            $buffer->delete('quotes', 'D');
            // Older than what it deletes, and there is nothing to be older than afterwards.
            $buffer->put('quotes', ['symbol' => 'A', 'version' => 1, 'price' => 9]);
            $buffer->flush();

            self::assertSame(
                [['symbol' => 'A', 'version' => '1', 'price' => '9'], ['symbol' => 'C', 'version' => '3', 'price' => '1']],
                $this->tableOf('quotes', ['symbol', 'version', 'price']),
            );
            $buffer->delete('quotes', 'A');
            $buffer->delete('quotes', 'C');
            $buffer->flush();
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testATextIsNotDeletedForANumber(string $driver): void
    {
        $buffer = $this->of($driver);
        $buffer->put('quotes', [['symbol' => '1x', 'version' => 1], ['symbol' => '1', 'version' => 1]]);
        $buffer->flush();
        $buffer->delete('quotes', 1);
        $buffer->flush();

        self::assertSame([['symbol' => '1x']], $this->tableOf('quotes', ['symbol']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testFindKnowsWhatWillBeDeleted(string $driver): void
    {
        $buffer = $this->of($driver);
        if ($this->isSync()) {
            $buffer->delete('orders', 1);
            self::assertNull($buffer->find('orders', 1));

            return;
        }
        $buffer->delete('orders', 1);
        self::assertFalse($buffer->find('orders', 1));
        self::assertNull($buffer->find('orders', 2));
        $buffer->add(['id' => 1, 'user_id' => 7, 'price' => 1]);
        self::assertSame(['id' => 1, 'user_id' => 7, 'price' => 1], $buffer->find('orders', 1));
        $buffer->delete('orders', '1');
        $buffer->add(['id' => 1, 'user_id' => 8]);
        self::assertSame(['id' => 1, 'user_id' => 8], $buffer->find('orders', 1));
        $buffer->put('quotes', ['symbol' => 'A', 'version' => 3, 'price' => 1]);
        $buffer->delete('quotes', ['symbol' => 'A', 'version' => 2]);
        self::assertSame(['symbol' => 'A', 'version' => 3, 'price' => 1], $buffer->find('quotes', 'A'));
        $buffer->delete('quotes', ['symbol' => 'A', 'version' => 3]);
        self::assertFalse($buffer->find('quotes', 'A'));
        $buffer->flush();
        self::assertNull($buffer->find('quotes', 'A'));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testWhatCannotBeDeletedLeavesTheBufferAsItWas(string $driver): void
    {
        $buffer = $this->of($driver);
        foreach ([null, 1.5, true, new \stdClass(), [], [[1]], ['id' => 1, 2], $this->model()] as $key) {
            self::assertThrown(TypeError::class, static fn () => $buffer->delete('orders', $key));
        }
        foreach (
            [
                [ConfigException::class, static fn () => $buffer->delete('trades', 1)],
                // In the background the thread reads a table's schema, so delete() may not know its
                // key yet.
                ...$driver === 'native background' ? [] : [
                    [ConfigException::class, static fn () => $buffer->delete('balances', 1)],
                    [ConfigException::class, static fn () => $buffer->delete('balances', ['user_id' => 1, 'price' => 2])],
                    [ConfigException::class, static fn () => $buffer->delete('balances', ['user_id' => 1, 'asset' => null])],
                    [ConfigException::class, static fn () => $buffer->delete('quotes', ['symbol' => 'A', 'price' => 2])],
                    [ConfigException::class, static fn () => $buffer->delete('quotes', ['symbol' => 'A', 'version' => null])],
                    [ConfigException::class, static fn () => $buffer->delete('quotes', ['version' => 1])],
                ],
            ] as $at => [$class, $call]
        ) {
            self::assertThrown($class, $call);
            self::assertCount(0, $buffer, "call {$at}");
        }
        self::assertSame(0, $buffer->getMetrics()['rows_added']);
        $buffer->close();
        self::assertThrown(ClosedException::class, static fn () => $buffer->delete('orders', 1));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testChildrenAreDeletedBeforeTheirParents(string $driver): void
    {
        $buffer = $this->ofFamily($driver);
        $family = static function () use ($buffer): void {
            $buffer->group(static function () use ($buffer): void {
                $buffer->put('parents', [['id' => 1, 'name' => 'a'], ['id' => 2, 'name' => 'b']]);
                $buffer->put('children', [['id' => 10, 'parent_id' => 1], ['id' => 11, 'parent_id' => 1]]);
            });
        };
        foreach (
            [
                static function () use ($buffer): void {
                    $buffer->delete('children', 11);
                    $buffer->delete('children', 10);
                    $buffer->delete('parents', 1);
                },
                // A row that moves to another parent frees the first one.
                static function () use ($buffer): void {
                    $buffer->delete('children', 11);
                    $buffer->put('children', ['id' => 10, 'parent_id' => 2]);
                    $buffer->delete('parents', 1);
                    $buffer->put('children', ['id' => 10, 'parent_id' => null]);
                    $buffer->delete('children', 10);
                },
            ] as $at => $rows
        ) {
            foreach ([false, true] as $isFlushed) {
                $family();
                $isFlushed && $buffer->flush();
                $buffer->group($rows);
                $buffer->flush();
                self::assertSame([['id' => '2']], $this->tableOf('parents', ['id']), "case {$at}");
                self::assertSame([], $this->tableOf('children', ['id']), "case {$at}");
            }
        }
        // In another order it would be refused row by row, so it is refused here.
        $family();
        $buffer->flush();
        $parentsFirst = static function () use ($buffer): void {
            $buffer->delete('parents', 1);
            $buffer->delete('children', 10);
            $buffer->delete('children', 11);
        };
        if ($driver !== 'memory') {
            $this->refusedBy($buffer, [static fn () => $buffer->group($parentsFirst)]);
            $buffer->takeFailures();
        }
        // The family, made anew in one group.
        $family();
        $buffer->group(static function () use ($buffer): void {
            $buffer->delete('children', 10);
            $buffer->delete('children', 11);
            $buffer->delete('parents', 1);
            $buffer->put('parents', ['id' => 1]);
            $buffer->put('children', ['id' => 10, 'parent_id' => 1]);
        });
        $buffer->flush();
        self::assertSame(
            [['id' => '1', 'name' => null], ['id' => '2', 'name' => 'b']],
            $this->tableOf('parents', ['id', 'name']),
        );
        self::assertSame([['id' => '10', 'parent_id' => '1']], $this->tableOf('children', ['id', 'parent_id']));
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testADeletionThatIsRefusedIsGivenUpAndCanBeRetried(string $driver): void
    {
        if ($driver === 'memory') {
            self::assertSame('memory', $driver, 'memory: has no foreign keys');

            return;
        }
        $buffer = $this->ofFamily($driver);
        $buffer->put('parents', [['id' => 1], ['id' => 2]]);
        $buffer->put('children', ['id' => 10, 'parent_id' => 1]);
        $buffer->flush();
        $thrown = $this->refusedBy($buffer, [
            static fn () => $buffer->delete('parents', 1),
            static fn () => $buffer->delete('parents', 2),
        ]);
        self::assertSame($driver === 'php on sqlite' ? 19 : 1451, $thrown->getCode());
        self::assertSame([['id' => '1']], $this->tableOf('parents', ['id']));
        self::assertCounted($buffer);
        if ($this->isSync()) {
            return;
        }
        $failures = $buffer->takeFailures();
        self::assertSame([['table' => 'parents', 'delete' => ['id' => 1]]], $failures[0]['rows']);
        $buffer->delete('children', 10);
        self::assertSame(1, $buffer->retry(json_decode((string) json_encode($failures), true)));
        self::assertSame(2, $buffer->flush());
        self::assertSame([], $this->tableOf('parents', ['id']));
        self::assertCounted($buffer);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testADeadLetterFileHasDeletions(string $driver): void
    {
        if (in_array($driver, ['memory', 'sync'], true)) {
            self::assertNotSame('php', $driver, 'nothing is refused here, or nothing is kept');

            return;
        }
        $file = sys_get_temp_dir() . '/wb_laravel_' . bin2hex(random_bytes(6)) . '.jsonl';
        try {
            $buffer = $this->of($driver, ['dead_letter_file' => $file]);
            $this->createTables(self::FAMILY);
            $buffer->put('parents', ['id' => 1]);
            $buffer->put('children', ['id' => 10, 'parent_id' => 1]);
            $buffer->flush();
            $this->refusedBy($buffer, [static fn () => $buffer->group(static function () use ($buffer): void {
                $buffer->delete('parents', '1');
                $buffer->delete('quotes', ['symbol' => "\xff", 'version' => 2]);
            })]);
            $buffer->takeFailures();
            $lines = array_map(static fn (string $line): mixed => json_decode($line, true), file($file) ?: []);
            self::assertCount(1, $lines);
            self::assertSame([
                ['table' => 'parents', 'delete' => ['id' => '1']],
                ['table' => 'quotes', 'delete' => ['symbol' => ['base64' => '/w=='], 'version' => 2]],
            ], $lines[0]['rows']);
            $lines[0]['rows'][1]['delete']['symbol'] = 'none';
            $buffer->delete('children', 10);
            self::assertSame(1, $buffer->retry($lines));
            $buffer->flush();
            self::assertSame([], $this->tableOf('parents', ['id']));
        } finally {
            @unlink($file);
        }
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testDeletionsFollowTransactions(string $driver): void
    {
        $buffer = $this->of($driver);
        self::addOrders($buffer, 1, 2, 3);
        $buffer->flush();
        if ($driver === 'memory') {
            // It has no connection whose transactions it could follow.
            self::assertCount(3, $this->tableOf('orders', ['id']));

            return;
        }
        $database = $this->app->make('db')->connection($driver === 'php on sqlite' ? 'sqlite' : 'mysql');
        try {
            $database->transaction(function () use ($buffer): void {
                $buffer->delete('orders', 1);
                self::assertFalse($buffer->find('orders', 1));
                self::assertCount(1, $buffer);
                throw new RuntimeException('on purpose');
            });
        } catch (RuntimeException) {
            self::assertNull($buffer->find('orders', 1));
        }
        $database->transaction(function () use ($buffer): void {
            $buffer->group(static function () use ($buffer): void {
                $buffer->delete('orders', 2);
                $buffer->add(['id' => 4, 'user_id' => 7]);
                $buffer->delete('orders', 3);
                $buffer->add(['id' => 3, 'user_id' => 8]);
            });
            self::assertFalse($buffer->find('orders', 2));
        });
        $buffer->flush();

        self::assertSame(
            [['id' => '1', 'price' => '1'], ['id' => '3', 'price' => null], ['id' => '4', 'price' => null]],
            $this->tableOf('orders', ['id', 'price']),
        );
        self::assertCounted($buffer);
    }
}
