<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

/** What says which row of a table a partial one means: its key, and its guard. */
final class Identity
{
    /** @param list<string> $key its columns */
    public function __construct(
        private readonly array $key,
        private readonly ?string $guard,
    ) {
    }

    /** That of a table of which nothing else is known. */
    public static function ofKey(?string $column): ?self
    {
        return $column === null ? null : new self([$column], null);
    }

    /**
     * The columns of the key that a row does not have.
     *
     * @param array<mixed> $attributes
     *
     * @return list<string>
     */
    public function missing(array $attributes): array
    {
        $missing = array_values(array_diff($this->key, array_keys($attributes)));

        return $missing === []
            ? []
            : array_values(array_udiff($missing, array_map('strval', array_keys($attributes)), strcasecmp(...)));
    }

    /**
     * The columns that have changed, behind those that say which row it is.
     *
     * @param array<mixed> $attributes all columns
     * @param array<mixed> $dirty      those that have changed
     *
     * @return array<mixed>|null null: one of the key's has changed, or is not there
     */
    public function with(array $attributes, array $dirty): ?array
    {
        $row = [];
        $isDirty = array_change_key_case($dirty);
        foreach ([...$this->key, ...$this->guard === null ? [] : [$this->guard]] as $at => $column) {
            if (array_key_exists(strtolower($column), $isDirty)) {
                if ($at < count($this->key)) {
                    return null;
                }
                continue;
            }
            $names = preg_grep('/^' . preg_quote($column, '/') . '$/Di', array_map('strval', array_keys($attributes)));
            if ($names === false || $names === []) {
                return null;
            }
            $name = reset($names);
            $row[$name] = $attributes[$name];
        }

        return $row + $dirty;
    }
}
