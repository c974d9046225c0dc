<?php

/** Eloquent's save() and create(): each row is a model, a statement and a commit. */

declare(strict_types=1);

use Bench\Contestant;
use Bench\Database;
use Bench\Order;
use Bench\Trade;

return static function (): Contestant {
    Database::laravel()->getPdo();

    return new class () implements Contestant {
        public function write(array $pairs): void
        {
            foreach ($pairs as [$order, $trade]) {
                $model = new Order();
                $model->fill($order)->save();
                Trade::create($trade);
            }
        }
    };
};
