<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\MemorySink;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\StoredModel;

/**
 * Of a model whose row is there already, add() and put() take what has changed. It only updates: if
 * its row is gone, it is refused.
 */
final class StoredModelTest extends MemoryTestCase
{
    private const ATTRIBUTES = ['id' => 7, 'v' => 'new', 'w' => 'old', 'version' => 3];

    /** @return iterable<string, array{array<string, mixed>, StoredModel, ?array<string, mixed>}> */
    public static function models(): iterable
    {
        $model = static fn (array $dirty, mixed ...$more): StoredModel => new StoredModel(self::ATTRIBUTES, $dirty, ...$more);
        $all = self::ATTRIBUTES;
        yield 'the key and what has changed' => [[], $model(['v' => 'new']), ['id' => 7, 'v' => 'new']];
        yield 'all that has changed' => [
            [],
            $model(['w' => 'old', 'v' => 'new']),
            ['id' => 7, 'w' => 'old', 'v' => 'new'],
        ];
        yield 'nothing has changed' => [[], $model([]), null];
        yield 'null' => [[], $model(['v' => null]), ['id' => 7, 'v' => null]];
        yield 'a new one' => [[], $model($all, false), $all];
        yield 'a new one, of which nothing is dirty' => [[], $model([], false), $all];
        foreach ([null, 0, 1, 'true', []] as $exists) {
            yield 'one whose exists is ' . json_encode($exists) => [[], $model(['v' => 'new'], $exists), $all];
        }
        yield 'the guard goes with it' => [
            ['guard' => 'version'],
            $model(['v' => 'new']),
            ['id' => 7, 'version' => 3, 'v' => 'new'],
        ];
        yield 'a guard that has changed' => [
            ['guard' => 'version'],
            $model(['version' => 3, 'v' => 'new']),
            ['id' => 7, 'version' => 3, 'v' => 'new'],
        ];
        yield 'the configured key' => [
            ['key' => ['w', 'id']],
            $model(['v' => 'new']),
            ['w' => 'old', 'id' => 7, 'v' => 'new'],
        ];
        yield 'a key that is spelled in another case' => [[], $model(['v' => 'new'], keyName: 'ID'), ['id' => 7, 'v' => 'new']];
        yield 'a key that has changed is another row' => [[], $model(['id' => 7, 'v' => 'new']), $all];
        yield 'a guard that is not there' => [
            ['guard' => 'missing', 'key' => 'id'],
            new StoredModel(['id' => 7, 'v' => 1, 'missing' => 2], ['v' => 1]),
            ['id' => 7, 'missing' => 2, 'v' => 1],
        ];
        yield 'no key is named' => [[], $model(['v' => 'new'], keyName: null), $all];
        yield 'the key is the server\'s to know' => [['key' => 'server'], $model(['v' => 'new']), $all];
        yield 'an insert-only table' => [['mode' => 'insert'], $model(['v' => 'new']), $all];
        yield 'a column whose name is a number' => [
            [],
            new StoredModel(['id' => 7, 5 => 'a', 6 => 'b'], [5 => 'a']),
            ['id' => 7, '5' => 'a'],
        ];
        yield 'a key whose name is a number' => [
            [],
            new StoredModel([5 => 7, 'v' => 'a', 'w' => 'b'], ['v' => 'a'], keyName: '5'),
            ['5' => 7, 'v' => 'a'],
        ];
    }

    /**
     * @param array<string, mixed>  $rules
     * @param ?array<string, mixed> $row
     *
     * @dataProvider models
     */
    #[DataProvider('models')]
    public function testTakesWhatHasChanged(array $rules, StoredModel $model, ?array $row): void
    {
        $tables = $rules === [] ? [] : ['models' => $rules];
        foreach (
            [
                static fn (Buffer $buffer) => $buffer->add($model),
                static fn (Buffer $buffer) => $buffer->put('models', [$model]),
            ] as $act
        ) {
            foreach ([$this->buffer(tables: $tables), $this->syncBuffer(tables: $tables)] as $buffer) {
                $isUpdate = $row !== null && $row !== self::ATTRIBUTES;
                try {
                    $act($buffer);
                    self::assertCount($row === null || $buffer instanceof \SyncWriteBuffer ? 0 : 1, $buffer);
                    $buffer->flush();
                    self::assertFalse($isUpdate, 'its row was not there');
                    self::assertSame($row === null ? [] : [$row], self::rowsOf('models'));
                } catch (RefusedException $e) {
                    self::assertTrue($isUpdate, $e->getMessage());
                    self::assertSame(
                        [['table' => 'models', 'row' => $row, 'update' => true]],
                        $e->getFailures()[0]['rows'],
                    );
                    self::assertSame([], self::rowsOf('models'));
                    $buffer->takeFailures();
                    $before = ['x' => 'stays'] + (array_key_exists('v', $row) ? ['v' => 'before'] : []) + $row;
                    $buffer->put('models', $before);
                    $act($buffer);
                    $buffer->flush();
                    self::assertSame([array_replace($before, $row)], self::rowsOf('models'));
                }
                MemorySink::reset();
            }
        }
    }

    public function testWhatOthersChangedMeanwhileStays(): void
    {
        $buffer = $this->buffer();
        $buffer->put('models', ['id' => 7, 'v' => 'loaded', 'w' => 'loaded']);
        $buffer->flush();
        $model = new StoredModel(['id' => 7, 'v' => 'mine', 'w' => 'loaded'], ['v' => 'mine']);
        $buffer->put('models', ['id' => 7, 'w' => 'theirs']);
        $buffer->add($model);
        self::assertEquals(['id' => 7, 'v' => 'mine', 'w' => 'theirs'], $buffer->find('models', 7));
        $buffer->flush();
        self::assertSame([['id' => 7, 'v' => 'mine', 'w' => 'theirs']], self::rowsOf('models'));
    }

    public function testAsksAMethodWhereThereIsNoProperty(): void
    {
        $model = static fn (bool $exists) => new class ($exists) {
            public function __construct(private bool $stored)
            {
            }

            public function exists(): bool
            {
                return $this->stored;
            }

            /** @return array<string, mixed> */
            public function getAttributes(): array
            {
                return ['id' => 7, 'v' => 1, 'w' => 2];
            }

            /** @return array<string, mixed> */
            public function getDirty(): array
            {
                return ['w' => 2];
            }

            public function getTable(): string
            {
                return 'models';
            }

            public function getKeyName(): string
            {
                return 'id';
            }
        };
        $buffer = $this->buffer();
        $buffer->put('models', ['id' => 7, 'v' => 0, 'w' => 0]);
        $buffer->add([$model(true)]);
        $buffer->flush();
        self::assertSame([['id' => 7, 'v' => 0, 'w' => 2]], self::rowsOf('models'));
        $buffer->add($model(false));
        $buffer->flush();
        self::assertEquals([['id' => 7, 'v' => 1, 'w' => 2]], self::rowsOf('models'));
    }

    public function testAModelThatDoesNotSayWhatHasChangedUpdatesAll(): void
    {
        $model = static fn (mixed $exists): object => new class ($exists) {
            public function __construct(public readonly mixed $exists)
            {
            }

            /** @return array<string, mixed> */
            public function getAttributes(): array
            {
                return ['id' => 7, 'v' => 1];
            }

            public function exists(): never
            {
                throw new \LogicException('exists() is called');
            }
        };
        $buffer = $this->buffer();
        $buffer->put('models', $model(true));
        try {
            $buffer->flush();
            self::fail('its row was not there');
        } catch (RefusedException $e) {
            self::assertSame(
                [['table' => 'models', 'row' => ['id' => 7, 'v' => 1], 'update' => true]],
                $e->getFailures()[0]['rows'],
            );
        }
        // Put back, it is an update still.
        $failures = $buffer->takeFailures();
        $buffer->retry($failures);
        try {
            $buffer->flush();
            self::fail('its row was not there');
        } catch (RefusedException $e) {
            self::assertSame($failures[0]['rows'], $e->getFailures()[0]['rows']);
        }
        $buffer->takeFailures();
        $buffer->put('models', $model(false));
        $buffer->put('models', ['id' => 7, 'w' => 2]);
        $buffer->put('models', $model(true));
        $buffer->flush();
        self::assertSame([['id' => 7, 'v' => 1, 'w' => 2]], self::rowsOf('models'));
    }

    public function testAPropertyThatIsNotPublicIsNotAsked(): void
    {
        $model = new class () {
            protected bool $exists = true;

            /** @return array<string, mixed> */
            public function getAttributes(): array
            {
                return ['id' => 7, 'v' => 1];
            }

            /** @return array<string, mixed> */
            public function getDirty(): array
            {
                return [];
            }

            /** @param array<mixed> $arguments */
            public function __call(string $name, array $arguments): mixed
            {
                throw new \LogicException("{$name} is called");
            }
        };
        $buffer = $this->buffer();
        $buffer->put('models', $model);
        $buffer->flush();
        self::assertSame([['id' => 7, 'v' => 1]], self::rowsOf('models'));
    }

    public function testAsksNoMoreThanItNeeds(): void
    {
        $buffer = $this->buffer(tables: ['log' => ['mode' => 'insert']]);
        $calls = static function (StoredModel $model) use ($buffer): array {
            $buffer->add($model);

            return $model->calls;
        };
        $attributes = ['id' => 1, 'v' => 1];
        self::assertSame(['getTable', 'getKeyName', 'getAttributes'], $calls(new StoredModel($attributes, [], false)));
        self::assertSame(['getTable', 'getKeyName', 'getAttributes', 'getDirty'], $calls(new StoredModel($attributes, [])));
        self::assertSame(['getTable', 'getKeyName', 'getAttributes'], $calls(new StoredModel($attributes, [], true, 'log')));
        $buffer->flush();
    }

    public function testRefusesWhatIsNoListOfChanges(): void
    {
        foreach (['null' => null, 'string' => 'v', 'int' => 5] as $type => $dirty) {
            $name = StoredModel::class;
            self::assertThrows(
                \TypeError::class,
                "WriteBuffer::add(): Argument #1 (\$order) must be a row: {$name}::getDirty() gave {$type}",
                fn () => $this->buffer()->add(new StoredModel(self::ATTRIBUTES, $dirty)),
            );
        }
        self::assertThrows(
            \TypeError::class,
            'WriteBuffer::add(): Argument #1 ($order) has a wrong value: table models, column v: array is no value, json_encode() it for a JSON column; '
                . 'give null, bool, int, a finite float, string, a backed enum, DateTimeInterface or Stringable',
            fn () => $this->buffer()->add(new StoredModel(self::ATTRIBUTES, ['v' => []])),
        );
        foreach (['getDirty', 'getAttributes'] as $method) {
            $throw = static fn () => throw new \DomainException('of the user');
            $model = $method === 'getDirty'
                ? new StoredModel(self::ATTRIBUTES, $throw)
                : new StoredModel($throw, ['v' => 1]);
            $thrown = self::thrownBy(fn () => $this->buffer()->add([['id' => 1], $model]));
            self::assertInstanceOf(\DomainException::class, $thrown, $method);
        }
    }
}
