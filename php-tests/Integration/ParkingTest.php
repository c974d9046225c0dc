<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** A table that takes no rows now holds up its own, what shares a key, and nothing else. */
final class ParkingTest extends DatabaseTestCase
{
    private const BAD = 'wb_parked';
    private const GOOD = 'wb_flowing';
    private const ACCOUNT = "'wb_parking'@'%'";
    private const COLUMNS = 'id INT PRIMARY KEY, v INT NULL';

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::GOOD, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable(self::BAD, self::COLUMNS);
    }

    private const DEFINER = "'wb_parking_definer'@'localhost'";

    /** What is in the way, what puts it right, the code, and values of the rows at fault. */
    private const OBSTACLES = [
        'no such table' => [
            ['DROP TABLE ' . self::BAD],
            ['CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')'],
            1146,
        ],
        'no such column' => [[], ['ALTER TABLE ' . self::BAD . ' ADD COLUMN w INT NULL'], 1054, ['w' => 7]],
        'a right that was revoked' => [
            ['REVOKE INSERT ON ' . self::BAD . ' FROM ' . self::ACCOUNT],
            ['GRANT INSERT ON ' . self::BAD . ' TO ' . self::ACCOUNT],
            1142,
        ],
        'a definer that is gone' => [
            [
                'CREATE USER ' . self::DEFINER,
                'GRANT ALL ON *.* TO ' . self::DEFINER,
                'CREATE DEFINER = ' . self::DEFINER . ' TRIGGER wb_parking_trigger BEFORE INSERT ON ' . self::BAD
                    . ' FOR EACH ROW SET NEW.v = NEW.v',
                'DROP USER ' . self::DEFINER,
            ],
            ['DROP TRIGGER wb_parking_trigger'],
            1449,
        ],
        'an engine without transactions' => [
            ['ALTER TABLE ' . self::BAD . ' ENGINE = MyISAM'],
            ['ALTER TABLE ' . self::BAD . ' ENGINE = InnoDB'],
            0,
        ],
        'a file that was discarded' => [
            ['ALTER TABLE ' . self::BAD . ' DISCARD TABLESPACE'],
            ['DROP TABLE ' . self::BAD, 'CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')'],
            1814,
        ],
        'a rule that the table cannot keep' => [
            ['ALTER TABLE ' . self::BAD . ' ADD UNIQUE KEY second (v)'],
            ['ALTER TABLE ' . self::BAD . ' DROP KEY second'],
            0,
        ],
    ];

    /** @return iterable<string, list<mixed>> what to break, to mend, a code, values, settings */
    public static function obstacles(): iterable
    {
        foreach (self::OBSTACLES as $name => $obstacle) {
            $obstacle[3] ??= ['v' => 1];
            foreach (
                [
                    'foreground' => ['background' => false],
                    'background' => ['background' => true],
                    'lanes' => ['background' => true, 'lanes' => 4],
                ] as $mode => $settings
            ) {
                // A foreground buffer that knows the table refuses the row in add().
                if ($mode !== 'foreground' || $name !== 'a rule that the table cannot keep') {
                    yield "{$name}, {$mode}" => [...$obstacle, $settings];
                }
            }
        }
    }

    /** The DSN of an account that has rights table by table. */
    private function account(): string
    {
        $this->admin()->exec('DROP USER IF EXISTS ' . self::ACCOUNT);
        $this->admin()->exec('CREATE USER ' . self::ACCOUNT . " IDENTIFIED BY 'pw-of-wb-parking'");
        $this->dropLater('DROP USER IF EXISTS ' . self::ACCOUNT);
        $database = self::setting('DB_DATABASE');
        foreach ([self::BAD, self::GOOD] as $table) {
            $this->admin()->exec("GRANT SELECT, INSERT, UPDATE ON {$database}.{$table} TO " . self::ACCOUNT);
        }

        return sprintf(
            'mysql://wb_parking:pw-of-wb-parking@%s:%d/%s?connect_timeout_ms=60000',
            self::setting('DB_HOST'),
            self::setting('DB_PORT'),
            $database,
        );
    }

    /** @param list<string> $statements */
    private function execute(array $statements): void
    {
        $database = self::setting('DB_DATABASE');
        foreach ($statements as $statement) {
            // An administrator's connection has no database.
            $statement = preg_replace('/\b(' . self::BAD . '|wb_parking_trigger)\b/', "{$database}.$1", $statement);
            $this->admin()->exec($statement);
        }
    }

    /**
     * @dataProvider obstacles
     *
     * @param list<string> $break
     * @param list<string> $mend
     * @param array<string, int> $values
     * @param array<string, mixed> $settings
     */
    #[DataProvider('obstacles')]
    public function testATableHoldsUpNothingElse(array $break, array $mend, int $code, array $values, array $settings): void
    {
        $buffer = $this->buffer(...$settings + ['dsn' => $this->account(), 'batchSize' => 5, 'parkTimeoutMs' => 0]);
        // A foreground buffer that meets them first in add() takes no row of some of these tables.
        $buffer->put(self::GOOD, ['id' => 0, 'v' => 0]);
        $buffer->put(self::BAD, ['id' => 0]);
        $buffer->flush();
        $this->pdo()->exec('DELETE FROM ' . self::GOOD);
        $this->pdo()->exec('DELETE FROM ' . self::BAD);
        $this->execute($break);
        $bad = static fn (int $id): array => ['id' => $id] + $values;
        $thrown = [];
        $put = static function (string $table, array $row) use ($buffer, &$thrown): void {
            try {
                $buffer->put($table, $row);
            } catch (FlushException $said) {
                // A foreground buffer says it once, when it meets it.
                $thrown[] = $said->getMessage();
            }
        };
        for ($id = 1; $id <= 40; $id++) {
            $put(self::GOOD, ['id' => $id, 'v' => $id]);
            if ($id % 4 === 0) {
                $put(self::BAD, $bad($id));
            }
        }
        self::assertLessThanOrEqual(1, count($thrown), implode("\n", $thrown));
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        self::assertSame($code, $failed->getCode(), $failed->getMessage());
        self::assertStringContainsString(self::BAD, $failed->getMessage());
        self::assertSame([], $failed->getFailures());
        self::assertSame(range(1, 40), array_map('intval', array_column($this->rows(self::GOOD, 'id', '1'), 'id')));

        $metrics = $buffer->getMetrics();
        self::assertSame([10, 10, 0], [count($buffer), $metrics['rows_parked'], $metrics['rows_refused']]);
        $table = array_key_first($metrics['tables_parked']);
        self::assertStringEndsWith(self::BAD, $table);
        $parked = $metrics['tables_parked'][$table];
        self::assertSame([10, $code], [$parked['rows'], $parked['code']], json_encode($metrics));
        self::assertNotSame('', $parked['message']);
        self::assertGreaterThan(0.0, $parked['age_ms']);
        self::assertSame($bad(8), $buffer->find(self::BAD, 8));

        // Rows that come later flow, too.
        $put(self::GOOD, ['id' => 41, 'v' => 41]);
        $put(self::BAD, $bad(44));
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertSame('41', $this->value('SELECT v FROM ' . self::GOOD . ' WHERE id = 41'));

        $this->execute($mend);
        $buffer->flush();
        self::assertSame(
            array_map(strval(...), [...range(4, 40, 4), 44]),
            array_column($this->rows(self::BAD, 'id', '1'), 'id'),
        );
        $metrics = $buffer->getMetrics();
        self::assertSame([0, 0, [], 0], [count($buffer), $metrics['rows_parked'], $metrics['tables_parked'], $metrics['rows_refused']]);
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [['background' => false]];
        yield 'background' => [['background' => true]];
        yield 'lanes' => [['background' => true, 'lanes' => 4]];
    }

    /**
     * The server says "access denied" of the session's account, and means the view's.
     *
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testAViewWhoseDefinerIsGoneHoldsUpNothingElse(array $settings): void
    {
        $admin = $this->admin();
        $admin->exec('DROP USER IF EXISTS ' . self::DEFINER);
        $this->dropLater('DROP USER IF EXISTS ' . self::DEFINER);
        $admin->exec('CREATE USER ' . self::DEFINER);
        $admin->exec('GRANT ALL ON *.* TO ' . self::DEFINER);
        $view = sprintf(
            'CREATE DEFINER = %s VIEW %2$s.wb_parking_view AS SELECT * FROM %2$s.%3$s',
            self::DEFINER,
            self::setting('DB_DATABASE'),
            self::BAD,
        );
        $admin->exec($view);
        $this->dropLater('DROP VIEW IF EXISTS wb_parking_view');
        $rules = ['wb_parking_view' => ['key' => 'server']];
        $buffer = $this->buffer(...$settings + ['tables' => $rules, 'parkTimeoutMs' => 0]);
        $buffer->put('wb_parking_view', ['id' => 1, 'v' => 1]);
        $buffer->flush();
        $admin->exec('DROP USER ' . self::DEFINER);
        $buffer->put('wb_parking_view', ['id' => 2, 'v' => 2]);
        $buffer->put(self::GOOD, ['id' => 3, 'v' => 3]);
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        self::assertStringContainsString('wb_parking_view', $failed->getMessage());
        self::assertSame([], $failed->getFailures());
        self::assertSame('3', $this->value('SELECT v FROM ' . self::GOOD . ' WHERE id = 3'));
        $this->pdo()->exec('CREATE OR REPLACE SQL SECURITY INVOKER VIEW wb_parking_view AS SELECT * FROM ' . self::BAD);
        $buffer->flush();
        self::assertSame(['1', '2'], array_column($this->rows(self::BAD, 'id', 'id'), 'id'));
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testAGroupIsHeldWholeAndItsKeysKeepTheirOrder(array $settings): void
    {
        $buffer = $this->buffer(...$settings + ['orderTable' => self::GOOD, 'tradeTable' => self::BAD]);
        $buffer->put(self::GOOD, ['id' => 1, 'v' => 0]);
        $buffer->flush();
        $this->execute(['DROP TABLE ' . self::BAD]);
        $buffer->add(['id' => 1, 'v' => 1], ['id' => 1, 'v' => 1]);
        $buffer->put(self::GOOD, ['id' => 2, 'v' => 2]);
        $buffer->put(self::GOOD, ['id' => 1, 'v' => 3]);
        for ($round = 1; $round <= 3; $round++) {
            self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
            self::assertSame(
                [['id' => '1', 'v' => '0'], ['id' => '2', 'v' => '2']],
                array_map(static fn (array $row): array => array_map(strval(...), $row), $this->rows(self::GOOD)),
                'the group with the missing table is not written in part, nor is what comes after it',
            );
            self::assertSame(3, $buffer->find(self::GOOD, 1)['v']);
            self::assertSame(3, $buffer->getMetrics()['rows_parked']);
        }
        $this->execute(['CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')']);
        self::assertSame(3, $buffer->flush());
        self::assertSame('3', $this->value('SELECT v FROM ' . self::GOOD . ' WHERE id = 1'));
        self::assertSame('1', $this->value('SELECT v FROM ' . self::BAD . ' WHERE id = 1'));
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testRowsAreGivenUpWhenTheirTimeIsOver(array $settings): void
    {
        $buffer = $this->buffer(...$settings + ['parkTimeoutMs' => 1, 'flushIntervalMs' => 1]);
        $this->execute(['DROP TABLE ' . self::BAD]);
        $buffer->put(self::BAD, ['id' => 1, 'v' => 1]);
        self::await('the row is given up', static function () use ($buffer): bool {
            self::thrownBy(static fn () => $buffer->put(self::GOOD, ['id' => 1, 'v' => 1]));
            self::thrownBy(static fn () => $buffer->flush());

            return $buffer->getMetrics()['rows_refused'] === 1;
        });
        $failures = $buffer->takeFailures();
        self::assertSame([1146], array_column($failures, 'code'));
        self::assertMatchesRegularExpression('/^given up after 1 ms \(parkTimeoutMs\): .*' . self::BAD . '/', $failures[0]['message']);
        self::assertSame('1', $this->value('SELECT v FROM ' . self::GOOD));
        $this->execute(['CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')']);
        self::assertSame(1, $buffer->retry($failures));
        $buffer->flush();
        self::assertSame('1', $this->value('SELECT v FROM ' . self::BAD));
    }

    /** The thread looks again by itself. */
    public function testRowsAreWrittenWhenTheirTableIsThere(): void
    {
        $buffer = $this->buffer(background: true, flushIntervalMs: 1);
        $this->execute(['DROP TABLE ' . self::BAD]);
        $buffer->put(self::BAD, ['id' => 1, 'v' => 1]);
        self::await('the row is parked', static fn (): bool => $buffer->getMetrics()['rows_parked'] === 1);
        self::assertSame('idle', $buffer->getMetrics()['thread_state']);
        $this->execute(['CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')']);
        self::await('the row is written', static fn (): bool => count($buffer) === 0);
        self::assertSame('1', $this->value('SELECT v FROM ' . self::BAD));
    }

    public function testFourLanesGoOnAmongMissingTablesAndRefusedRows(): void
    {
        $buffer = $this->buffer(background: true, lanes: 4, batchSize: 10, flushIntervalMs: 1, maxPendingRows: 500);
        $this->execute(['DROP TABLE ' . self::BAD]);
        $refused = [];
        for ($id = 1; $id <= 4_000; $id++) {
            if ($id % 100 === 0) {
                $buffer->put(self::BAD, ['id' => $id, 'v' => 1]);
            }
            $isRefused = $id % 500 === 0;
            if ($isRefused) {
                $refused[] = $id;
            }
            $buffer->put(self::GOOD, ['id' => $id, 'v' => $isRefused ? null : $id]);
        }
        $failed = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $failed);
        self::assertStringContainsString(self::BAD, $failed->getMessage());
        self::assertSame((string) (4_000 - count($refused)), $this->value('SELECT COUNT(*) FROM ' . self::GOOD));
        $given = array_map(static fn (array $letter): int => $letter['rows'][0]['row']['id'], $buffer->takeFailures());
        sort($given);
        self::assertSame($refused, $given);
        self::assertSame(40, $buffer->getMetrics()['rows_parked']);
        self::assertCount(40, $buffer);
        $this->execute(['CREATE TABLE ' . self::BAD . ' (' . self::COLUMNS . ')']);
        self::assertSame(40, $buffer->flush());
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testAChildWaitsForAParentThatIsParked(array $settings): void
    {
        $child = 'wb_parked_child';
        $this->createTable($child, 'id INT PRIMARY KEY, parent INT NOT NULL, FOREIGN KEY (parent) REFERENCES ' . self::BAD . ' (id)');
        [$break, $mend] = self::OBSTACLES['a definer that is gone'];
        $this->execute($break);
        $buffer = $this->buffer(...$settings);
        $buffer->put(self::BAD, ['id' => 1, 'v' => 1]);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        $buffer->put($child, ['id' => 1, 'parent' => 1]);
        $buffer->put(self::GOOD, ['id' => 1, 'v' => 1]);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        self::assertSame([], $buffer->takeFailures(), 'the parent may yet be written');
        self::assertSame('1', $this->value('SELECT v FROM ' . self::GOOD));
        $this->execute($mend);
        $buffer->flush();
        self::assertSame('1', $this->value("SELECT parent FROM {$child}"));
        self::assertSame([], $buffer->takeFailures());
    }

    public function testTheEndDoesNotWaitForATable(): void
    {
        $this->execute(['DROP TABLE ' . self::BAD]);
        $buffer = $this->buffer(background: true, shutdownTimeoutMs: 86_400_000);
        $buffer->put(self::BAD, ['id' => 1, 'v' => 1]);
        $buffer->put(self::GOOD, ['id' => 1, 'v' => 1]);
        // It would take a day.
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertStringContainsString(self::BAD, $warnings[0]);
        self::assertSame('1', $this->value('SELECT v FROM ' . self::GOOD));
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testEachGroupThatIsLeftHasTheReasonOfItsOwnTable(array $settings): void
    {
        $file = sys_get_temp_dir() . '/wb-parked-' . bin2hex(random_bytes(8)) . '.jsonl';
        $this->createTable('wb_parked_third', 'id INT PRIMARY KEY, v INT NULL');
        $this->execute(['DROP TABLE ' . self::BAD]);
        $buffer = $this->buffer(...$settings + ['deadLetterFile' => $file, 'parkTimeoutMs' => 0, 'flushIntervalMs' => 86_400_000]);
        $buffer->put(self::BAD, ['id' => 1, 'v' => 1]);
        $buffer->put(self::GOOD, ['id' => 2, 'v' => 2, 'w' => 7]);
        self::thrownBy(static fn () => $buffer->flush());
        // Behind the second one, and behind this one.
        $buffer->put(self::GOOD, ['id' => 2, 'v' => 3]);
        $buffer->put(self::GOOD, ['id' => 2, 'v' => 4]);
        $buffer->put('wb_parked_third', ['id' => 5, 'v' => 5]);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        $lines = array_map(static fn (string $line): array => json_decode($line, true), file($file));
        unlink($file);
        self::assertSame([], $warnings);
        self::assertSame(
            [[1, 1146], [2, 1054], [3, 1054], [4, 1054]],
            array_map(static fn (array $line): array => [$line['rows'][0]['row']['v'], $line['code']], $lines),
            json_encode($lines),
        );
        foreach ($lines as $line) {
            self::assertSame('unwritten', $line['status']);
            self::assertStringContainsString($line['code'] === 1146 ? self::BAD : self::GOOD, $line['message']);
            self::assertStringNotContainsString($line['code'] === 1146 ? self::GOOD : self::BAD, $line['message']);
        }
        self::assertSame('5', $this->value('SELECT v FROM wb_parked_third'));
    }
}
