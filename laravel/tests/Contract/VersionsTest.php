<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Contract;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;

/** The contract: with `'coalesce' => false` every version of a row is written, in order. */
final class VersionsTest extends ContractTestCase
{
    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testEveryVersionIsWritten(string $driver): void
    {
        $buffer = $this->of($driver, ['batch_size' => 100, 'tables' => ['orders' => ['coalesce' => false]]]);
        if ($driver !== 'memory') {
            $this->keepHistory($driver);
        }
        $expected = [];
        foreach ([1, 2, 1, 1, 2, 3, 3] as $at => $id) {
            $buffer->add(['id' => $id, 'user_id' => $at, 'status' => "v{$at}"]);
            $expected[] = ['word' => "{$id} v{$at}"];
        }
        $buffer->group(static function () use ($buffer): void {
            $buffer->add(['id' => 1, 'user_id' => 8, 'status' => 'v8']);
            $buffer->delete('orders', 1);
            $buffer->add(['id' => 1, 'user_id' => 9, 'status' => 'v9']);
            $buffer->add(['id' => 1, 'user_id' => 10, 'status' => 'v10']);
        });
        array_push($expected, ['word' => '1 v8'], ['word' => '1 gone'], ['word' => '1 v9'], ['word' => '1 v10']);
        if (!$this->isSync()) {
            self::assertSame(['id' => 1, 'user_id' => 10, 'status' => 'v10'], $buffer->find('orders', 1));
        }
        $buffer->flush();

        self::assertCounted($buffer);
        self::assertSame(0, $buffer->getMetrics()['rows_coalesced']);
        self::assertSame(
            [['id' => '1', 'status' => 'v10'], ['id' => '2', 'status' => 'v4'], ['id' => '3', 'status' => 'v6']],
            $this->tableOf('orders', ['id', 'status']),
        );
        if ($driver !== 'memory') {
            $rows = $this->rows('wb_history', $driver === 'php on sqlite' ? 'sqlite' : 'mysql');
            self::assertSame($expected, array_map(
                static fn (array $row): array => ['word' => $row['word']],
                $rows,
            ));
        }
    }

    /**
     * What one statement changes twice has one version in the history of the server.
     *
     * @dataProvider drivers
     */
    #[DataProvider('drivers')]
    public function testAHistoryOfTheServersOwnHasEveryVersion(string $driver): void
    {
        $this->driver = $driver;
        if (getenv('DB_SERVER') !== 'mariadb' || in_array($driver, ['memory', 'php on sqlite'], true)) {
            self::assertNotSame('', $driver, 'it has no such tables');

            return;
        }
        $this->createTable('wb_versions', 'id INT PRIMARY KEY, v INT');
        $this->app->make('db')->connection('mysql')->unprepared('ALTER TABLE wb_versions ADD SYSTEM VERSIONING');
        $buffer = $this->make(['tables' => ['wb_versions' => ['coalesce' => false]]]);
        foreach ([1, 2, 1, 1, 2] as $v => $id) {
            $buffer->put('wb_versions', ['id' => $id, 'v' => $v]);
        }
        $buffer->flush();

        $history = $this->app->make('db')->connection('mysql')
            ->select('SELECT id, v FROM wb_versions FOR SYSTEM_TIME ALL ORDER BY v');
        self::assertSame(
            ['1 0', '2 1', '1 2', '1 3', '2 4'],
            array_map(static fn (object $row): string => "{$row->id} {$row->v}", $history),
        );
    }

    /** @dataProvider drivers */
    #[DataProvider('drivers')]
    public function testTheRuleIsYesOrNo(string $driver): void
    {
        $this->driver = $driver;
        foreach (['no', 0, null] as $value) {
            self::assertThrown(
                ConfigException::class,
                fn () => $this->make(['tables' => ['orders' => ['coalesce' => $value]]]),
                'coalesce',
            );
        }
    }

    private function keepHistory(string $driver): void
    {
        if ($driver === 'php on sqlite') {
            $database = $this->app->make('db')->connection('sqlite');
            $database->unprepared('CREATE TABLE wb_history (n INTEGER PRIMARY KEY AUTOINCREMENT, word VARCHAR(30))');
            $word = "NEW.id || ' ' || NEW.status";
            $gone = "OLD.id || ' gone'";
            $make = $database->unprepared(...);
            $create = static fn (string $on, string $word): string => "CREATE TRIGGER wb_on_{$on} AFTER {$on} ON orders"
                . " BEGIN INSERT INTO wb_history (word) VALUES ({$word}); END";
        } else {
            $this->createTable('wb_history', 'n INT AUTO_INCREMENT PRIMARY KEY, word VARCHAR(30)');
            $word = "CONCAT(NEW.id, ' ', NEW.status)";
            $gone = "CONCAT(OLD.id, ' gone')";
            // The account may not make triggers where the server logs.
            $admin = new PDO(
                'mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'),
                'root',
                null,
                [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
            );
            $make = $admin->exec(...);
            $create = static fn (string $on, string $word): string => "CREATE TRIGGER wb_on_{$on} AFTER {$on} ON orders"
                . " FOR EACH ROW INSERT INTO wb_history (word) VALUES ({$word})";
        }
        $make($create('INSERT', $word));
        $make($create('UPDATE', $word));
        $make($create('DELETE', $gone));
    }
}
