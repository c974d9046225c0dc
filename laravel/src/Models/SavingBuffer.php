<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Models;

use Closure;
use Fiber;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Collection;
use SyncWriteBuffer;
use Throwable;
use Traversable;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Drivers\PassesOn;
use WriteBuffer\Laravel\Rows\Identity;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\TakesRows;
use WriteBuffer\Laravel\Tables\TableRules;
use WriteBuffer\Laravel\Transactions\AfterCommitBuffer;
use WriteBuffer\Laravel\Transactions\HoldsRows;
use WriteBuffer\Laravel\Transactions\TellsOfHeldRows;
use WriteBuffer\NotTaken;

/**
 * Owns that a buffer takes a model as the model's save() does, later: what has changed, timestamps,
 * events, and the model's state afterwards. All other rows pass as they are.
 *
 * Invariant: a model looks saved if its row was taken, and only then. If a group is not taken, its
 * models are as after a save() whose query has failed; events that were dispatched before stay
 * dispatched. A row that was taken and is dropped by a rollback, or refused later, changes nothing
 * in its model, as after a save() in a transaction that is rolled back.
 */
final class SavingBuffer implements Buffer, HoldsRows
{
    use PassesOn;
    use TellsOfHeldRows;

    /** @var array<class-string<Model>, ModelPlan> */
    private array $plans = [];

    /** @var array<int, list<SavedState>> the models of groups that are open, by fiber */
    private array $open = [];

    private readonly bool $keepsRows;

    /**
     * @param array<string, array<string, mixed>> $rules      of tables, without the prefix
     * @param string|null                         $connection of models that name none; null: the
     *                                                        default one
     * @param (Closure(string): ?Identity)|null   $identities what the server says of a table's key
     */
    public function __construct(
        private readonly Buffer $buffer,
        private readonly array $rules = [],
        private readonly ?string $connection = null,
        private readonly ?Closure $identities = null,
    ) {
        $writer = $this->inner();
        $this->keepsRows = $writer instanceof TakesRows ? $writer->keepsRows() : !$writer instanceof SyncWriteBuffer;
    }

    /**
     * A method of the driver's own, such as an assertion of the fake.
     *
     * @param array<mixed> $arguments
     */
    public function __call(string $method, array $arguments): mixed
    {
        return $this->buffer->{$method}(...$arguments);
    }

    /** The buffer that takes what a model becomes. */
    public function rows(): Buffer
    {
        return $this->buffer;
    }

    /** The inner buffer, which writes the rows. */
    public function inner(): Buffer
    {
        return $this->buffer instanceof AfterCommitBuffer ? $this->buffer->inner() : $this->buffer;
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $models = [self::models($order), self::models($trade)];
        if ($models === [null, null]) {
            return $this->buffer->add($order, $trade);
        }

        return $this->take([$order, $trade], $models, fn (array $rows): int => $this->buffer->add(...$rows));
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        $models = self::models($row);
        $put = fn (array $rows): int => $this->buffer->put($table, $rows[0], $tag);

        return $models === null ? $put([$row]) : $this->take([$row], [$models], $put, $tag);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        if (is_array($rows) && self::models(array_values($rows)) === null) {
            return $this->buffer->putAll($table, $rows, $progress);
        }
        $import = new Import(
            $this,
            function (array $row): array {
                if (!$row[0] instanceof Model || !$row[0]->exists || $row[0]->isDirty()) {
                    return $row;
                }
                // Without a row: its events all the same.
                $this->saveModel($row[0]);

                return [];
            },
            fn (array $row): int => $row === [] ? 0 : $this->putOfImport($table, $row),
            fn (): bool => isset($this->open[self::fiber()]),
            $this->keepsRows,
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        return $this->buffer->delete($table, $key, $tag);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $fiber = self::fiber();
        $outer = $this->open[$fiber] ?? null;
        $this->open[$fiber] = [];
        $before = $this->buffer->lastTicket();
        $thrown = null;
        try {
            return $this->buffer->group($rows, $tag);
        } catch (Throwable $e) {
            $thrown = $e;
            throw $e;
        } finally {
            $states = $this->open[$fiber];
            if ($thrown !== null && !$this->isTaken($thrown, $before)) {
                array_map(static fn (SavedState $state) => $state->restore(), array_reverse($states));
                $states = [];
            }
            if ($outer === null) {
                unset($this->open[$fiber]);
            } else {
                $this->open[$fiber] = [...$outer, ...$states];
            }
        }
    }

    /**
     * Saves a model as its save() does, over this buffer.
     *
     * @param array<string, mixed> $options as of save()
     *
     * @return bool false: an event halted it
     */
    public function saveModel(Model $model, array $options = []): bool
    {
        $put = fn (ModelRow $row): int => $this->buffer->put($row->getTable(), $row);

        return $this->save($model, $put, $options)[0];
    }

    public function find(string $table, mixed $key): array|false|null
    {
        return $this->buffer->find($table, $key);
    }

    /**
     * The rows of an argument, if there may be models among them.
     *
     * @return iterable<mixed>|null null: there are none
     */
    private static function models(mixed $given): ?iterable
    {
        if ($given instanceof Model) {
            return [$given];
        }
        if ($given instanceof Collection) {
            $given = $given->all();
        } elseif ($given instanceof Traversable) {
            // What is an object like a model, and a list too, is one row to every buffer.
            return method_exists($given, 'getAttributes') ? null : $given;
        }
        if (is_array($given) && is_int(array_key_first($given))) {
            foreach ($given as $row) {
                if ($row instanceof Model) {
                    return $given;
                }
            }
        }

        return null;
    }

    /**
     * Takes a group: at once, if all of its models can be saved the short way. Otherwise one row
     * after the other within group(), so that what listeners add stands where it would with save().
     *
     * @param list<mixed>                 $given  the arguments
     * @param list<iterable<mixed>|null>  $models their rows, if there are models among them
     * @param Closure(list<mixed>): int   $add    takes rows as arguments
     */
    private function take(array $given, array $models, Closure $add, ?string $tag = null): int
    {
        $quick = $this->quick($given, $models);
        if ($quick !== null) {
            return $this->takeQuick($quick[1], static fn (): int => $add($quick[0]));
        }
        $one = array_filter($given, static fn (mixed $argument): bool => $argument !== null);
        if (count($one) === 1 && is_array($models[0]) && count($models[0]) === 1) {
            [, $ticket] = $this->save(reset($models[0]), static fn (ModelRow $row): int => $add([$row]));

            return $ticket ?? $add([[]]);
        }
        $before = $this->buffer->lastTicket();
        $this->group(function () use ($given, $models, $add): void {
            foreach ($given as $at => $argument) {
                $addOne = static fn (mixed $row): int => $add([...array_fill(0, $at, null), $row]);
                if ($models[$at] === null) {
                    $addOne($argument);
                }
                foreach ($models[$at] ?? [] as $row) {
                    $row instanceof Model ? $this->save($row, $addOne) : $addOne([$row]);
                }
            }
        }, $tag);
        $after = $this->buffer->lastTicket();

        return $after > $before ? $after : $add([[]]);
    }

    /**
     * @param list<mixed>                $given
     * @param list<iterable<mixed>|null> $models
     *
     * @return array{list<mixed>, list<QuickSave>}|null the arguments with rows in place of models;
     *                                                  null: a model takes a whole save()
     */
    private function quick(array $given, array $models): ?array
    {
        $saves = [];
        foreach ($models as $at => $list) {
            if ($list === null) {
                continue;
            }
            if (!is_array($list)) {
                return null;
            }
            $rows = [];
            foreach ($list as $row) {
                if (!$row instanceof Model) {
                    $rows[] = $row;
                    continue;
                }
                $id = spl_object_id($row);
                if (isset($saves[$id])) {
                    // Nothing has changed since it was read.
                    continue;
                }
                $saves[$id] = QuickSave::of($row, $this->plan($row), $this->keyOf($row));
                if ($saves[$id] === null) {
                    return null;
                }
                if ($saves[$id]->row !== null) {
                    $rows[] = $this->partial($saves[$id]->row, $row);
                }
            }
            $given[$at] = count($rows) === 1 && $given[$at] instanceof Model ? $rows[0] : $rows;
        }

        return [$given, array_values($saves)];
    }

    /**
     * @param list<QuickSave> $saves
     * @param Closure(): int  $take
     */
    private function takeQuick(array $saves, Closure $take): int
    {
        $before = $this->buffer->lastTicket();
        $thrown = null;
        $ticket = 0;
        try {
            $ticket = $take();
        } catch (Throwable $thrown) {
            if (!$this->isTaken($thrown, $before)) {
                throw $thrown;
            }
        }
        $fiber = $this->open === [] ? null : self::fiber();
        $connection = $this->connection;
        foreach ($saves as $save) {
            if ($fiber !== null && isset($this->open[$fiber])) {
                $this->open[$fiber][] = SavedState::of($save->model);
            }
            if ($connection === null && $save->takesDefaultConnection()) {
                // Once for all: an application looks it up in its configuration.
                $connection = Model::getConnectionResolver()?->getDefaultConnection();
            }
            $save->finish($connection);
        }

        return $thrown === null ? $ticket : throw $thrown;
    }

    /**
     * @param Closure(ModelRow): int $take
     * @param array<string, mixed>   $options
     *
     * @return array{bool, ?int} whether it was saved, and its ticket if a row was taken
     */
    private function save(Model $model, Closure $take, array $options = []): array
    {
        $state = SavedState::of($model);
        $ticket = $thrown = null;
        $put = function (ModelRow $row) use ($take, $model, $state, &$ticket, &$thrown): void {
            $before = $this->buffer->lastTicket();
            try {
                $ticket = $take($this->partial($row, $model));
            } catch (Throwable $e) {
                if (!$this->isTaken($e, $before)) {
                    throw $e;
                }
                // The row is taken, so the model is saved, and the caller is told afterwards.
                [$thrown, $ticket] = [$e, $this->buffer->lastTicket()];
            }
            if (isset($this->open[self::fiber()])) {
                $this->open[self::fiber()][] = $state;
            }
        };
        $isNamed = $model->getConnectionName() !== null;
        $connection = $isNamed || $this->connection === null
            ? $model->getConnection()
            : $model::resolveConnection($this->connection);
        $query = SavingQuery::of($model, $put, $connection, $this->keyOf($model));
        $isSaved = WholeSave::run($model, $this->plan($model), $query, $options);
        if (!$isSaved && !$isNamed && $model->getConnectionName() === $this->connection && $this->isElsewhere()) {
            // save() names the connection also if `creating` halts it. Another one than the default
            // would stay with a model that was saved nowhere.
            $model->setConnection(null);
        }

        return $thrown === null ? [$isSaved, $ticket] : throw $thrown;
    }

    /** Whether a model without a connection would be saved elsewhere by its own save(). */
    private function isElsewhere(): bool
    {
        return $this->connection !== null && $this->connection !== Model::getConnectionResolver()?->getDefaultConnection();
    }

    /** @param list<mixed> $row */
    private function putOfImport(string $table, array $row): int
    {
        try {
            return $this->put($table, $row);
        } catch (TypeError $e) {
            $count = 0;
            $words = preg_replace('/^(?:[\w\\\\]+::put\(\): )?Argument #2 \(\$row\)/', Import::PARAMETER, $e->getMessage(), 1, $count);
            throw $count === 0 ? $e : new TypeError((string) $words, 0, $e);
        }
    }

    /** Whether a call took its rows, though it threw. */
    private function isTaken(Throwable $thrown, int $lastTicket): bool
    {
        return $this->keepsRows && $thrown instanceof BufferException && !$thrown instanceof NotTaken
            && $this->buffer->lastTicket() > $lastTicket;
    }

    private function plan(Model $model): ModelPlan
    {
        return $this->plans[$model::class] ??= new ModelPlan($model);
    }

    /**
     * A row that finds its own row in the table. If a model names one column of its key, or none,
     * though the key has several, a buffer that does not know the table yet would take all columns
     * for what has changed. And a row without the column that the server numbers would be a new
     * one.
     *
     * @throws ConfigException the model lacks a column of the key
     */
    private function partial(ModelRow $row, Model $model): ModelRow
    {
        $rules = $this->rules[$row->getTable()] ?? [];
        $isNamed = isset($rules['key']);
        $isAsked = !$isNamed && $this->identities !== null && $this->plan($model)->asksForKeys;
        if (!$row instanceof ChangedRow || !($isNamed || $isAsked) || ($rules['key'] ?? null) === TableRules::KEY_OF_SERVER || ($rules['mode'] ?? null) === TableRules::INSERT) {
            return $row;
        }
        $identity = $isNamed
            ? new Identity(array_values((array) $rules['key']), $rules['guard'] ?? null)
            : ($this->identities)($row->getTable());
        $missing = $identity?->missing($row->getAttributes()) ?? [];
        if ($missing !== []) {
            throw new ConfigException(
                $model::class . ': it has no ' . implode(', ', $missing) . ', by which a buffered row finds its row: load the'
                . " model with the key of {$row->getTable()}"
            );
        }
        $columns = $isAsked ? $identity?->with($row->getAttributes(), $row->getDirty()) : null;

        return $columns === null ? $row : new ModelRow($row->getTable(), $row->getKeyName(), true, $columns);
    }

    /** @return list<string>|null the columns of the key, if they are not the model's one */
    private function keyOf(Model $model): ?array
    {
        $key = $this->rules[$model->getTable()]['key'] ?? null;
        if (is_string($key) || is_array($key)) {
            return $key === TableRules::KEY_OF_SERVER ? null : array_values((array) $key);
        }

        return $this->plan($model)->hasOwnKeys ? [] : null;
    }

    private static function fiber(): int
    {
        $fiber = Fiber::getCurrent();

        return $fiber === null ? 0 : spl_object_id($fiber);
    }
}
