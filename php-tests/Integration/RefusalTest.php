<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\FlushException;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/**
 * If the server refuses a group, it is given up, and all others are committed. retry() puts it
 * back.
 */
final class RefusalTest extends DatabaseTestCase
{
    private const COLUMNS = 'id INT PRIMARY KEY, n TINYINT NOT NULL DEFAULT 0, t VARCHAR(5), d DECIMAL(5,2), '
        . "at DATETIME, e ENUM('a','b'), j JSON, c INT CHECK (c > 0)";

    /**
     * @return iterable<string, array{array<string, mixed>, int, string, string}> a row, the code,
     *         the message, the cure
     */
    public static function refusedRows(): iterable
    {
        $tail = 'at row 1';
        $named = static fn (string $column): string => self::isMySql()
            ? "'{$column}'"
            : "`write_buffer_test`.`wb_refused`.`{$column}`";
        yield 'out of range' => [['n' => 128], 1264, "Out of range value for column 'n' {$tail}", 'MODIFY n INT'];
        yield 'a decimal out of range' => [
            ['d' => '1000.00'],
            1264,
            "Out of range value for column 'd' {$tail}",
            'MODIFY d DECIMAL(10,2)',
        ];
        yield 'too long' => [['t' => 'abcdef'], 1406, "Data too long for column 't' {$tail}", 'MODIFY t VARCHAR(10)'];
        yield 'null' => [['n' => null], 1048, "Column 'n' cannot be null", 'MODIFY n TINYINT NULL'];
        yield 'no number' => [
            ['n' => 'abc'],
            1366,
            "Incorrect integer value: 'abc' for column {$named('n')} {$tail}",
            'MODIFY n VARCHAR(5)',
        ];
        yield 'no date' => [
            ['at' => 'soon'],
            1292,
            "Incorrect datetime value: 'soon' for column {$named('at')} {$tail}",
            'MODIFY at VARCHAR(20)',
        ];
        yield 'no member' => [['e' => 'z'], 1265, "Data truncated for column 'e' {$tail}", "MODIFY e ENUM('a','b','z')"];
        if (self::isMySql()) {
            yield 'no JSON' => [
                ['j' => '{'],
                3140,
                'Invalid JSON text: "Missing a name for object member." at position 1 in value for column \'wb_refused.j\'.',
                'MODIFY j TEXT',
            ];
            yield 'a check' => [
                ['c' => 0],
                3819,
                "Check constraint 'wb_refused_chk_1' is violated.",
                'DROP CHECK wb_refused_chk_1',
            ];
        } else {
            yield 'no JSON' => [
                ['j' => '{'],
                4025,
                'CONSTRAINT `wb_refused.j` failed for `write_buffer_test`.`wb_refused`',
                'MODIFY j TEXT',
            ];
            yield 'a check' => [
                ['c' => 0],
                4025,
                'CONSTRAINT `wb_refused.c` failed for `write_buffer_test`.`wb_refused`',
                'MODIFY c INT',
            ];
        }
    }

    /**
     * @dataProvider refusedRows
     *
     * @param array<string, mixed> $wrong
     */
    #[DataProvider('refusedRows')]
    public function testGivesUpTheGroupAtFault(array $wrong, int $code, string $message, string $cure): void
    {
        $this->createTable('wb_refused', self::COLUMNS);
        $this->createTable('wb_fills', 'id INT PRIMARY KEY');
        $buffer = $this->buffer(orderTable: 'wb_refused', tradeTable: 'wb_fills');
        $buffer->add(['id' => 1, 't' => 'first'], ['id' => 10]);
        $buffer->add(['id' => 2] + $wrong, ['id' => 20]);
        $buffer->add([['id' => 3, 't' => 'a'], ['id' => 3, 't' => 'last']], ['id' => 30]);
        $thrown = self::assertThrowsMatching(
            RefusedException::class,
            '/^gave up 2 rows that can never be written, see takeFailures\(\); the first error: table wb_refused: '
                . self::loosely($message) . '$/D',
            static fn () => $buffer->flush(),
            $code,
        );
        self::assertCount(0, $buffer);
        self::assertSame(['first', 'last'], array_column($this->rows('wb_refused'), 't'), 'the others are committed');
        self::assertSame(['10', '30'], array_column($this->rows('wb_fills', '*', '1'), 'id'), 'a group is given up whole');
        self::assertSame(0, $buffer->flush(), 'an error is reported once');

        $failures = $buffer->takeFailures();
        self::assertSame($thrown->getFailures(), $failures);
        self::assertSame(
            [['table' => 'wb_refused', 'row' => ['id' => 2] + $wrong], ['table' => 'wb_fills', 'row' => ['id' => 20]]],
            $failures[0]['rows'],
        );
        $this->pdo()->exec("ALTER TABLE wb_refused {$cure}");
        self::assertSame(1, $buffer->retry($failures));
        self::assertSame(2, $buffer->flush());
        $column = array_key_first($wrong);
        self::assertSame(
            $wrong[$column] === null ? null : (string) $wrong[$column],
            $this->value("SELECT {$column} FROM wb_refused WHERE id = 2"),
        );
        self::assertSame(['10', '20', '30'], array_column($this->rows('wb_fills', '*', '1'), 'id'));
        self::assertSame([2, 1], [$buffer->getMetrics()['rows_refused'], $buffer->getMetrics()['transactions_failed']]);
    }

    /**
     * Until the server was asked for the table, a row without its key is taken. It is refused when
     * it is written.
     */
    public function testARowThatItsTableCanNeverTakeHoldsUpNoOther(): void
    {
        $this->createTable('wb_keyed', 'user_id INT, asset VARCHAR(5), free INT, PRIMARY KEY (user_id, asset)');
        $buffer = $this->buffer(background: true, orderTable: 'wb_keyed');
        $buffer->add(['user_id' => 1, 'asset' => 'BTC', 'free' => 1]);
        $buffer->add(['user_id' => 1, 'free' => 2]);
        $buffer->add(['user_id' => 1, 'asset' => null, 'free' => 3]);
        $buffer->add(['user_id' => 1, 'asset' => 'ETH', 'free' => 4]);
        self::assertThrowsMatching(
            RefusedException::class,
            '/^gave up 2 rows .* first error: table wb_keyed: a row has no key column asset/',
            static fn () => $buffer->flush(),
        );
        self::assertCount(0, $buffer);
        self::assertSame(['1', '4'], array_column($this->rows('wb_keyed'), 'free'));
        self::assertCount(2, $buffer->takeFailures());
        self::assertSame(0, $buffer->flush());
    }

    /** A missing column is no row's fault, so nothing is given up. */
    public function testAColumnThatIsNotThereIsWaitedFor(): void
    {
        $this->createTable('wb_refused', self::COLUMNS);
        $buffer = $this->buffer(orderTable: 'wb_refused');
        $buffer->add(['id' => 1]);
        $buffer->add(['id' => 2, 'extra' => 1]);
        foreach (['once', 'and again'] as $when) {
            $thrown = self::assertThrowsMatching(
                BlockedException::class,
                '/^table wb_refused: ' . self::loosely("Unknown column 'extra' in 'INSERT INTO'")
                    . ' \(1 row still buffered\)$/D',
                static fn () => $buffer->flush(),
                1054,
            );
            self::assertSame([], $thrown->getFailures(), $when);
            self::assertSame(['1'], array_column($this->rows('wb_refused', 'id', '1'), 'id'), "{$when}: it holds up no other row");
        }
        $this->pdo()->exec('ALTER TABLE wb_refused ADD COLUMN extra INT');
        self::assertSame(1, $buffer->flush());
        self::assertSame([null, '1'], array_column($this->rows('wb_refused'), 'extra'));
    }

    /** Among n groups the one at fault is found with about 2 log n transactions. */
    public function testFewTransactionsFindTheGroupAtFault(): void
    {
        $this->createTable('wb_refused', self::COLUMNS);
        $buffer = $this->buffer(orderTable: 'wb_refused', batchSize: 10_000);
        for ($id = 1; $id <= 1_024; $id++) {
            $buffer->add(['id' => $id, 't' => $id === 700 ? 'too long' : 'fits']);
            // A later row of the same key is not held up, and keeps its place.
            $buffer->add(['id' => $id, 'n' => 1]);
        }
        $begun = fn (): int => (int) $this->admin()->query("SHOW GLOBAL STATUS LIKE 'Com_begin'")->fetchColumn(1);
        $before = $begun();
        self::assertSame(1406, self::thrownBy(static fn () => $buffer->flush())?->getCode());
        self::assertLessThanOrEqual(2 * 11 + 2, $begun() - $before, 'transactions over 2,048 groups');
        self::assertCount(1, $buffer->takeFailures());
        self::assertSame('1024', $this->value('SELECT COUNT(*) FROM wb_refused WHERE n = 1'));
        self::assertSame('1023', $this->value("SELECT COUNT(*) FROM wb_refused WHERE t = 'fits'"));
    }

    /** For words that differ between servers: 'field list' or 'INSERT INTO', a row's number. */
    private static function loosely(string $message): string
    {
        $pattern = preg_quote($message, '/');
        $pattern = str_replace(['row 1', "'INSERT INTO'"], ['row \d+', "'(INSERT INTO|field list)'"], $pattern);

        return $pattern;
    }

    public function testADoubledInsertFails(): void
    {
        $this->createTable('wb_fills', 'id INT PRIMARY KEY, v INT');
        $this->pdo()->exec('INSERT INTO wb_fills VALUES (2, 99)');
        $buffer = $this->buffer(tradeTable: 'wb_fills');
        $buffer->add(null, [['id' => 1, 'v' => 1], ['id' => 2, 'v' => 2], ['id' => 3, 'v' => 3]]);
        self::assertThrows(
            RefusedException::class,
            'gave up 3 rows that can never be written, see takeFailures(); the first error: '
                . "table wb_fills: Duplicate entry '2' for key '" . (self::isMySql() ? 'wb_fills.' : '') . "PRIMARY'",
            static fn () => $buffer->flush(),
            1062,
        );
        self::assertSame([['id' => '2', 'v' => '99']], $this->rows('wb_fills'));
        $this->pdo()->exec('DELETE FROM wb_fills');
        $buffer->retry($buffer->takeFailures());
        $buffer->flush();
        self::assertSame(['1', '2', '3'], array_column($this->rows('wb_fills'), 'v'));
    }

    public function testAForeignKeyIsHeldByTheOrderOfTables(): void
    {
        $this->createTable('wb_parent', 'id INT PRIMARY KEY');
        $this->createTable('wb_child', 'id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES wb_parent (id)');
        $buffer = $this->buffer(orderTable: 'wb_parent', tradeTable: 'wb_child');
        $buffer->add(['id' => 6]);
        $buffer->add(null, ['id' => 1, 'parent' => 6]);
        self::assertSame(2, $buffer->flush(), 'parents are written first');
        // Alone it would be refused, and so it is beside its parent, which comes later.
        $buffer->add(null, ['id' => 2, 'parent' => 8]);
        $buffer->add(['id' => 8]);
        self::assertThrowsMatching(
            RefusedException::class,
            '/first error: table wb_child: Cannot add or update a child row: a foreign key constraint fails /',
            static fn () => $buffer->flush(),
            1452,
        );
        self::assertSame(['6', '8'], array_column($this->rows('wb_parent', '*', '1'), 'id'));
        self::assertCount(1, $this->rows('wb_child'));
        $buffer->retry($buffer->takeFailures());
        $buffer->flush();
        self::assertCount(2, $this->rows('wb_child'));
    }

    public function testAnUnknownTableIsFoundAsSoonAsItIsThere(): void
    {
        $this->pdo()->exec('DROP TABLE IF EXISTS wb_later');
        $buffer = $this->buffer();
        $act = static fn () => $buffer->put('wb_later', ['id' => 1]);
        $thrown = self::thrownBy($act) ?? self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertSame(1146, $thrown->getCode());
        self::assertMatchesRegularExpression(
            '/^table wb_later does not exist at 127\.0\.0\.1:\d+\/write_buffer_test, or the account "write_buffer" may not see '
                . 'it; create it, or correct the table\'s name \(1 row still buffered\)$/D',
            $thrown->getMessage(),
        );
        self::assertCount(1, $buffer, 'a flush exception means that the row was taken');
        $this->createTable('wb_later', 'id INT PRIMARY KEY');
        self::assertSame(1, $buffer->flush());
        self::assertSame([['id' => '1']], $this->rows('wb_later', '*', '1'));
    }

    public function testTheSynchronousBufferThrowsAtTheVeryLine(): void
    {
        $this->createTable('wb_refused', self::COLUMNS);
        $buffer = $this->syncBuffer(orderTable: 'wb_refused');
        $buffer->add(['id' => 1]);
        $thrown = self::assertThrowsMatching(
            RefusedException::class,
            "/^table wb_refused: Data too long for column 't' at row \\d+$/D",
            static fn () => $buffer->add([['id' => 2], ['id' => 3, 't' => 'abcdef']]),
            1406,
        );
        self::assertSame(__FILE__, $thrown->getFile());
        self::assertCount(0, $buffer);
        $buffer->add(['id' => 4]);
        self::assertSame(['1', '4'], array_column($this->rows('wb_refused'), 'id'));
    }
}
