<?php

/** The exchange's pure-PHP buffer, with light row objects and Laravel's connection. */

declare(strict_types=1);

use App\Buffers\PhpWriteBuffer;
use Bench\Contestant;
use Bench\Database;
use Bench\PlainRow;
use Bench\Task;

return static function (Task $task): Contestant {
    $connection = Database::laravel();
    $connection->getPdo();

    return new class (new PhpWriteBuffer($connection, $task->int('batch'))) implements Contestant {
        public function __construct(private readonly PhpWriteBuffer $buffer)
        {
        }

        public function write(array $pairs): void
        {
            foreach ($pairs as [$order, $trade]) {
                $this->buffer->add([new PlainRow('orders', $order)], [new PlainRow('trades', $trade)]);
            }
            $this->buffer->flush();
        }
    };
};
