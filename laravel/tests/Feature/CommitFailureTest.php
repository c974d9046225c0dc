<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\Connection;
use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use RuntimeException;
use Throwable;
use WriteBuffer\BlockedException;
use WriteBuffer\ConnectionException;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\Laravel\Tests\Support\TestCase;
use WriteBuffer\Laravel\Transactions\AfterCommitBuffer;
use WriteBuffer\Laravel\Transactions\OpenTransactions;
use WriteBuffer\RefusedException;

/** What a commit meets when it gives its rows to the buffer: nothing of it is lost, or silent. */
final class CommitFailureTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        $buffer = ['background' => false, 'flush_interval_ms' => 3_600_000];
        $eager = ['batch_size' => 1, 'max_retries' => 0] + $buffer;

        return ['default' => 'native', 'buffers' => [
            'native' => ['driver' => 'native'] + $buffer,
            'background' => ['driver' => 'native', 'background' => true] + $buffer,
            'sync' => ['driver' => 'sync', 'max_retries' => 0] + $buffer,
            'php' => ['driver' => 'php'] + $buffer,
            'eager' => ['driver' => 'native'] + $eager,
            'eager php' => ['driver' => 'php'] + $eager,
        ]];
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT, n INT DEFAULT 0');
    }

    private function database(): Connection
    {
        return $this->app->make('db')->connection();
    }

    /** @return iterable<string, array{string, bool}> whether the commit meets the refusal */
    public static function driversThatRefuse(): iterable
    {
        yield 'native at once' => ['eager', true];
        yield 'php at once' => ['eager php', true];
        yield 'sync' => ['sync', true];
        yield 'native at the flush' => ['native', false];
        yield 'background' => ['background', false];
        yield 'php at the flush' => ['php', false];
    }

    /**
     * @dataProvider driversThatRefuse
     */
    #[DataProvider('driversThatRefuse')]
    public function testEachRefusalOfACommitIsToldOnce(string $name, bool $isThrown): void
    {
        $this->database()->statement('ALTER TABLE orders MODIFY v INT NOT NULL');
        $buffer = $this->buffer($name);
        $told = [];
        $hear = static function (Throwable $e) use (&$told): void {
            $refused = $e instanceof RefusedException ? $e : $e->getPrevious();
            self::assertInstanceOf(RefusedException::class, $refused, $e->getMessage());
            foreach ($refused->getFailures() as $failure) {
                $told[] = $failure['rows'][0]['row']['id'];
            }
        };
        $ran = [];
        $isOver = false;
        try {
            $this->database()->transaction(function () use ($buffer, &$ran): void {
                foreach ([1 => null, 2 => 5, 3 => null, 4 => null] as $id => $v) {
                    $buffer->put('orders', ['id' => $id, 'v' => $v]);
                }
                $this->database()->afterCommit(static function () use (&$ran): void {
                    $ran[] = 'callback';
                });
            });
            $isOver = true;
        } catch (RefusedException $e) {
            $hear($e);
        }
        self::assertSame([!$isThrown, ['callback']], [$isOver, $ran], 'a callback of the application runs all the same');
        $this->app->terminate();
        array_map($hear, $this->app->make(ExceptionHandler::class)->reported);
        sort($told);
        self::assertSame([1, 3, 4], $told);
        self::assertSame([2], array_column($this->rows('orders'), 'id'));
        $failures = $buffer->takeFailures();
        self::assertSame([1, 3, 4], array_map(static fn (array $failure): int => $failure['rows'][0]['row']['id'], $failures));
        $metrics = $buffer->getMetrics();
        self::assertSame([4, 1, 3], [$metrics['rows_added'], $metrics['rows_committed'], $metrics['rows_refused']]);
    }

    public function testARefusalIsReportedIfACallbackAfterTheCommitThrows(): void
    {
        $this->database()->statement('ALTER TABLE orders MODIFY v INT NOT NULL');
        try {
            $this->database()->transaction(function (): void {
                $this->buffer('sync')->put('orders', ['id' => 1, 'v' => null]);
                $this->database()->afterCommit(static fn () => throw new RuntimeException('on purpose'));
            });
            self::fail('nothing was thrown');
        } catch (RuntimeException $e) {
            self::assertSame('on purpose', $e->getMessage());
        }
        foreach ([1, 2] as $ignored) {
            $this->app->terminate();
            $reported = $this->app->make(ExceptionHandler::class)->reported;
            self::assertSame([RefusedException::class], array_map('get_class', $reported));
        }
    }

    public function testWhatTheDriverSyncCannotWriteAtTheCommitIsKept(): void
    {
        $buffer = $this->buffer('sync');
        $thrown = null;
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                foreach ([1, 2, 3] as $id) {
                    $buffer->put('wb_later', ['id' => $id]);
                }
                $buffer->add(['id' => 9]);
            });
        } catch (BlockedException $thrown) {
        }
        $reported = $this->app->make(ExceptionHandler::class)->reported;
        foreach ([$thrown, ...$reported] as $e) {
            self::assertInstanceOf(BlockedException::class, $e);
            self::assertStringContainsString('wb_later', $e->getMessage());
        }
        self::assertCount(2, $reported, 'of two other groups');
        self::assertSame([9], array_column($this->rows('orders'), 'id'), 'no group holds up another one');
        $failures = $buffer->takeFailures();
        self::assertSame(['unwritten', 'unwritten', 'unwritten'], array_column($failures, 'status'));
        $this->createTable('wb_later', 'id INT PRIMARY KEY');
        self::assertSame(3, $buffer->retry($failures));
        self::assertSame([1, 2, 3], array_column($this->rows('wb_later'), 'id'));
    }

    public function testWhatWasNotSentMayBeRetried(): void
    {
        $tables = new TableCatalog($this->database(...), ['orders' => ['merge' => ['n' => 'sum']]], 'orders', 'trades');
        $buffer = new AfterCommitBuffer(
            new \SyncWriteBuffer('mysql://nobody@127.0.0.1:1/none', maxRetries: 0),
            $this->app->make(OpenTransactions::class),
            $this->database(...),
            new RowReader(''),
            $tables,
            'orders',
            'trades',
        );
        $this->createTable('wb_plain', 'id INT PRIMARY KEY');
        try {
            $this->database()->transaction(static function () use ($buffer): void {
                $buffer->add(['id' => 1, 'n' => 1]);
                $buffer->put('wb_plain', ['id' => 1]);
            });
            self::fail('there is no server');
        } catch (ConnectionException) {
            self::assertSame(['unwritten', 'unwritten'], array_column($buffer->takeFailures(), 'status'), 'not even a sum doubles');
        }
    }

    /** @return iterable<string, array{string}> */
    public static function driversThatWriteAtTheCommit(): iterable
    {
        foreach (['eager', 'eager php', 'sync'] as $name) {
            yield $name => [$name];
        }
    }

    /**
     * @dataProvider driversThatWriteAtTheCommit
     */
    #[DataProvider('driversThatWriteAtTheCommit')]
    public function testATransactionIsNotRunAgainSinceItsRowsHaveToWait(string $name): void
    {
        foreach (['wb_done', 'wb_after'] as $table) {
            $this->createTable($table, 'id INT AUTO_INCREMENT PRIMARY KEY');
        }
        $judge = new PDO('mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'), 'root');
        $before = $judge->query('SELECT @@GLOBAL.innodb_lock_wait_timeout')->fetchColumn();
        $judge->exec('SET GLOBAL innodb_lock_wait_timeout = 1');
        $this->database()->statement('SET SESSION innodb_lock_wait_timeout = 1');
        $this->buffer($name)->add(['id' => 1, 'v' => 1]);
        $this->buffer($name)->flush();
        $judge->exec("SET GLOBAL innodb_lock_wait_timeout = {$before}");
        $judge->beginTransaction();
        $judge->exec('UPDATE orders SET v = 0 WHERE id = 1');
        $thrown = null;
        try {
            $this->database()->transaction(function () use ($name): void {
                $this->database()->table('wb_done')->insert([[]]);
                $this->buffer($name)->add(['id' => 1, 'v' => 2]);
                $this->database()->afterCommit(fn () => $this->database()->transaction(
                    fn () => $this->database()->table('wb_after')->insert([[]]),
                    3,
                ));
            }, 3);
        } catch (\WriteBuffer\Exception $thrown) {
        }
        $judge->rollBack();
        self::assertNotNull($thrown);
        self::assertStringContainsStringIgnoringCase('lock wait', $thrown->getMessage());
        self::assertCount(1, $this->rows('wb_done'), 'it was committed, and is not run again');
        self::assertCount(1, $this->rows('wb_after'), 'nor is one that a callback has committed');
        $name === 'sync' ? $this->buffer($name)->retry($this->buffer($name)->takeFailures()) : $this->buffer($name)->flush();
        self::assertSame(2, $this->rows('orders')[0]['v']);
    }
}
