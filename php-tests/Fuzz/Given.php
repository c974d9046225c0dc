<?php

namespace WriteBuffer\Tests\Fuzz;

use WriteBuffer\Tests\Fuzz\Callbacks\Aggregate;
use WriteBuffer\Tests\Fuzz\Callbacks\Arrayable;
use WriteBuffer\Tests\Fuzz\Callbacks\Callables;
use WriteBuffer\Tests\Fuzz\Callbacks\Doomed;
use WriteBuffer\Tests\Fuzz\Callbacks\Model;
use WriteBuffer\Tests\Fuzz\Callbacks\ModelByReference;
use WriteBuffer\Tests\Fuzz\Callbacks\Moment;
use WriteBuffer\Tests\Fuzz\Callbacks\Rows;
use WriteBuffer\Tests\Fuzz\Callbacks\StoredModel;
use WriteBuffer\Tests\Fuzz\Callbacks\Text;

/** What is given to a buffer. */
final class Given
{
    /** @return mixed a column's value */
    public static function value(): mixed
    {
        return match (World::pick(10)) {
            0, 1 => World::pick(1_000),
            2, 3, 4 => World::text(),
            5, 6 => new Text(),
            7 => new Moment('2024-01-01 00:00:00'),
            8 => new Doomed(),
            9 => null,
        };
    }

    /** @return array<string, mixed> a row, some of whose values are references */
    public static function row(): array
    {
        $row = ['id' => 1 + World::pick(20)];
        foreach (World::pick(3) === 0 ? ['a', 'b', '7'] : ['a', 'b', 'c'] as $column) {
            $value = self::value();
            if (World::pick(3) === 0) {
                World::$parts[] = &$value;
                $row[$column] = &$value;
            } else {
                $row[$column] = $value;
            }
            unset($value);
        }
        if (World::pick(4) === 0) {
            unset($row['b']);
        }

        return $row;
    }

    /** @return mixed a row in any form */
    public static function anyRow(): mixed
    {
        $row = self::row();
        $made = match (World::pick(7)) {
            0, 1 => $row,
            2 => new Model($row),
            3 => new ModelByReference($row),
            4 => new Arrayable($row),
            5 => (object) $row,
            6 => new StoredModel($row),
        };
        if (is_object($made)) {
            World::$parts[] = $made;
        }

        return $made;
    }

    /** @return list<mixed> rows, some of them references */
    public static function rows(): array
    {
        $rows = [];
        for ($count = 1 + World::pick(4); $count > 0; $count--) {
            $row = self::anyRow();
            if (World::pick(3) === 0) {
                World::$parts[] = &$row;
                $rows[] = &$row;
            } else {
                $rows[] = $row;
            }
            unset($row);
        }
        if (World::pick(4) === 0) {
            unset($rows[0]);
        }

        return $rows;
    }

    /**
     * @param list<mixed> $rows
     *
     * @return \Generator<int, mixed>
     */
    public static function generator(array $rows): \Generator
    {
        try {
            foreach ($rows as $row) {
                World::mutate();
                yield $row;
            }
        } finally {
            // PHP 8.2 loses its place if this throws while an argument is freed, and the call has
            // thrown: iterator_apply() of a generator shows it without any extension.
            try {
                World::mutate();
            } catch (\Throwable) {
            }
        }
    }

    /** @return mixed a list of rows in any form */
    public static function anyRows(): mixed
    {
        $rows = self::rows();

        return match (World::pick(6)) {
            0, 1 => $rows,
            2 => self::generator($rows),
            3 => new Rows($rows),
            4 => new Aggregate($rows),
            5 => new Arrayable($rows),
        };
    }

    /** @return iterable<mixed> rows one by one, some of which may be no rows */
    public static function anyImport(): iterable
    {
        $rows = self::rows();
        if (World::pick(3) === 0) {
            $rows[] = self::value();
            $rows[] = ['id' => [], 'a' => World::text()];
            $rows[] = self::row();
        }

        return match (World::pick(6)) {
            0 => $rows,
            1 => self::generator($rows),
            2 => self::generatorByReference($rows),
            3 => new Rows($rows),
            4 => new Aggregate($rows),
            5 => (static fn (): \Generator => yield from self::generator($rows))(),
        };
    }

    /**
     * @param array<mixed> $rows
     *
     * @return \Generator<int, mixed>
     */
    private static function &generatorByReference(array $rows): \Generator
    {
        foreach ($rows as $key => &$row) {
            World::$parts[] = &$row;
            World::mutate();
            yield $key => $row;
            World::mutate();
        }
    }

    /** @return list<mixed> failures, each part of which may be a reference */
    public static function failures(): array
    {
        $failures = [];
        for ($count = 1 + World::pick(3); $count > 0; $count--) {
            $rows = [];
            for ($entries = 1 + World::pick(3); $entries > 0; $entries--) {
                $row = self::row();
                $entry = ['table' => 't', 'row' => &$row];
                World::$parts[] = &$row;
                World::$parts[] = &$entry;
                $rows[] = &$entry;
                unset($row, $entry);
            }
            $failure = ['rows' => &$rows];
            foreach (['id', 'tag', 'status'] as $name) {
                $text = $name === 'status' ? ['refused', 'unwritten', 'uncertain'][World::pick(3)] : World::text();
                if (World::pick(3) === 0) {
                    World::$parts[] = &$text;
                    $failure[$name] = &$text;
                } elseif ($name !== 'status') {
                    $failure[$name] = $text;
                }
                unset($text);
            }
            $failures[] = $failure;
            World::$parts[] = &$rows;
            unset($rows);
        }

        return $failures;
    }

    /** @return string lines of a dead-letter file, now and then a torn one, or one of no group */
    public static function lines(): string
    {
        $lines = '';
        for ($count = World::pick(4); $count > 0; $count--) {
            $row = ['id' => 1 + World::pick(20), 'a' => World::text(), 'b' => null];
            if (World::pick(4) === 0) {
                $row['c'] = ['datetime' => '2024-01-01 00:00:00.000000'];
            }
            $line = json_encode([
                'id' => World::pick(2) === 0 ? World::text() : World::pick(5),
                'tag' => World::text(),
                'status' => ['refused', 'unwritten', 'uncertain'][World::pick(3)],
                'rows' => [['table' => 't', 'row' => $row], ['table' => 't', 'delete' => ['id' => 1 + World::pick(20)]]],
            ]);
            $lines .= (World::pick(8) === 0 ? substr($line, 0, World::pick(strlen($line))) : $line) . "\n";
        }

        return $lines;
    }

    /** @return mixed a callable of any form */
    public static function callable(\Closure $act): mixed
    {
        $object = new Callables($act);
        World::$parts[] = $object;

        return match (World::pick(6)) {
            0 => $act,
            1 => $object,
            2 => [$object, 'act'],
            3 => [$object, 'unknown'],
            4 => [Callables::class, 'unknown'],
            5 => static fn (): mixed => self::inFiber($act),
        };
    }

    /** @return mixed what a callable returns in a fiber that sleeps now and then */
    private static function inFiber(\Closure $act): mixed
    {
        $fiber = new \Fiber(static function () use ($act): mixed {
            $buffer = World::$buffer;
            $slowly = static function () use ($act): mixed {
                \Fiber::suspend();

                return $act();
            };

            return $buffer === null ? $slowly() : $buffer->group($slowly);
        });
        World::$parts[] = &$fiber;
        $fiber->start();
        World::mutate();
        // A callback may have let go of it.
        if (!$fiber instanceof \Fiber || World::pick(4) === 0) {
            return null;
        }
        $fiber->resume();

        return $fiber instanceof \Fiber && $fiber->isTerminated() ? $fiber->getReturn() : null;
    }

    /** @return array<string, mixed> table rules */
    public static function rules(): array
    {
        $key = ['id'];
        $rules = ['key' => &$key, 'merge' => ['c' => 'keep']];
        World::$parts[] = &$key;
        World::$parts[] = &$rules;

        return ['t' => &$rules];
    }
}
