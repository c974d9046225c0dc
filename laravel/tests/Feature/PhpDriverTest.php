<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Foundation\Testing\DatabaseTransactions;
use PDO;
use PDOException;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConnectionException;
use WriteBuffer\FlushException;
use WriteBuffer\FullException;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * What the driver `php` alone has: Laravel's connection, its transactions, and no need of the
 * extension.
 */
final class PhpDriverTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => ['default' => [
            'driver' => 'php',
            'flush_interval_ms' => 3_600_000,
            'max_retries' => 0,
            'batch_size' => 2,
            'max_pending_rows' => 2,
        ]]];
    }

    private function other(): PDO
    {
        $admin = new PDO(
            'mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'),
            'root',
            null,
            [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );

        return $admin;
    }

    public function testItWritesWithinTheTransactionOfATest(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        // Begins a transaction as RefreshDatabase does.
        $test = new class ($this->app) {
            use DatabaseTransactions;

            /** @var list<callable> */
            public array $atEnd = [];

            public function __construct(private readonly object $app)
            {
            }

            public function beforeApplicationDestroyed(callable $callback): void
            {
                $this->atEnd[] = $callback;
            }

            protected function connectionsToTransact(): array
            {
                return ['mysql'];
            }
        };
        $test->beginDatabaseTransaction();
        $this->buffer()->add([['id' => 1, 'v' => 1], ['id' => 2, 'v' => 2]]);
        try {
            $this->buffer()->add([['id' => 3, 'v' => 3], ['id' => 4, 'v' => null]]);
            self::fail('NULL was taken');
        } catch (FlushException $e) {
            self::assertSame(1048, $e->getCode());
        }
        $this->buffer()->takeFailures();

        self::assertCount(2, $this->rows('orders'), 'the refused group took back to its savepoint, and no further');
        self::assertSame('0', (string) $this->other()->query('SELECT COUNT(*) FROM orders')->fetchColumn());
        foreach ($test->atEnd as $callback) {
            $callback();
        }
        self::assertSame([], $this->rows('orders'));
    }

    public function testALockThatSomebodyHoldsLosesNothing(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT');
        $this->app->make('db')->unprepared('SET SESSION innodb_lock_wait_timeout = 1');
        $other = $this->other();
        $other->exec('INSERT INTO orders VALUES (1, 0), (2, 0)');
        $other->beginTransaction();
        $other->exec('UPDATE orders SET v = 5');
        try {
            $this->buffer()->add([['id' => 1, 'v' => 1], ['id' => 2, 'v' => 1]]);
            self::fail('it was written past a lock');
        } catch (FlushException $e) {
            self::assertSame(1205, $e->getCode());
            self::assertStringEndsWith('(2 rows still buffered)', $e->getMessage());
        }
        try {
            $this->buffer()->add(['id' => 3, 'v' => 1]);
            self::fail('there is no room');
        } catch (FullException $e) {
            self::assertStringContainsString('the last flush failed', $e->getMessage());
        }
        $other->rollBack();

        self::assertSame(2, $this->buffer()->flush());
        self::assertSame([['id' => 1, 'v' => 1], ['id' => 2, 'v' => 1]], $this->rows('orders'));
    }

    public function testALostConnectionIsMadeAnew(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT');
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $id = $this->app->make('db')->selectOne('SELECT CONNECTION_ID() AS id')->id;
        $this->other()->exec("KILL {$id}");

        self::assertSame(1, $this->buffer()->flush());
        self::assertSame([['id' => 1, 'v' => 1]], $this->rows('orders'));
    }

    /** From now on Laravel's connection gets no answer to a COMMIT. */
    private function loseAnswersToCommits(): void
    {
        $dsn = 'mysql:host=' . self::setting('DB_HOST') . ';port=' . self::setting('DB_PORT')
            . ';dbname=' . self::setting('DB_DATABASE');
        $pdo = new class ($dsn, self::setting('DB_USERNAME'), self::setting('DB_PASSWORD')) extends PDO {
            public function commit(): bool
            {
                parent::commit();
                throw new PDOException('SQLSTATE[HY000]: General error: 2006 MySQL server has gone away');
            }
        };
        $this->app->make('db')->connection()->setPdo($pdo);
    }

    /** @return iterable<string, array{callable(Buffer): void, bool}> */
    public static function doubtful(): iterable
    {
        $row = static fn (Buffer $buffer, int $id) => $buffer->put('orders', ['id' => $id, 'v' => 1]);
        yield 'rows' => [static fn (Buffer $buffer) => array_map(static fn (int $id) => $row($buffer, $id), [1, 2]), true];
        yield 'deletions' => [static fn (Buffer $buffer) => array_map(
            static fn (int $id) => $buffer->delete('orders', $id),
            [1, 2],
        ), true];
        // Written again, a partial row would find none.
        yield 'both' => [static fn (Buffer $buffer) => [$row($buffer, 1), $buffer->delete('orders', 1)], false];
        yield 'versions' => [static fn (Buffer $buffer) => $buffer->put('versions', [['id' => 1], ['id' => 1]]), false];
    }

    /**
     * @dataProvider doubtful
     *
     * @param callable(Buffer): void $add
     */
    #[DataProvider('doubtful')]
    public function testWhatIsWrittenAgainAfterALostAnswerLeavesTheSame(callable $add, bool $isRepeated): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT');
        $this->createTable('versions', 'id INT PRIMARY KEY');
        $config = $this->app->make('config');
        foreach (['batch_size' => 100, 'max_pending_rows' => 100, 'tables' => ['versions' => ['coalesce' => false]]] as $name => $value) {
            $config->set("write-buffer.buffers.default.{$name}", $value);
        }
        $this->loseAnswersToCommits();
        $buffer = $this->buffer();
        $add($buffer);
        try {
            $buffer->flush();
            self::fail('the answer came');
        } catch (FlushException | ConnectionException) {
            $statuses = array_unique(array_column($buffer->takeFailures(), 'status'));
        }
        self::assertSame($isRepeated ? [] : ['uncertain'], $statuses);
        self::assertCount($isRepeated ? 2 : 0, $buffer);
        $this->app->make('db')->reconnect();
    }

    public function testIfTheAnswerToACommitIsLostWhatMustNotBeWrittenTwiceIsGivenUp(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT');
        $this->createTable('trades', 'id INT AUTO_INCREMENT PRIMARY KEY, order_id INT');
        $this->app->make('config')->set('write-buffer.buffers.default.batch_size', 100);
        $this->app->make('config')->set('write-buffer.buffers.default.max_pending_rows', 100);
        $this->loseAnswersToCommits();
        $buffer = $this->buffer();
        $buffer->add(['id' => 1, 'v' => 1]);
        $buffer->add(['id' => 2, 'v' => 2], ['order_id' => 2]);
        $buffer->add(['id' => 3, 'v' => 3]);
        try {
            $buffer->flush();
            self::fail('the answer came');
        } catch (FlushException $e) {
            self::assertStringEndsWith('(2 rows still buffered)', $e->getMessage());
            self::assertSame($e->getFailures(), $buffer->takeFailures());
            self::assertCount(1, $e->getFailures());
            self::assertSame(['orders', 'trades'], array_column($e->getFailures()[0]['rows'], 'table'));
            self::assertStringContainsString('may be in the database or not', $e->getFailures()[0]['message']);
        }
        $metrics = $buffer->getMetrics();
        self::assertSame([1, 2, 2], [$metrics['commits_unknown'], $metrics['rows_refused'], $metrics['rows_pending']]);
        $this->app->make('db')->reconnect();
        self::assertSame(2, $buffer->flush());
        self::assertSame([1, 2, 3], array_column($this->rows('orders'), 'id'));
        self::assertCount(1, $this->rows('trades'));
    }

    public function testNothingIsGivenUpWhileTheDeadLetterFileCannotBeWrittenTo(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $folder = sys_get_temp_dir() . '/wb_laravel_' . bin2hex(random_bytes(6));
        $this->app->make('config')->set('write-buffer.buffers.default.dead_letter_file', "{$folder}/dead.jsonl");
        $this->buffer()->add(['id' => 1, 'v' => null]);
        try {
            $this->buffer()->flush();
            self::fail('NULL was taken');
        } catch (FlushException $e) {
            self::assertStringContainsString("the dead-letter file {$folder}/dead.jsonl cannot be written to", $e->getMessage());
            self::assertSame([[], 1], [$e->getFailures(), count($this->buffer())]);
        }
        try {
            mkdir($folder);
            $this->buffer()->flush();
            self::fail('NULL was taken');
        } catch (FlushException $e) {
            self::assertSame([1, 0], [count($e->getFailures()), count($this->buffer())]);
            self::assertCount(1, (array) file("{$folder}/dead.jsonl"));
        } finally {
            @unlink("{$folder}/dead.jsonl");
            @rmdir($folder);
        }
    }

    public function testTheDeadLetterFileIsTheExtensions(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL, raw VARBINARY(10)');
        $lines = [];
        foreach (['php', 'native'] as $driver) {
            $file = sys_get_temp_dir() . "/wb_laravel_{$driver}_" . getmypid() . '.jsonl';
            try {
                $this->app->make('config')->set("write-buffer.buffers.{$driver}", [
                    'driver' => $driver,
                    'background' => false,
                    'flush_interval_ms' => 3_600_000,
                    'dead_letter_file' => $file,
                ]);
                $buffer = $this->buffer($driver);
                $buffer->add(['id' => 1, 'v' => null, 'raw' => "\xff\x00"]);
                try {
                    $buffer->flush();
                    self::fail('NULL was taken');
                } catch (FlushException) {
                    self::assertSame(0600, fileperms($file) & 0777);
                }
                $line = json_decode((string) file_get_contents($file), true, 512, JSON_THROW_ON_ERROR);
                self::assertCount(1, $buffer->takeFailures());
                $fixed = $line;
                $fixed['rows'][0]['row']['v'] = 1;
                self::assertSame(1, $buffer->retry([$fixed]));
                self::assertSame(1, $buffer->flush());
                self::assertSame([['id' => 1, 'v' => 1, 'raw' => "\xff\x00"]], $this->rows('orders'));
                self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/D', $line['id']);
                self::assertSame('id', array_key_first($line));
                unset($line['id'], $line['time'], $line['message']);
                $lines[$driver] = $line;
            } finally {
                @unlink($file);
            }
        }
        self::assertSame($lines['native'], $lines['php']);
    }

    public function testItNeedsNoExtension(): void
    {
        $code = sprintf(
            'require %s; exit((static function (): int {'
            . 'if (extension_loaded("write_buffer")) { return 2; }'
            . '$database = new Illuminate\Database\Capsule\Manager();'
            . '$database->addConnection(["driver" => "sqlite", "database" => ":memory:", "prefix" => "p_"]);'
            . '$connection = $database->getConnection();'
            . '$connection->unprepared("CREATE TABLE p_orders (id INTEGER PRIMARY KEY, v INT)");'
            . '$buffer = new WriteBuffer\Laravel\Drivers\Php\PhpBuffer(static fn () => $connection,'
            . ' new WriteBuffer\Laravel\Rows\RowReader("p_"));'
            . 'foreach ([1, 2, 1] as $at => $id) { $buffer->add(["id" => $id, "v" => $at]); }'
            . 'try { $buffer->put("none", ["id" => 1]); $buffer->flush(); return 3; }'
            . ' catch (WriteBuffer\FlushException $e) { $connection->unprepared("CREATE TABLE p_none (id INTEGER PRIMARY KEY)"); }'
            . '$buffer->flush();'
            . 'return $connection->table("orders")->pluck("v", "id")->all() === [1 => 2, 2 => 1] ? 0 : 4;'
            . '})());',
            var_export(dirname(__DIR__) . '/bootstrap.php', true),
        );
        exec(escapeshellarg(PHP_BINARY) . ' -r ' . escapeshellarg($code) . ' 2>&1', $output, $status);

        self::assertSame(0, $status, implode("\n", $output));
    }
}
