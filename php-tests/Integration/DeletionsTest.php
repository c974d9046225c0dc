<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** What a server, several threads and a file on disk have to do with deletions. */
final class DeletionsTest extends DatabaseTestCase
{
    private const TABLE = 'wb_deleted';

    /** @param list<array<string, mixed>> $rows */
    private function fill(string $definition, array $rows): void
    {
        $this->createTable(self::TABLE, $definition);
        foreach ($rows as $row) {
            $places = implode(', ', array_fill(0, count($row), '?'));
            $columns = implode(', ', array_keys($row));
            $this->pdo()->prepare('INSERT INTO ' . self::TABLE . " ({$columns}) VALUES ({$places})")->execute(array_values($row));
        }
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [['background' => false]];
        yield 'background' => [['background' => true]];
        yield 'lanes' => [['background' => true, 'lanes' => 4]];
    }

    /**
     * The thread has not read the table when the keys come: they are given in the order of a key
     * that nobody knows yet.
     *
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testAKeyMayBeKnownLater(array $settings): void
    {
        $this->fill('code VARCHAR(5) NOT NULL, part INT NOT NULL, v INT, PRIMARY KEY (part, code)', [
            ['code' => 'a', 'part' => 1],
            ['code' => 'b', 'part' => 1],
            ['code' => '1', 'part' => 2],
        ]);
        $buffer = $this->buffer(...$settings);
        $buffer->delete(self::TABLE, [1, 'a']);
        $buffer->put(self::TABLE, ['code' => 'c', 'part' => 3, 'v' => 1]);
        $buffer->delete(self::TABLE, ['code' => 1, 'part' => '2']);
        $buffer->delete(self::TABLE, [3, 'c']);
        $buffer->put(self::TABLE, ['code' => 'c', 'part' => 3]);
        self::assertSame(5, $buffer->flush());
        self::assertSame(['b1', 'c3'], array_map(
            static fn (array $row): string => "{$row['code']}{$row['part']}{$row['v']}",
            $this->rows(self::TABLE),
        ));
        $buffer->delete(self::TABLE, [1, 'b']);
        self::assertFalse($buffer->find(self::TABLE, [1, 'b']));
        $buffer->flush();
        self::assertSame(['c'], array_column($this->rows(self::TABLE), 'code'));
    }

    public function testAKeyThatIsNoneIsAFailureOnceTheTableIsKnown(): void
    {
        $this->fill('a INT NOT NULL, b INT NOT NULL, PRIMARY KEY (a, b)', [['a' => 1, 'b' => 1]]);
        $buffer = $this->buffer(background: true);
        // The thread reads the table when it writes the first row.
        $buffer->delete(self::TABLE, 1);
        $buffer->delete(self::TABLE, ['a' => 1, 'b' => 1]);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertSame([], $this->rows(self::TABLE));
        $failures = $buffer->takeFailures();
        self::assertSame([['table' => self::TABLE, 'delete' => [1]]], $failures[0]['rows'] ?? null);
        self::assertSame(
            'table ' . self::TABLE . ": a deletion needs the table's key (a, b), and no other column",
            $failures[0]['message'],
        );
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testALongHistoryOfFewKeysIsTheirLastStep(array $settings): void
    {
        $this->fill('id INT PRIMARY KEY, v INT NOT NULL DEFAULT -1, w INT NULL', []);
        $buffer = $this->buffer(...$settings + ['batchSize' => 50]);
        mt_srand(3);
        $expected = [];
        for ($step = 0; $step < 10_000; $step++) {
            $id = mt_rand(1, 40);
            if (mt_rand(0, 3) === 0) {
                $buffer->delete(self::TABLE, $id);
                unset($expected[$id]);
            } else {
                $row = ['id' => $id, mt_rand(0, 1) === 0 ? 'v' : 'w' => $step];
                $buffer->put(self::TABLE, $row);
                $expected[$id] = $row + ($expected[$id] ?? ['v' => -1, 'w' => null]);
            }
        }
        $buffer->flush();
        ksort($expected);
        $found = array_map(
            static fn (array $row): array => array_map(static fn (mixed $value): ?int => $value === null ? null : (int) $value, $row),
            $this->rows(self::TABLE),
        );
        self::assertEquals(array_values($expected), $found);
        self::assertGreaterThan(5_000, $buffer->getMetrics()['rows_coalesced']);
    }

    /** @return iterable<string, array{string, \Closure(int): mixed}> */
    public static function keysOfManyRows(): iterable
    {
        yield 'integers' => ['id INT PRIMARY KEY', static fn (int $id): mixed => $id % 2 === 0 ? $id : (string) $id];
        yield 'text' => ['id VARCHAR(20) PRIMARY KEY', static fn (int $id): mixed => "k-{$id}"];
        yield 'two columns' => ['id INT, k INT, PRIMARY KEY (id, k)', static fn (int $id): mixed => [$id, 7]];
    }

    /**
     * @dataProvider keysOfManyRows
     *
     * @param \Closure(int): mixed $key
     */
    #[DataProvider('keysOfManyRows')]
    public function testManyRowsShareAStatement(string $definition, \Closure $key): void
    {
        $this->createTable(self::TABLE, $definition);
        $buffer = $this->buffer(background: false, batchSize: 10_000);
        $isPair = is_array($key(1));
        for ($id = 1; $id <= 1_000; $id++) {
            $buffer->put(self::TABLE, $isPair ? ['id' => $id, 'k' => 7] : ['id' => $key($id)]);
        }
        $buffer->flush();
        $deletes = fn (): int => (int) $this->admin()->query("SHOW GLOBAL STATUS LIKE 'Com_delete'")->fetchColumn(1);
        $before = $deletes();
        for ($id = 1_000; $id > 1; $id--) {
            $buffer->delete(self::TABLE, $key($id));
        }
        $buffer->flush();
        self::assertSame('1', $this->value('SELECT COUNT(*) FROM ' . self::TABLE));
        self::assertLessThan(20, $deletes() - $before, 'rows share statements');
    }

    public function testARowThatOthersReferToIsAFailureUntilTheyAreGone(): void
    {
        $this->createTable('wb_parents', 'id INT PRIMARY KEY');
        $this->fill('id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES wb_parents (id)', []);
        $buffer = $this->buffer();
        $buffer->put('wb_parents', [['id' => 1], ['id' => 2]]);
        $buffer->put(self::TABLE, ['id' => 1, 'p' => 1]);
        $buffer->delete('wb_parents', 1);
        $buffer->delete('wb_parents', 2);
        $thrown = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame(1451, $thrown->getCode());
        self::assertSame(['1'], array_column($this->rows('wb_parents', 'id', 'id'), 'id'));
        $failures = $buffer->takeFailures();
        self::assertSame([['table' => 'wb_parents', 'delete' => ['id' => 1]]], $failures[0]['rows']);
        $buffer->delete(self::TABLE, 1);
        $buffer->retry($failures);
        $buffer->flush();
        self::assertSame([], $this->rows('wb_parents', 'id', 'id'));
    }

    public function testTheDeadLetterFileHasThemAndRetryTakesItsLines(): void
    {
        $this->fill('id VARBINARY(4) PRIMARY KEY, v INT', [['id' => "\xff\x00"], ['id' => 'b']]);
        $this->admin()->exec('CREATE TRIGGER wb_deleted_no BEFORE DELETE ON ' . self::TABLE
            . " FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'");
        $file = sys_get_temp_dir() . '/write-buffer-deletions-' . getmypid() . '.jsonl';
        try {
            $buffer = $this->buffer(deadLetterFile: $file);
            $buffer->delete(self::TABLE, "\xff\x00");
            $buffer->delete(self::TABLE, ['id' => 'b']);
            self::thrownBy(static fn () => $buffer->flush());
            $this->admin()->exec('DROP TRIGGER wb_deleted_no');
            $lines = array_map(
                static fn (string $line): array => json_decode($line, true, flags: JSON_THROW_ON_ERROR),
                file($file, FILE_IGNORE_NEW_LINES) ?: [],
            );
        } finally {
            @unlink($file);
        }
        self::assertSame(
            [['table' => self::TABLE, 'delete' => ['id' => ['base64' => '/wA=']]], ['table' => self::TABLE, 'delete' => ['id' => 'b']]],
            array_merge(...array_column($lines, 'rows')),
        );
        self::assertSame(2, $buffer->retry($lines));
        $buffer->flush();
        self::assertSame([], $this->rows(self::TABLE));
    }

    public function testADateTimeAsTheGuardIsCutToItsColumn(): void
    {
        $rows = [['id' => 1, 'at' => '2024-01-01 10:00:00'], ['id' => 2, 'at' => '2024-01-01 10:00:01']];
        $this->fill('id INT PRIMARY KEY, at DATETIME NOT NULL', $rows);
        foreach ([$this->buffer(background: false, tables: [self::TABLE => ['guard' => 'at']]), null] as $buffer) {
            $buffer ??= $this->syncBuffer(tables: [self::TABLE => ['guard' => 'at']]);
            foreach ([1, 2] as $id) {
                $buffer->delete(self::TABLE, ['id' => $id, 'at' => new \DateTimeImmutable('2024-01-01 10:00:00.9')]);
            }
            $buffer->flush();
            self::assertSame(['2'], array_column($this->rows(self::TABLE), 'id'));
        }
    }

    /**
     * @return iterable<string, array{list<array{string, mixed}>, bool}> what is done, and whether
     *         the ledger is used
     */
    public static function transactions(): iterable
    {
        $row = ['put', ['id' => 1, 'r' => 1]];
        yield 'deletions' => [[['delete', 1], ['delete', 2]], false];
        yield 'deletions and whole rows' => [[$row, ['delete', 1], ['delete', 2], $row], false];
        yield 'a deletion behind a partial row' => [[['put', ['id' => 1, 'v' => 2]], ['delete', 1]], true];
    }

    /**
     * What is deleted by the first time may be what a row needs the second time.
     *
     * @dataProvider transactions
     *
     * @param list<array{string, mixed}> $steps
     */
    #[DataProvider('transactions')]
    public function testWhenTheLedgerIsUsed(array $steps, bool $isUsed): void
    {
        $this->pdo()->exec('DROP TABLE IF EXISTS write_buffer_ledger');
        $this->dropLater('DROP TABLE IF EXISTS write_buffer_ledger');
        $this->fill('id INT PRIMARY KEY, r INT NOT NULL, v INT', [['id' => 1, 'r' => 1]]);
        $buffer = $this->buffer(background: false);
        foreach ($steps as [$method, $argument]) {
            $buffer->$method(self::TABLE, $argument);
        }
        $buffer->flush();
        self::assertCount(end($steps) === $steps[0] ? 1 : 0, $this->rows(self::TABLE));
        $ledgers = 'SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
            AND TABLE_NAME = \'write_buffer_ledger\'';
        self::assertSame($isUsed ? '1' : '0', $this->value($ledgers));
    }
}
