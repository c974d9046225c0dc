<?php

declare(strict_types=1);

namespace Bench;

use Closure;
use Illuminate\Container\Container;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Events\Dispatcher;
use WriteBuffer;
use WriteBuffer\Laravel\Models\SavingBuffer;

/**
 * The work whose instructions bench/instructions.json keeps. No figure depends on time: nothing is
 * flushed while rows are added, and each flush() is one transaction.
 *
 * A mark stands before and after each loop of add(). What a thread of the extension does has no
 * marks: some buffers live to the end, and some of them have written more often. The difference of
 * their threads has neither the connection in it, nor what a server is asked once.
 */
final class CountedWork
{
    /** Fewer than a batch takes. */
    public const PAIRS = 2_000;

    /** The loops between marks, in order. The first one adds nothing. */
    public const LOOPS = ['loop', 'arrays', 'journal', 'models', 'saved models'];

    /** How often each of the buffers writes, in order: 1 or 3 times. */
    public const WRITES = [1, 3, 1, 3];

    private const NEVER_MS = 3_600_000;

    private const BATCH_SIZE = 10_000;

    private int $lastId = 0;

    private readonly Rows $rows;

    /** @param string $folder of the journal */
    public function __construct(private readonly string $folder)
    {
        Database::laravel();
        Model::setEventDispatcher(new Dispatcher(new Container()));
        $this->rows = new Rows();
    }

    /** @param Closure(): void $mark */
    public function run(Closure $mark): void
    {
        Schema::create(Database::pdo());
        $writers = array_map([$this, 'write'], self::WRITES);
        foreach (self::LOOPS as $loop) {
            $this->add($loop, $mark);
        }
        // Not before: a thread that ends leaves its number to the next one.
        unset($writers);
    }

    private function write(int $times): WriteBuffer
    {
        $buffer = $this->buffer(null);
        for ($time = 0; $time < $times; $time++) {
            foreach ($this->pairs() as [$order, $trade]) {
                $buffer->add($order, $trade);
            }
            $buffer->flush();
        }

        return $buffer;
    }

    /**
     * Runs a loop twice. Only the second time counts: then the tables are known, and how large a
     * batch is likely to be.
     *
     * @param Closure(): void $mark
     */
    private function add(string $loop, Closure $mark): void
    {
        $buffer = $this->buffer($loop === 'journal' ? $this->folder : null);
        $target = $loop === 'saved models' ? new SavingBuffer($buffer) : $buffer;
        foreach ([static fn () => null, $mark] as $mark) {
            $pairs = $this->pairs();
            if (str_ends_with($loop, 'models')) {
                $pairs = array_map([self::class, 'models'], $pairs);
            }
            $mark();
            if ($loop === 'loop') {
                foreach ($pairs as [$order, $trade]) {
                }
            } else {
                foreach ($pairs as [$order, $trade]) {
                    $target->add($order, $trade);
                }
            }
            $mark();
            $buffer->flush();
        }
    }

    /** @return list<array{array<string, int|string>, array<string, int|string>}> new ones */
    private function pairs(): array
    {
        $pairs = $this->rows->pairs(self::PAIRS, $this->lastId + 1);
        $this->lastId += count($pairs);

        return $pairs;
    }

    private function buffer(?string $journal): WriteBuffer
    {
        return new WriteBuffer(
            dsn: Database::dsn(),
            batchSize: self::BATCH_SIZE,
            flushIntervalMs: self::NEVER_MS,
            background: true,
            orderTable: 'orders',
            tradeTable: 'trades',
            journal: $journal,
            journalSync: $journal === null ? null : 'none',
        );
    }

    /**
     * Models of orders and of trades that are not saved yet.
     *
     * @param array{array<string, int|string>, array<string, int|string>} $pair
     *
     * @return array{Model, Model}
     */
    private static function models(array $pair): array
    {
        $order = new class extends Model {
            public $incrementing = false;

            public $timestamps = false;

            protected $table = 'orders';
        };
        $trade = new class extends Model {
            public $incrementing = false;

            public $timestamps = false;

            protected $table = 'trades';
        };

        return [$order->setRawAttributes($pair[0]), $trade->setRawAttributes($pair[1])];
    }
}
