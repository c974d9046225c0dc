<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use BackedEnum;
use Closure;
use DateTimeImmutable;
use DateTimeInterface;
use DateTimeZone;
use Exception;
use GMP;
use ReflectionProperty;
use stdClass;
use Stringable;
use Traversable;
use TypeError;
use UnitEnum;
use WriteBuffer\ConfigException;

/**
 * Owns the conversion of the arguments of add(), put(), delete() and retry() into rows, by the
 * extension's rules. A row is an associative array, a stdClass, a model (an object with its
 * methods) or an object with toArray(). A list of rows is an array whose first key is a number, or
 * a Traversable.
 *
 * Invariant: a table gets the connection's prefix here, and nowhere else.
 */
final class RowReader
{
    private const KEY = 'Argument #2 ($key)';

    /**
     * @param (Closure(string, ?string): ?Identity)|null $identities what says which row of a table
     *        a model means: by the server's name of the table, and the key that the model names.
     *        null: that key
     */
    public function __construct(
        private readonly string $prefix = '',
        private readonly ?Closure $identities = null,
        private readonly ?DateTimeZone $zone = null,
    ) {
    }

    /** @param Closure(string, ?string): ?Identity $identities */
    public function withIdentities(Closure $identities): self
    {
        return new self($this->prefix, $identities, $this->zone);
    }

    /** @throws ConfigException PHP knows no such zone */
    public function withTimeZone(?string $zone): self
    {
        try {
            return new self($this->prefix, $this->identities, $zone === null ? null : new DateTimeZone($zone));
        } catch (Exception $e) {
            throw new ConfigException("timeZone must be a time zone of PHP's, not {$zone}", 0, $e);
        }
    }

    /** A key with its moments in the reader's zone. */
    public function key(mixed $key): mixed
    {
        if (is_array($key)) {
            return array_map($this->key(...), $key);
        }

        return $key instanceof DateTimeInterface ? $this->moment($key) : $key;
    }

    private function moment(DateTimeInterface $moment): DateTimeImmutable
    {
        $moment = DateTimeImmutable::createFromInterface($moment);

        return $this->zone === null ? $moment : $moment->setTimezone($this->zone);
    }

    /**
     * The server's name of a table. In `database.table` the prefix goes after the point, as in
     * Laravel.
     */
    public function table(string $name): string
    {
        $point = strrpos($name, '.');

        return $point === false
            ? $this->prefix . $name
            : substr($name, 0, $point + 1) . $this->prefix . substr($name, $point + 1);
    }

    /**
     * @param string $parameter for messages: `Argument #1 ($order)`
     *
     * @return list<Row>
     *
     * @throws TypeError a row or a value has a wrong type
     */
    public function read(mixed $given, string $table, string $parameter, bool $mayBeNull): array
    {
        if ($given === null && $mayBeNull) {
            return [];
        }
        if (!is_array($given) && !is_object($given)) {
            $expected = $mayBeNull ? 'null, a row or a list of rows' : 'a row or a list of rows';
            throw new TypeError("{$parameter} must be {$expected}, " . get_debug_type($given) . ' given');
        }
        if ($given instanceof Traversable && !self::isModel($given)) {
            return $this->readList($given, $table, $parameter);
        }
        $row = is_object($given) ? $this->readObject($given, $table, $parameter) : $given;
        if ($row === null) {
            return [];
        }
        if ($row instanceof Row) {
            return [$row];
        }

        return self::isList($row)
            ? $this->readList($row, $table, $parameter)
            : [$this->make($row, $this->table($table), null, $parameter)];
    }

    /**
     * Reads the key of a deletion: as for find(), or an array that also has the guard's column.
     *
     * @throws TypeError a key that can be none
     */
    public function deletion(string $table, mixed $key, string $parameter = self::KEY): Row
    {
        if ($key instanceof Row && $key->isDeletion) {
            return $key;
        }
        $given = match (true) {
            $key === [] => 'an empty array',
            is_array($key) && !array_is_list($key) && array_filter(array_keys($key), 'is_int') !== []
                => 'an array that mixes names and numbers',
            $key === null || is_bool($key) || is_float($key) => get_debug_type($key),
            is_object($key) && self::isModel($key) => 'the model ' . $key::class,
            default => null,
        };
        if ($given !== null) {
            throw new TypeError("{$parameter} must be an int or a string, or an array of the key's columns, and the guard"
                . " if the row is to stay when it is newer, {$given} given");
        }
        $name = $this->table($table);
        $values = [];
        foreach (is_array($key) ? $key : [$key] as $column => $value) {
            $values[$column] = $this->value($value, $name, (string) $column, $parameter);
        }

        return new Row($name, $values, null, true);
    }

    /**
     * @param iterable<mixed> $rows
     *
     * @return list<Row>
     */
    private function readList(iterable $rows, string $table, string $parameter): array
    {
        $read = [];
        foreach ($rows as $row) {
            if ($row instanceof Traversable && !self::isModel($row)) {
                throw new TypeError("{$parameter} must be a list of rows: an element is the list " . $row::class);
            }
            if (is_object($row)) {
                $row = $this->readObject($row, $table, $parameter);
                if ($row === null) {
                    continue;
                }
            }
            if ($row instanceof Row) {
                $read[] = $row;
                continue;
            }
            if (!is_array($row)) {
                throw new TypeError("{$parameter} must be a list of rows: an element is " . get_debug_type($row)
                    . ', which is neither an array nor an object');
            }
            if (self::isList($row)) {
                throw new TypeError(
                    "{$parameter} must be a list of rows, and a row an associative array: an element is a list"
                );
            }
            $read[] = $this->make($row, $this->table($table), null, $parameter);
        }

        return $read;
    }

    /** @return Row|array<mixed>|null null: a model of which nothing has changed */
    private function readObject(object $object, string $table, string $parameter): Row|array|null
    {
        if ($object instanceof Row) {
            return $object;
        }
        if (self::isModel($object)) {
            $table = $this->table(method_exists($object, 'getTable') ? $object->getTable() : $table);
            $key = method_exists($object, 'getKeyName') ? $object->getKeyName() : null;
            $key = is_string($key) && $key !== '' ? $key : null;
            if (!self::isStored($object)) {
                return $this->make($object->getAttributes(), $table, $key, $parameter);
            }
            if (!self::saysWhatChanged($object)) {
                return $this->make($object->getAttributes(), $table, $key, $parameter, true);
            }
            [$values, $isUpdate] = self::changes($object, $this->identities === null
                ? Identity::ofKey($key)
                : ($this->identities)($table, $key));

            return $values === [] ? null : $this->make($values, $table, $key, $parameter, $isUpdate);
        }
        if ($object instanceof UnitEnum || $object instanceof DateTimeInterface) {
            throw new TypeError("{$parameter} must be a row, " . $object::class . ' given: it is a value, not a row');
        }
        if ($object instanceof stdClass) {
            return get_object_vars($object);
        }
        if (is_callable([$object, 'toArray'])) {
            $array = $object->toArray();

            return is_array($array)
                ? $array
                : throw new TypeError("{$parameter} must be a row: " . $object::class . '::toArray() gave '
                    . get_debug_type($array));
        }

        throw new TypeError("{$parameter} must be a row, " . $object::class
            . ' given: it has neither getAttributes() nor toArray()');
    }

    /** @param array<mixed> $values */
    private function make(
        array $values,
        string $table,
        ?string $keyName,
        string $parameter,
        bool $isUpdate = false,
    ): Row {
        $plain = [];
        foreach ($values as $column => $value) {
            $plain[$column] = $this->value($value, $table, (string) $column, $parameter);
        }

        return new Row($table, $plain, $keyName, false, $isUpdate);
    }

    private function value(
        mixed $value,
        string $table,
        string $column,
        string $parameter,
    ): int|float|string|DateTimeImmutable|null {
        if ($value === null || is_int($value) || is_string($value) || (is_float($value) && is_finite($value))) {
            return $value;
        }

        return match (true) {
            is_bool($value) => (int) $value,
            $value instanceof BackedEnum => $value->value,
            $value instanceof DateTimeInterface && self::hasFourDigitYear($value)
                => $this->moment($value),
            $value instanceof Stringable, $value instanceof GMP => (string) $value,
            default => throw new TypeError(
                "{$parameter} has a wrong value: table {$table}, column {$column}: "
                . (is_float($value) ? "{$value} is no finite number" : get_debug_type($value) . ' is no value'
                    . (is_array($value) && $parameter !== self::KEY ? ', json_encode() it for a JSON column' : ''))
                . '; give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable'
            ),
        };
    }

    private static function hasFourDigitYear(DateTimeInterface $moment): bool
    {
        return strlen($moment->format('Y')) === 4;
    }

    /**
     * Reads a row of a failure that is an update.
     *
     * @param array<mixed> $values
     *
     * @throws TypeError a value has a wrong type
     */
    public function update(string $table, array $values, string $parameter): Row
    {
        return $this->make($values, $this->table($table), null, $parameter, true);
    }

    private static function saysWhatChanged(object $model): bool
    {
        return is_callable([$model, 'getDirty']) && method_exists($model, 'getDirty');
    }

    /**
     * Whether a model says that its row is there already. A method is asked only if the model also
     * says what has changed: a query has such a one too.
     */
    private static function isStored(object $model): bool
    {
        if (property_exists($model, 'exists') && (new ReflectionProperty($model, 'exists'))->isPublic()) {
            return $model->exists === true;
        }

        return self::saysWhatChanged($model) && method_exists($model, 'exists') && is_callable([$model, 'exists']) && $model->exists() === true;
    }

    /**
     * What has changed of a model, and what says which row it is: an update. All of it, to be
     * written, if that has changed, or is not there.
     *
     * @return array{array<mixed>, bool} whether it is an update
     */
    private static function changes(object $model, ?Identity $identity): array
    {
        $attributes = $model->getAttributes();
        if ($identity === null) {
            return [$attributes, false];
        }
        $dirty = $model->getDirty();
        $values = $dirty === [] ? [] : $identity->with($attributes, $dirty);

        return [$values ?? $attributes, $values !== null];
    }

    private static function isModel(object $object): bool
    {
        return is_callable([$object, 'getAttributes']) && method_exists($object, 'getAttributes');
    }

    /**
     * @param array<mixed> $array a row if its first key is a name; an empty array is an empty list
     */
    private static function isList(array $array): bool
    {
        return $array === [] || is_int(array_key_first($array));
    }
}
