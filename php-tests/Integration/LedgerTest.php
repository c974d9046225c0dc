<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/**
 * The table write_buffer_ledger: when it is used, what it holds, who creates it and cleans it up.
 */
final class LedgerTest extends DatabaseTestCase
{
    private const LEDGER = 'write_buffer_ledger';

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_orders', 'id INT PRIMARY KEY, v VARCHAR(20), n INT NOT NULL DEFAULT 0');
        $this->createTable('wb_trades', 'id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL');
        $this->pdo()->exec('DROP TABLE IF EXISTS ' . self::LEDGER);
        $this->dropLater('DROP TABLE IF EXISTS ' . self::LEDGER);
    }

    private function ledgerBuffer(mixed ...$settings): \WriteBuffer
    {
        return $this->buffer(...$settings + ['orderTable' => 'wb_orders', 'tradeTable' => 'wb_trades']);
    }

    public function testALedgerWithoutTransactionsIsRefused(): void
    {
        $buffer = $this->ledgerBuffer(ledger: 'always');
        $buffer->put('wb_orders', ['id' => 1, 'v' => 'a']);
        $buffer->flush();
        $this->admin()->exec('ALTER TABLE ' . self::LEDGER . ' ENGINE = MyISAM');
        $other = $this->ledgerBuffer(ledger: 'always', background: false);
        try {
            $other->put('wb_orders', ['id' => 2, 'v' => 'b']);
            $other->flush();
            self::fail('written by a ledger without transactions');
        } catch (\WriteBuffer\ConfigException $refused) {
            self::assertMatchesRegularExpression('/engine MyISAM.*ENGINE = InnoDB/', $refused->getMessage());
        }
        self::assertSame(['1'], array_column($this->rows('wb_orders'), 'id'));

        $this->admin()->exec('ALTER TABLE ' . self::LEDGER . ' ENGINE = InnoDB');
        $other->put('wb_orders', ['id' => 2, 'v' => 'b']);
        $other->flush();
        self::assertSame(['1', '2'], array_column($this->rows('wb_orders'), 'id'));
        $buffer->close();
        $other->close();
    }

    private function hasLedger(): bool
    {
        return $this->value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
            AND TABLE_NAME = '" . self::LEDGER . "'") === '1';
    }

    /**
     * @return iterable<string, array{string, array<string, mixed>, bool}> the setting, the rules,
     *         whether it is used
     */
    public static function uses(): iterable
    {
        $sum = ['wb_orders' => ['merge' => ['n' => 'sum']]];
        yield 'replaced rows need none' => ['auto', [], false];
        yield 'other rules neither' => [
            'auto',
            ['wb_orders' => ['merge' => ['n' => 'max', 'v' => 'keep'], 'guard' => 'id2']],
            false,
        ];
        yield 'sums do' => ['auto', $sum, true];
        yield 'insert-only rows do' => ['auto', ['wb_orders' => ['mode' => 'insert']], true];
        yield 'not where somebody accepts it' => [
            'auto',
            ['wb_orders' => ['merge' => ['n' => 'sum'], 'repeatable' => true]],
            false,
        ];
        yield 'always' => ['always', [], true];
        yield 'never' => ['never', ['wb_orders' => ['merge' => ['n' => 'sum'], 'repeatable' => true]], false];
    }

    /**
     * @dataProvider uses
     *
     * @param array<string, mixed> $tables
     */
    #[DataProvider('uses')]
    public function testWhenItIsUsed(string $ledger, array $tables, bool $isUsed): void
    {
        if (isset($tables['wb_orders']['guard'])) {
            $this->pdo()->exec('ALTER TABLE wb_orders ADD id2 INT');
        }
        foreach ([false, true] as $background) {
            $buffer = $this->ledgerBuffer(ledger: $ledger, tables: $tables, background: $background);
            $buffer->add(['id' => (int) $background, 'n' => 1] + (isset($tables['wb_orders']['guard']) ? ['id2' => 1] : []));
            $buffer->flush();
            self::assertSame($isUsed, $this->hasLedger(), $background ? 'background' : 'foreground');
        }
    }

    public function testHoldsTheNumberOfTheLastTransaction(): void
    {
        $buffer = $this->ledgerBuffer();
        foreach ([1, 2, 3] as $number) {
            $buffer->add(['id' => $number], ['order_id' => $number]);
            $buffer->flush();
            $rows = $this->rows(self::LEDGER, 'writer, lane, last_transaction, connection');
            self::assertCount(1, $rows);
            self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/D', $rows[0]['writer']);
            self::assertSame(['0', (string) $number], [$rows[0]['lane'], $rows[0]['last_transaction']]);
            self::assertContains($rows[0]['connection'], $this->bufferConnections());
        }
    }

    public function testTwoWritersHaveARowEachAndTakeItAlong(): void
    {
        $buffers = [$this->ledgerBuffer(background: true), $this->ledgerBuffer(), $this->syncBuffer(tradeTable: 'wb_trades')];
        foreach ($buffers as $number => $buffer) {
            $buffer->add(null, ['order_id' => $number]);
            $buffer->flush();
        }
        self::assertCount(3, array_unique(array_column($this->rows(self::LEDGER), 'writer')));
        $late = 0;
        while ($buffers !== []) {
            $began = hrtime(true);
            array_pop($buffers);
            unset($buffer);
            // A busy machine may reach the bound of an end. Only then may its row stay, to be
            // pruned.
            $late += hrtime(true) - $began < self::GOODBYE_NS ? 0 : 1;
            $left = count($this->rows(self::LEDGER)) - count($buffers);
            self::assertTrue($left >= 0 && $left <= $late, "{$left} rows too much, {$late} ends were late");
        }
    }

    public function testAForkedChildIsAnotherWriter(): void
    {
        PhpProcess::run(
            <<<'PHP'
                $buffer = new WriteBuffer(dsn: $argv[1], tradeTable: 'wb_trades', background: true);
                $buffer->add(null, ['order_id' => 1]);
                $buffer->flush();
                if (pcntl_fork() === 0) {
                    $buffer->add(null, ['order_id' => 2]);
                    $buffer->flush();
                    posix_kill(getmypid(), SIGKILL);
                }
                pcntl_wait($status);
                $buffer->add(null, ['order_id' => 3]);
                $buffer->flush();
                posix_kill(getmypid(), SIGKILL);
                PHP,
            [],
            [$this->dsn()],
        );
        $rows = $this->rows(self::LEDGER, 'writer, last_transaction', 'last_transaction');
        self::assertSame(['1', '2'], array_column($rows, 'last_transaction'), 'the dead leave their rows behind');
        self::assertNotSame($rows[0]['writer'], $rows[1]['writer']);
    }

    public function testRowsOfDeadWritersArePrunedAfterAWeek(): void
    {
        $first = $this->ledgerBuffer();
        $first->add(null, ['order_id' => 1]);
        $first->flush();
        foreach (['old' => 8, 'young' => 6] as $writer => $days) {
            $this->pdo()->exec('INSERT INTO ' . self::LEDGER . " (writer, lane, last_transaction, connection, updated_at)
                VALUES ('{$writer}', 0, 1, 1, NOW() - INTERVAL {$days} DAY)");
        }
        $second = $this->ledgerBuffer();
        $second->add(null, ['order_id' => 2]);
        $second->flush();
        $writers = array_column($this->rows(self::LEDGER), 'writer');
        self::assertContains('young', $writers);
        self::assertNotContains('old', $writers);
        self::assertCount(3, $writers);
    }

    public function testARowThatSomebodyDeletedIsMadeAnew(): void
    {
        foreach ([false, true] as $background) {
            $buffer = $this->ledgerBuffer(background: $background);
            $buffer->add(null, ['order_id' => 1]);
            $buffer->flush();
            $this->pdo()->exec('DELETE FROM ' . self::LEDGER);
            $buffer->add(null, ['order_id' => 2]);
            self::assertSame(1, $buffer->flush());
            self::assertCount(1, $this->rows(self::LEDGER));
            unset($buffer);
        }
        self::assertSame('4', $this->value('SELECT COUNT(*) FROM wb_trades'));
    }

    public function testATableThatSomebodyDroppedIsSaidAndMadeAnew(): void
    {
        $buffer = $this->ledgerBuffer();
        $buffer->add(null, ['order_id' => 1]);
        $buffer->flush();
        $this->pdo()->exec('DROP TABLE ' . self::LEDGER);
        $buffer->add(null, ['order_id' => 2]);
        self::assertThrowsMatching(
            BlockedException::class,
            "/^table write_buffer_ledger: .* doesn't exist \\(1 row still buffered\\)$/D",
            static fn () => $buffer->flush(),
            1146,
        );
        self::assertSame(1, $buffer->flush());
        self::assertSame('2', $this->value('SELECT COUNT(*) FROM wb_trades'));
    }

    public function testWhoMayNotMakeItIsToldHow(): void
    {
        $admin = $this->admin();
        $database = $this->value('SELECT DATABASE()');
        $this->dropLater("DROP USER IF EXISTS 'wb_small'@'127.0.0.1'");
        $admin->exec("CREATE USER 'wb_small'@'127.0.0.1' IDENTIFIED BY 'pw-of-wb-small'");
        foreach (['wb_orders', 'wb_trades'] as $table) {
            $admin->exec("GRANT SELECT, INSERT, UPDATE ON {$database}.{$table} TO 'wb_small'@'127.0.0.1'");
        }
        $dsn = 'mysql://wb_small:pw-of-wb-small@127.0.0.1:' . self::setting('DB_PORT') . "/{$database}";
        $settings = ['dsn' => $dsn, 'orderTable' => 'wb_orders', 'tradeTable' => 'wb_trades'];
        $expected = '/write_buffer_ledger.* CREATE TABLE IF NOT EXISTS `write_buffer_ledger` \(.*SELECT, INSERT and UPDATE'
            . ".*ledger: 'never'/s";

        $foreground = $this->buffer(...$settings + ['background' => false]);
        self::assertThrowsMatching(ConfigException::class, $expected, static fn () => $foreground->add(null, ['order_id' => 1]));
        self::assertCount(0, $foreground, 'not taken');
        $foreground->add(['id' => 1]);
        self::assertSame(1, $foreground->flush(), 'what needs no ledger is written');

        $background = $this->buffer(...$settings + ['background' => true]);
        $background->add(null, ['order_id' => 2]);
        $thrown = self::assertThrowsMatching(BlockedException::class, $expected, static fn () => $background->flush());
        self::assertStringNotContainsString('pw-of-wb-small', $thrown->getMessage());
        self::assertCount(1, $background, 'taken, and still there');

        preg_match('/CREATE TABLE IF NOT EXISTS .*ENGINE = InnoDB/s', $thrown->getMessage(), $ddl);
        $admin->exec($ddl[0]);
        $admin->exec("GRANT SELECT, INSERT, UPDATE, DELETE ON {$database}." . self::LEDGER . " TO 'wb_small'@'127.0.0.1'");
        self::assertSame(1, $background->flush());
        $foreground->add(null, ['order_id' => 3]);
        self::assertSame(1, $foreground->flush());
        self::assertSame('2', $this->value('SELECT COUNT(*) FROM wb_trades'));
    }

    /** @return iterable<string, array{string, string}> the setting, and the table as SQL has it */
    public static function tableNames(): iterable
    {
        yield 'another name' => ['wb_own_ledger', '`wb_own_ledger`'];
        yield 'a name that needs care' => ['wb\'led`ger; --', "`wb'led``ger; --`"];
        yield 'another database' => ['write_buffer_audit.ledger', '`write_buffer_audit`.`ledger`'];
        yield 'a dot, and the own database' => ['`write_buffer_test`.`wb.ledger`', '`write_buffer_test`.`wb.ledger`'];
    }

    /**
     * @dataProvider tableNames
     */
    #[DataProvider('tableNames')]
    public function testItsTableMayBeAnother(string $name, string $table): void
    {
        $this->pdo()->exec('CREATE DATABASE IF NOT EXISTS write_buffer_audit');
        $this->dropLater('DROP DATABASE IF EXISTS write_buffer_audit');
        $this->dropLater("DROP TABLE IF EXISTS {$table}");
        foreach ([false, true] as $background) {
            $buffer = $this->ledgerBuffer(ledgerTable: $name, background: $background);
            foreach ([1, 2] as $number) {
                $buffer->add(null, ['order_id' => $number]);
                $buffer->flush();
                self::assertSame([(string) $number], array_column($this->rows($table), 'last_transaction'));
            }
            $this->pdo()->exec("DROP TABLE {$table}");
            $buffer->add(null, ['order_id' => 3]);
            self::assertThrowsMatching(
                BlockedException::class,
                "/^table .* doesn't exist \\(1 row still buffered\\)$/D",
                static fn () => $buffer->flush(),
                1146,
            );
            self::assertSame(1, $buffer->flush());
            unset($buffer);
            self::await('a clean end takes its row along', fn (): bool => $this->rows($table) === []);
        }
        self::assertSame('6', $this->value('SELECT COUNT(*) FROM wb_trades'));
        self::assertFalse($this->hasLedger());
    }

    public function testTheSynchronousBufferHasItsTable(): void
    {
        $this->dropLater('DROP TABLE IF EXISTS wb_own_ledger');
        $buffer = $this->syncBuffer(tradeTable: 'wb_trades', ledgerTable: 'wb_own_ledger');
        $buffer->add(null, ['order_id' => 1]);
        self::assertCount(1, $this->rows('wb_own_ledger'));
        self::assertFalse($this->hasLedger());
    }

    public function testATableNameOutsideTheSessionsCharacterSetIsRefused(): void
    {
        $buffer = $this->syncBuffer(dsn: $this->dsnWith('charset=gbk'), tradeTable: 'wb_trades', ledgerTable: 'wb_中`');
        self::assertThrowsMatching(
            ConfigException::class,
            '/^table wb_中`: .*charset=utf8mb4/',
            static fn () => $buffer->add(null, ['order_id' => 1]),
        );
    }

    public function testWithoutDeleteNothingIsCleanedUpAndAllIsWritten(): void
    {
        $admin = $this->admin();
        $database = $this->value('SELECT DATABASE()');
        $this->dropLater("DROP USER IF EXISTS 'wb_least'@'127.0.0.1'");
        $this->dropLater('DROP TABLE IF EXISTS wb_least_ledger');
        $admin->exec("CREATE USER 'wb_least'@'127.0.0.1' IDENTIFIED BY 'pw-of-wb-least'");
        $admin->exec("GRANT INSERT ON {$database}.wb_trades TO 'wb_least'@'127.0.0.1'");
        $maker = $this->ledgerBuffer(ledgerTable: 'wb_least_ledger');
        $maker->add(null, ['order_id' => 1]);
        unset($maker);
        $admin->exec("INSERT INTO wb_least_ledger (writer, lane, last_transaction, connection, updated_at)
            VALUES ('old', 0, 1, 1, NOW() - INTERVAL 8 DAY)");
        $admin->exec("GRANT SELECT, INSERT, UPDATE ON {$database}.wb_least_ledger TO 'wb_least'@'127.0.0.1'");
        $dsn = 'mysql://wb_least:pw-of-wb-least@127.0.0.1:' . self::setting('DB_PORT') . "/{$database}";
        foreach ([false, true] as $background) {
            $buffer = $this->ledgerBuffer(dsn: $dsn, ledgerTable: 'wb_least_ledger', background: $background);
            foreach ([2, 3] as $id) {
                $buffer->add(null, ['order_id' => $id]);
                self::assertSame(1, $buffer->flush());
            }
            unset($buffer);
        }
        self::assertSame('5', $this->value('SELECT COUNT(*) FROM wb_trades'));
        self::assertSame(['1', '2', '2'], array_column($this->rows('wb_least_ledger', '*', 'last_transaction'), 'last_transaction'));
    }

    /** Written twice it would be two rows. */
    public function testARowThatTheServerNumbersNeedsIt(): void
    {
        $upsert = ['wb_trades' => ['mode' => 'upsert']];
        foreach ([false, true] as $background) {
            $buffer = $this->ledgerBuffer(tables: $upsert, background: $background);
            $buffer->put('wb_trades', ['id' => 7, 'order_id' => 1]);
            $buffer->flush();
            self::assertFalse($this->hasLedger(), 'a row with its key needs none');
            $buffer->put('wb_trades', ['order_id' => 2]);
            $buffer->flush();
            self::assertSame(['1'], array_column($this->rows(self::LEDGER), 'last_transaction'));
            unset($buffer);
            $this->pdo()->exec('DROP TABLE ' . self::LEDGER);

            $accepted = ['wb_trades' => ['mode' => 'upsert', 'repeatable' => true]];
            foreach (['auto', 'never'] as $ledger) {
                $buffer = $this->ledgerBuffer(tables: $accepted, background: $background, ledger: $ledger);
                $buffer->put('wb_trades', ['order_id' => 3]);
                $buffer->flush();
                self::assertFalse($this->hasLedger(), $ledger);
            }
            $never = $this->ledgerBuffer(tables: $upsert, background: $background, ledger: 'never');
            $never->put('wb_trades', ['id' => 8, 'order_id' => 4]);
            $never->flush();
            self::assertThrowsMatching(
                ConfigException::class,
                "/^table wb_trades: a row without its AUTO_INCREMENT key is an insert, and ledger is 'never'/",
                static fn () => $never->put('wb_trades', ['order_id' => 5]),
            );
        }
        self::assertSame('0', $this->value('SELECT COUNT(*) FROM wb_trades WHERE order_id = 5'));
    }

    public function testTablesThatNeedItAreRefusedWithoutIt(): void
    {
        $buffer = $this->ledgerBuffer(ledger: 'never');
        self::assertThrowsMatching(
            ConfigException::class,
            "/^table wb_trades: it is insert-only, and ledger is 'never'/",
            static fn () => $buffer->add(['id' => 1], ['order_id' => 1]),
        );
        self::assertCount(0, $buffer);
        $buffer->add(['id' => 1]);
        $buffer->flush();
        self::assertFalse($this->hasLedger());
    }
}
