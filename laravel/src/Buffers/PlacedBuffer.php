<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Buffers;

use Generator;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Support\Enumerable;
use Traversable;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Drivers\PassesOn;
use WriteBuffer\Laravel\Transactions\HoldsRows;
use WriteBuffer\Laravel\Transactions\TellsOfHeldRows;

/**
 * Owns that a row gets into the database that it is meant for.
 *
 * Invariants:
 * - Once the connection's name means another place, this object takes nothing more. What it has
 *   taken it goes on writing to its own place.
 * - A model of another connection is refused.
 */
final class PlacedBuffer implements Buffer, HoldsRows
{
    use PassesOn;
    use TellsOfHeldRows;

    /** @var array<string, true> the tables that rows were given for */
    private array $tables = [];

    /** @var array<string, true> connections that are known to have the same tables */
    private array $same = [];

    public function __construct(
        private readonly string $name,
        private readonly Place $place,
        private readonly Buffer $buffer,
        private readonly string $orderTable = 'orders',
        private readonly string $tradeTable = 'trades',
    ) {
    }

    /**
     * A method that the buffer has beside those of the interface.
     *
     * @param array<mixed> $arguments
     */
    public function __call(string $method, array $arguments): mixed
    {
        return $this->buffer->{$method}(...$arguments);
    }

    public function place(): Place
    {
        return $this->place;
    }

    /** The buffer that takes what is of this place. */
    public function behind(): Buffer
    {
        return $this->buffer;
    }

    /** The buffer that writes the rows. */
    public function inner(): Buffer
    {
        return method_exists($this->buffer, 'inner') ? $this->buffer->inner() : $this->buffer;
    }

    /**
     * The tables that rows were given for.
     *
     * @param bool $forget whether all of them are written
     *
     * @return list<string>
     */
    public function tables(bool $forget): array
    {
        $tables = array_map('strval', array_keys($this->tables));
        if ($forget) {
            $this->tables = [];
        }

        return $tables;
    }

    /**
     * A model that names no connection may be added to each buffer.
     *
     * @throws ConfigException the model belongs to another connection
     */
    public function check(Model $model): void
    {
        $connection = $model->getConnectionName();
        if ($connection === null || $connection === $this->place->name || isset($this->same[$connection])) {
            return;
        }
        // Laravel's name for one side of a read/write split.
        $connection = (string) preg_replace('/::(read|write)$/D', '', $connection);
        if (!$this->place->isSameAs($connection)) {
            throw new ConfigException(
                $model::class . " is of the connection {$connection}, and the buffer {$this->name} writes to"
                . " {$this->place->describe()}: add it to a buffer whose `connection` in config/write-buffer.php is"
                . " {$connection}; a model names its buffer by getBufferName()"
            );
        }
        $this->same[$connection] = true;
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $this->refuseElsewhere();

        return $this->buffer->add(
            $order === null ? null : $this->checked($order, $this->orderTable),
            $trade === null ? null : $this->checked($trade, $this->tradeTable),
        );
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        $this->refuseElsewhere();

        return $this->buffer->put($table, $this->checked($row, $table), $tag);
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $this->refuseElsewhere();

        return $this->buffer->putAll($table, $this->checked($rows, $table), $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        $this->refuseElsewhere();

        $this->tables[$table] = true;

        return $this->buffer->delete($table, $key, $tag);
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $this->refuseElsewhere();

        return $this->buffer->group($rows, $tag);
    }

    public function find(string $table, mixed $key): array|false|null
    {
        $this->refuseElsewhere();

        return $this->buffer->find($table, $key);
    }

    /** The failures of another place would be written to this one: they look the same. */
    public function retry(array $failures): int
    {
        $this->refuseElsewhere();

        return $this->buffer->retry($failures);
    }

    private function refuseElsewhere(): void
    {
        if ($this->place->isCurrent()) {
            return;
        }
        throw new ConfigException(
            "this buffer {$this->name} was made for {$this->place->describe()}, which is another place now. Nothing was"
            . ' taken. An object that outlives a change of tenants must ask for the buffer at each use:'
            . " WriteBuffer::buffer('{$this->name}'), or app(WriteBuffer\\Buffer::class)"
        );
    }

    /** Rows whose models are all of this connection; those of an iterator are seen as they come. */
    private function checked(mixed $rows, string $table): mixed
    {
        if ($rows instanceof Model) {
            $this->check($rows);
            $this->tables[$rows->getTable()] = true;

            return $rows;
        }
        $this->tables[$table] = true;
        if (is_array($rows) || $rows instanceof Enumerable) {
            if (!is_array($rows)) {
                $rows = $rows->all();
            }
            foreach ($rows as $row) {
                if ($row instanceof Model) {
                    $this->check($row);
                }
            }
        } elseif ($rows instanceof Traversable && !method_exists($rows, 'getAttributes')) {
            return $this->asTheyCome($rows);
        }

        return $rows;
    }

    /**
     * @param Traversable<mixed> $rows
     *
     * @return Generator<int, mixed>
     */
    private function asTheyCome(Traversable $rows): Generator
    {
        foreach ($rows as $row) {
            if ($row instanceof Model) {
                $this->check($row);
            }
            yield $row;
        }
    }
}
