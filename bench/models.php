<?php

/**
 * What it costs that the Laravel package takes a model as its save() does, beside its attributes
 * alone ('models' => 'raw'), and beside Eloquent's own save() into an SQLite in memory.
 *
 *   scripts/php-with-extension -d opcache.enable_cli=1 bench/models.php
 */

declare(strict_types=1);

use Illuminate\Container\Container;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Events\Dispatcher;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Models\SavingBuffer;

require __DIR__ . '/../laravel/tests/bootstrap.php';

const MODELS = 5_000;
const ROUNDS = 9;

$capsule = new Manager();
$capsule->addConnection(['driver' => 'sqlite', 'database' => ':memory:']);
$capsule->setEventDispatcher(new Dispatcher(new Container()));
$capsule->bootEloquent();
$capsule->getConnection()->unprepared('CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id, symbol, side, type, price, '
    . 'quantity, filled_quantity, status, created_at, updated_at)');

$plain = (new class extends Model {
    public $incrementing = false;

    public $timestamps = false;

    protected $table = 'orders';

    protected $guarded = [];
})::class;
$timed = (new class extends Model {
    public $incrementing = false;

    protected $table = 'orders';

    protected $guarded = [];
})::class;
$composite = (new class extends Model {
    public $incrementing = false;

    public $timestamps = false;

    protected $table = 'orders';

    protected $guarded = [];

    protected function setKeysForSaveQuery($query)
    {
        foreach (['user_id', 'id'] as $column) {
            $query->where($column, '=', $this->original[$column] ?? $this->getAttribute($column));
        }

        return $query;
    }
})::class;
$heard = (new class extends Model {
    public $incrementing = false;

    protected $table = 'orders';

    protected $guarded = [];
})::class;
$heard::saved(static fn () => null);

/** This process's CPU time so far, in microseconds: other load changes it little. */
function cpu_us(): float
{
    $usage = getrusage();

    return ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) * 1e6 + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
}

/**
 * The microseconds of a call for each model, in the fastest round.
 *
 * @param class-string<Model>   $class
 * @param Closure(Model): mixed $save
 */
function measure(string $class, bool $exists, Closure $save): float
{
    $best = INF;
    for ($round = 0; $round < ROUNDS; $round++) {
        $models = [];
        for ($id = 1; $id <= MODELS; $id++) {
            $attributes = ['id' => $round * MODELS + $id, 'user_id' => 7, 'symbol' => 'BTC-USDT', 'side' => 'buy', 'type' => 'limit',
                'price' => '64000.00000000', 'quantity' => '0.50000000', 'filled_quantity' => '0.00000000', 'status' => 'open'];
            if ($exists) {
                $attributes += ['created_at' => '2024-01-31 10:00:00', 'updated_at' => '2024-01-31 10:00:00'];
                $models[] = (new $class())->newFromBuilder($attributes)->fill(['status' => 'filled', 'filled_quantity' => '0.5']);
            } else {
                $models[] = new $class($attributes);
            }
        }
        $began = cpu_us();
        foreach ($models as $model) {
            $save($model);
        }
        $best = min($best, (cpu_us() - $began) / MODELS);
    }

    return $best;
}

$make = static fn (): Buffer => new WriteBuffer('memory:', tables: ['orders' => ['key' => 'id']], maxPendingRows: 1_000_000);
echo "microseconds a model           raw     saved      more   Eloquent's save()   saved : save()\n";
foreach ([$plain => 'without timestamps', $timed => 'timestamps', $composite => 'a key of two', $heard => 'somebody listens'] as $class => $name) {
    foreach ([false, true] as $exists) {
        [$raw, $saving] = [$make(), new SavingBuffer($make(), ['orders' => ['key' => 'id']])];
        $times = [
            measure($class, $exists, static fn (Model $model): int => $raw->add($model)),
            measure($class, $exists, static fn (Model $model): int => $saving->add($model)),
            measure($class, $exists, static fn (Model $model): bool => $model->save()),
        ];
        $capsule->getConnection()->unprepared('DELETE FROM orders');
        printf(
            "%-25s %8.2f  %8.2f  %8.2f  %18.2f   %14.2f\n",
            ($exists ? 'update, ' : 'new, ') . $name,
            $times[0],
            $times[1],
            $times[1] - $times[0],
            $times[2],
            $times[1] / $times[2],
        );
    }
}
