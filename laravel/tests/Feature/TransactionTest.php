<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Database\Connection;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\RefusedException;

/**
 * With every driver rows follow Laravel's transactions: held, added by the commit, dropped by the
 * rollback.
 */
final class TransactionTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        $buffer = ['background' => false, 'flush_interval_ms' => 3_600_000, 'tables' => ['orders' => ['merge' => ['n' => 'sum']]]];

        return ['default' => 'native', 'buffers' => [
            'native' => ['driver' => 'native'] + $buffer,
            'background' => ['driver' => 'native', 'background' => true] + $buffer,
            'sync' => ['driver' => 'sync'] + $buffer,
            'php' => ['driver' => 'php'] + $buffer,
            'at once' => ['driver' => 'native', 'after_commit' => 'false'] + $buffer,
            'small' => ['driver' => 'native', 'background' => true, 'max_pending_rows' => 2, 'batch_size' => 2,
                'overflow' => 'throw'] + $buffer,
            'small php' => ['driver' => 'php', 'max_pending_rows' => 2, 'batch_size' => 2] + $buffer,
        ]];
    }

    private ?\PDO $judge = null;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT, n INT DEFAULT 0');
    }

    private function database(): Connection
    {
        return $this->app->make('db')->connection();
    }

    /** @return iterable<string, array{string}> */
    public static function drivers(): iterable
    {
        foreach (['native', 'background', 'sync', 'php'] as $name) {
            yield $name => [$name];
        }
    }

    /** @return list<int> */
    private function written(Buffer $buffer): array
    {
        $buffer->flush();

        return array_column($this->rows('orders'), 'id');
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsAreAddedAfterTheCommit(string $name): void
    {
        $buffer = $this->buffer($name);
        $buffer->add(['id' => 1, 'n' => 1]);
        $this->database()->transaction(function () use ($buffer, $name): void {
            $buffer->add(['id' => 2, 'n' => 1]);
            $buffer->put('orders', ['id' => 2, 'n' => 5]);
            self::assertCount($name === 'sync' ? 2 : 3, $buffer);
            self::assertSame(['id' => 2, 'n' => 6], $buffer->find('orders', 2), 'they are found all the same');
            $buffer->add(['id' => 1, 'n' => 2]);
            self::assertSame(['id' => 1, 'n' => $name === 'sync' ? 2 : 3], $buffer->find('orders', 1));
            if ($name !== 'php') {
                self::assertSame($name === 'sync' ? 0 : 1, $buffer->flush(), 'what came before is written, what is held waits');
            }
            $metrics = $buffer->getMetrics();
            self::assertSame(4, $metrics['rows_added']);
            self::assertSame(4, $metrics['rows_committed'] + $metrics['rows_pending']);
        });

        self::assertSame([1, 2], $this->written($buffer));
        self::assertSame([3, 6], array_column($this->rows('orders'), 'n'));
        self::assertCount(0, $buffer);
        self::assertSame(4, $buffer->getMetrics()['rows_committed']);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testAHeldRowIsFoundByTheKeyThatTheBufferWouldTake(string $name): void
    {
        $buffer = $this->buffer($name);
        $this->database()->transaction(static function () use ($buffer): void {
            $buffer->add([['id' => 1, 'n' => 1], ['id' => 2, 'n' => 2]]);
            foreach ([2, '2', [2], ['id' => 2], ['ID' => '2']] as $key) {
                self::assertSame(['id' => 2, 'n' => 2], $buffer->find('orders', $key), (string) json_encode($key));
            }
            self::assertNull($buffer->find('orders', 3));
            try {
                $buffer->find('orders', [2, 2]);
                self::fail('a key with a value too many was taken');
            } catch (\TypeError $e) {
                self::assertStringContainsString('its key has the columns (id)', $e->getMessage());
            }
        });
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testRowsGoWithTheRollback(string $name): void
    {
        $buffer = $this->buffer($name);
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                $buffer->add(['id' => 1]);
                throw new RuntimeException('on purpose');
            });
        } catch (RuntimeException) {
            self::assertCount(0, $buffer);
        }
        $this->database()->beginTransaction();
        $buffer->add(['id' => 2]);
        $this->database()->rollBack();

        self::assertNull($buffer->find('orders', 2));
        self::assertSame([], $this->written($buffer));
        self::assertSame(0, $buffer->getMetrics()['rows_added']);
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testSavepointsTakeTheirRowsWithThem(string $name): void
    {
        $buffer = $this->buffer($name);
        $database = $this->database();
        $database->beginTransaction();
        $buffer->add(['id' => 1]);
        $database->beginTransaction();
        $buffer->add(['id' => 2]);
        $database->beginTransaction();
        $buffer->add(['id' => 3]);
        $database->commit();
        $database->rollBack();
        $buffer->add(['id' => 4]);
        $database->beginTransaction();
        $buffer->add(['id' => 5]);
        $database->commit();
        self::assertCount(3, $buffer);
        $database->commit();
        self::assertSame([1, 4, 5], $this->written($buffer));

        $database->beginTransaction();
        $database->beginTransaction();
        $buffer->add(['id' => 6]);
        $database->commit();
        $database->rollBack();
        self::assertSame([1, 4, 5], $this->written($buffer), 'a committed savepoint goes with the transaction around it');

        $database->beginTransaction();
        $database->beginTransaction();
        $buffer->add(['id' => 7]);
        $database->rollBack(0);
        $buffer->add(['id' => 8]);
        self::assertSame([1, 4, 5, 8], $this->written($buffer));
    }

    public function testARowIsHeldAsItWas(): void
    {
        $model = (new class extends \Illuminate\Database\Eloquent\Model {
            public $timestamps = false;
            protected $table = 'orders';
        })->forceFill(['id' => 1, 'v' => 1]);
        $this->database()->transaction(function () use ($model): void {
            $this->buffer()->add($model);
            $model->v = 2;
        });
        $this->buffer()->flush();

        self::assertSame([['id' => 1, 'v' => 1, 'n' => 0]], $this->rows('orders'));
    }

    public function testATransactionOnAnotherConnectionHoldsNothing(): void
    {
        $this->app->make('db')->connection('sqlite')->transaction(function (): void {
            $this->buffer('sync')->add(['id' => 1]);
            self::assertCount(1, $this->rows('orders'));
        });
    }

    public function testTheSettingTurnsItOff(): void
    {
        $this->database()->beginTransaction();
        $this->buffer('at once')->add(['id' => 1]);
        self::assertInstanceOf(\WriteBuffer::class, $this->buffer('at once')->inner());
        self::assertFalse($this->buffer('at once')->isHolding());
        self::assertTrue($this->buffer('native')->isHolding(), 'by default it is on');
        $this->database()->rollBack();

        self::assertSame([1], $this->written($this->buffer('at once')));
    }

    public function testATestsOwnTransactionHoldsNothing(): void
    {
        // Begins a transaction as RefreshDatabase does: without an event.
        $database = $this->database();
        $events = $database->getEventDispatcher();
        $database->unsetEventDispatcher();
        $database->beginTransaction();
        $database->setEventDispatcher($events);

        $buffer = $this->buffer('php');
        $buffer->add(['id' => 1]);
        $buffer->flush();
        $database->transaction(static function () use ($buffer): void {
            $buffer->add(['id' => 2]);
        });
        try {
            $database->transaction(static function () use ($buffer): void {
                $buffer->add(['id' => 3]);
                throw new RuntimeException('on purpose');
            });
        } catch (RuntimeException) {
            $buffer->flush();
        }

        self::assertSame([1, 2], array_column($this->rows('orders'), 'id'));
        $database->rollBack();
        self::assertSame([], $this->rows('orders'));
    }

    public function testTheDriverPhpNeverWritesIntoAnOpenTransaction(): void
    {
        $buffer = $this->buffer('php');
        $buffer->add(['id' => 1]);
        $this->database()->beginTransaction();
        try {
            $buffer->flush();
            self::fail('it was written');
        } catch (FlushException $e) {
            self::assertStringContainsString('has an open transaction', $e->getMessage());
        }
        $this->database()->rollBack();

        self::assertSame([1], $this->written($buffer), 'the rollback took nothing of what came before');
    }

    public function testACallbackAfterTheCommitComesBehindTheRows(): void
    {
        $this->database()->transaction(function (): void {
            $this->database()->afterCommit(fn () => $this->buffer()->add(['id' => 1, 'v' => 2, 'n' => 10]));
            $this->buffer()->add(['id' => 1, 'v' => 1, 'n' => 1]);
        });
        $this->buffer()->flush();

        self::assertSame([['id' => 1, 'v' => 2, 'n' => 11]], $this->rows('orders'), 'both are there, the held one first');
    }

    public function testWhatTheBufferWillNeverTakeIsAFailure(): void
    {
        try {
            $this->database()->transaction(function (): void {
                $this->database()->table('orders')->insert(['id' => 9]);
                $this->buffer()->add(['v' => 1]);
                $this->buffer()->add(['id' => 2]);
            });
            self::fail('a row without a key was taken');
        } catch (ConfigException $e) {
            self::assertStringContainsString('no key column id', $e->getMessage());
        }
        self::assertSame([2, 9], $this->written($this->buffer()), 'the transaction is committed, and so is the other row');
        $metrics = $this->buffer()->getMetrics();
        self::assertSame([2, 1, 1], [$metrics['rows_added'], $metrics['rows_committed'], $metrics['rows_refused']]);
        $failures = $this->buffer()->takeFailures();
        self::assertSame([['table' => 'orders', 'row' => ['v' => 1]]], $failures[0]['rows']);
        self::assertSame([], $this->buffer()->takeFailures());
    }

    public function testWhatHasNoRoomComesLater(): void
    {
        $buffer = $this->buffer('small');
        $buffer->add(['id' => 1]);
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                $buffer->add([['id' => 2], ['id' => 3]]);
                $buffer->add(['id' => 4]);
            });
            self::fail('there was room');
        } catch (FullException) {
            self::assertSame(4, $buffer->getMetrics()['rows_added']);
        }
        for ($flushes = 0; count($buffer) > 0; $flushes++) {
            self::assertLessThan(10, $flushes, 'they are never added');
            try {
                $buffer->flush();
            } catch (FullException) {
                $buffer->inner()->flush();
            }
        }

        self::assertSame([1, 2, 3, 4], array_column($this->rows('orders'), 'id'));
    }

    /** @return iterable<string, array{string, string}> */
    public static function waysToTheDatabase(): iterable
    {
        foreach (['small', 'small php'] as $buffer) {
            foreach (['flush', 'close', 'end'] as $way) {
                yield "{$buffer}, {$way}" => [$buffer, $way];
            }
        }
    }

    /**
     * @dataProvider waysToTheDatabase
     */
    #[DataProvider('waysToTheDatabase')]
    public function testAFlushWritesAllThatATransactionHeld(string $name, string $way): void
    {
        $buffer = $this->buffer($name);
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                foreach (range(1, 9) as $id) {
                    $buffer->add(['id' => $id, 'v' => $id === 3 ? 'no number' : 1]);
                }
            });
        } catch (FullException | RefusedException) {
            // As overflow says: they wait.
        }
        $failures = [];
        try {
            match ($way) {
                'flush' => $buffer->flush(),
                'close' => $buffer->close(),
                'end' => $this->app->terminate(),
            };
        } catch (RefusedException $e) {
            $failures = $e->getFailures();
        }
        self::assertSame([1, 2, 4, 5, 6, 7, 8, 9], array_column($this->rows('orders'), 'id'));
        self::assertCount(0, $buffer);
        self::assertCount(1, $buffer->takeFailures());
        if ($way !== 'end') {
            self::assertCount($name === 'small' ? 1 : 0, $failures, 'the driver php has thrown it at the commit');
        }
    }

    public function testAWaitIsNotForWhatHasNoRoom(): void
    {
        $buffer = $this->buffer('small');
        $ticket = $buffer->add(['id' => 1]);
        $this->judge()->exec('LOCK TABLES orders WRITE');
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                $buffer->add([['id' => 2], ['id' => 3]]);
            });
            self::fail('there was room');
        } catch (FullException) {
            $this->judge()->exec('UNLOCK TABLES');
        }
        $buffer->waitFor($ticket, 5_000);
        self::assertContains(1, array_column($this->rows('orders'), 'id'));
        $buffer->flush();
        self::assertSame([1, 2, 3], array_column($this->rows('orders'), 'id'));
    }

    private function judge(): \PDO
    {
        return $this->judge ??= new \PDO(
            'mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'),
            'root',
        );
    }

    public function testACommitThatFailedIsARollback(): void
    {
        $database = $this->database();
        $database->beginTransaction();
        $this->buffer()->add(['id' => 1]);
        $id = $database->selectOne('SELECT CONNECTION_ID() AS id')->id;
        (new \PDO('mysql:unix_socket=' . self::setting('DB_SOCKET'), 'root'))->exec("KILL {$id}");
        try {
            $database->rollBack();
            self::fail('the connection lives');
        } catch (\PDOException) {
            self::assertSame(0, $database->transactionLevel());
        }
        $database->reconnect();
        $this->buffer()->add(['id' => 2]);

        self::assertSame([2], $this->written($this->buffer()));
    }
}
