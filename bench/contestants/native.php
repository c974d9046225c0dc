<?php

/**
 * The extension, as a user calls it: add() of two arrays for each order, flush() at the end. The
 * settings are the task's, and else the defaults; so the trades are inserted, and the transactions
 * are entered in the ledger.
 */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\Task;
use Bench\Unavailable;
use WriteBuffer\ConfigException;

return static function (Task $task): Contestant {
    $lanes = $task->int('lanes', 1);
    try {
        $buffer = new WriteBuffer(
            dsn: Database::dsn($task->bool('tls')),
            batchSize: $task->int('batch'),
            background: $task->bool('background'),
            lanes: $lanes === 1 ? null : $lanes,
            routeBy: $task->bool('route') ? 'symbol' : null,
        );
    } catch (ConfigException $e) {
        if (str_contains($e->getMessage(), 'not available') || ($lanes === 0 && str_contains($e->getMessage(), 'lanes'))) {
            throw new Unavailable($e->getMessage(), 0, $e);
        }

        throw $e;
    }

    return new class ($buffer) implements Contestant {
        public function __construct(public readonly WriteBuffer $buffer)
        {
        }

        public function write(array $pairs): void
        {
            foreach ($pairs as [$order, $trade]) {
                $this->buffer->add($order, $trade);
            }
            $this->buffer->flush();
        }
    };
};
