<?php

declare(strict_types=1);

namespace Tests\Feature;

use App\Buffers\PhpWriteBuffer;
use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use App\Matching\Trade;
use Illuminate\Database\MySqlConnection;
use LogicException;
use PDOException;
use Tests\Support\DatabaseTestCase;

/** The buffer in plain PHP, on a database. */
final class PhpWriteBufferTest extends DatabaseTestCase
{
    private const AT = '2024-01-15 09:00:00.000000';

    private const NEVER_MS = 3_600_000;

    public function testRowsWaitUntilTheBatchIsFull(): void
    {
        $buffer = new PhpWriteBuffer($this->connection(), batchSize: 3, flushIntervalMs: self::NEVER_MS);
        $buffer->add([self::order(1)->model()]);
        $buffer->add([self::order(2)->model()]);
        $buffer->add([self::order(2)->model()]);
        self::assertFalse($buffer->isFull(), 'rows of one key are one row');
        self::assertSame(0, $this->connection()->table('orders')->count());

        $buffer->add([self::order(3)->model()], [self::trade(1)->model()]);
        self::assertSame(3, $this->connection()->table('orders')->count());
        self::assertSame(1, $this->connection()->table('trades')->count());

        $metrics = $buffer->getMetrics();
        self::assertSame([1, 4, 0], [$metrics['flush_count'], $metrics['total_flushed'], $metrics['rows_pending']]);
    }

    public function testRowsThatWaitedLongEnoughAreFlushedByTheNextCall(): void
    {
        $buffer = new PhpWriteBuffer($this->connection(), flushIntervalMs: 0);
        $buffer->add([self::order(1)->model()]);

        self::assertSame(1, $this->connection()->table('orders')->count());
    }

    public function testTheNewestRowOfAKeyStays(): void
    {
        $buffer = new PhpWriteBuffer($this->connection(), flushIntervalMs: self::NEVER_MS);
        $order = self::order(1);
        $buffer->add([$order->model()]);
        $order->fill(Decimal::parse('1'), self::AT);
        $buffer->add([$order->model()]);
        $order->fill(Decimal::parse('1'), self::AT);
        self::assertSame(1, $buffer->flush());
        self::assertSame('1.000000000000000000', $this->connection()->table('orders')->value('filled_quantity'));

        $buffer->add([$order->model()]);
        $buffer->flush();
        self::assertSame('2.000000000000000000', $this->connection()->table('orders')->value('filled_quantity'));
        self::assertSame(1, $this->connection()->table('orders')->count());
    }

    public function testDestructionFlushes(): void
    {
        $buffer = new PhpWriteBuffer($this->connection(), flushIntervalMs: self::NEVER_MS);
        $buffer->add([self::order(1)->model()]);
        unset($buffer);

        self::assertSame(1, $this->connection()->table('orders')->count());
    }

    public function testADeadlockIsTriedAgain(): void
    {
        $connection = $this->connectionThatDeadlocks(3);
        $buffer = new PhpWriteBuffer($connection, flushIntervalMs: self::NEVER_MS, maxRetries: 3);
        $buffer->add([self::order(1)->model()], [self::trade(1)->model()]);

        self::assertSame(2, $buffer->flush());
        self::assertSame(3, $buffer->getMetrics()['retries']);
        self::assertSame(1, $this->connection()->table('trades')->count());
    }

    public function testAfterTheLastRetryTheRowsStayInTheBuffer(): void
    {
        $connection = $this->connectionThatDeadlocks(2);
        $buffer = new PhpWriteBuffer($connection, flushIntervalMs: self::NEVER_MS, maxRetries: 1);
        $buffer->add([self::order(1)->model()]);

        $code = null;
        try {
            $buffer->flush();
        } catch (PDOException $e) {
            $code = $e->errorInfo[1];
        }
        self::assertSame(1213, $code);
        self::assertSame(1, $buffer->getMetrics()['rows_pending']);
        self::assertSame(0, $this->connection()->table('orders')->count());

        self::assertSame(1, $buffer->flush());
        self::assertSame(1, $this->connection()->table('orders')->count());
    }

    public function testATradeIsWrittenOnce(): void
    {
        $buffer = new PhpWriteBuffer($this->connection(), flushIntervalMs: self::NEVER_MS);
        $buffer->add([], [self::trade(1)->model()]);

        $this->expectException(LogicException::class);
        $buffer->add([], [self::trade(1)->model()]);
    }

    private static function order(int $id): Order
    {
        return new Order(
            $id,
            1,
            'BTC-USDT',
            Side::Buy,
            OrderType::Limit,
            Decimal::parse('100'),
            Decimal::parse('2'),
            self::AT,
        );
    }

    private static function trade(int $id): Trade
    {
        return new Trade($id, 'BTC-USDT', 1, 2, 1, 2, Decimal::parse('100'), Decimal::parse('1'), self::AT);
    }

    /** Lets this many commits fail as if the server had found a deadlock. */
    private function connectionThatDeadlocks(int $times): MySqlConnection
    {
        $real = $this->connection();

        return new class ($times, $real->getPdo(), $real->getDatabaseName()) extends MySqlConnection {
            public function __construct(private int $timesLeft, mixed ...$arguments)
            {
                parent::__construct(...$arguments);
            }

            public function commit(): void
            {
                if ($this->timesLeft-- > 0) {
                    $deadlock = new PDOException('Deadlock found when trying to get lock');
                    $deadlock->errorInfo = ['40001', 1213, 'Deadlock found when trying to get lock'];

                    throw $deadlock;
                }
                parent::commit();
            }
        };
    }
}
