<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Illuminate\Foundation\Application;
use Illuminate\Foundation\Testing\DatabaseTransactions;
use Illuminate\Foundation\Testing\TestCase as LaravelTestCase;
use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use Throwable;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Testing\TestEnd;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * A test of an application with the driver `php`, as Laravel runs it, within this test. Its rows
 * are written before its transaction is rolled back, and never in the test after it.
 */
final class TestEndTest extends TestCase
{
    private PDO $judge;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->judge = new PDO(
            'mysql:unix_socket=' . self::setting('DB_SOCKET') . ';dbname=' . self::setting('DB_DATABASE'),
            'root',
        );
    }

    /** @return list<int> */
    private function committed(): array
    {
        return array_map('intval', $this->judge->query('SELECT id FROM orders ORDER BY id')->fetchAll(PDO::FETCH_COLUMN));
    }

    /**
     * Runs a test. Somebody keeps its buffer for longer than the test lives.
     *
     * @param callable(Application, Buffer): void $body
     *
     * @return array{Buffer, list<int>, Throwable|null} the buffer; the rows that the table had for
     * @return array{Buffer, list<int>, Throwable|null} the buffer; the rows that the test has seen
     */
    private function runOne(callable $body, bool $isInTransaction): array
    {
        $test = new class ('testIt') extends TestCase {
            use DatabaseTransactions;

            public bool $isInTransaction = true;

            /** @var list<int> */
            public array $seen = [];

            public function beginDatabaseTransaction(): void
            {
                // Runs before the rollback that is registered below.
                $this->beforeApplicationDestroyed(function (): void {
                    $this->seen = $this->app->make('db')->table('orders')->orderBy('id')->pluck('id')->all();
                });
                if (!$this->isInTransaction) {
                    return;
                }
                $connection = $this->app->make('db')->connection();
                $connection->unsetEventDispatcher();
                $connection->beginTransaction();
                $this->beforeApplicationDestroyed(function () use ($connection): void {
                    $connection->rollBack();
                    $connection->disconnect();
                });
            }

            public function application(): Application
            {
                return $this->app;
            }

            public function begin(): void
            {
                $this->setUp();
            }

            public function end(): void
            {
                // Without what the package's own tests do at their end.
                LaravelTestCase::tearDown();
            }

            public function testIt(): void
            {
            }
        };
        $test->isInTransaction = $isInTransaction;
        $test->begin();
        $app = $test->application();
        $app->make('config')->set('write-buffer.buffers.default', ['driver' => 'php', 'flush_interval_ms' => 3_600_000]);
        $buffer = $app->make(Buffer::class);
        $body($app, $buffer);
        $thrown = null;
        try {
            $test->end();
        } catch (Throwable $e) {
            $thrown = $e;
        }

        return [$buffer, $test->seen, $thrown];
    }

    /** @return iterable<string, array{bool}> */
    public static function databases(): iterable
    {
        yield 'in a transaction' => [true];
        yield 'without one' => [false];
    }

    /**
     * @dataProvider databases
     */
    #[DataProvider('databases')]
    public function testRowsAreWrittenBeforeTheTestsRollback(bool $isInTransaction): void
    {
        [$buffer, $seen, $thrown] = $this->runOne(static function (Application $app, Buffer $buffer): void {
            $buffer->add(['id' => 1, 'v' => 1]);
        }, $isInTransaction);

        self::assertNull($thrown);
        self::assertSame([1], $seen, 'a constraint that it breaks would be seen by the test');
        self::assertSame($isInTransaction ? [] : [1], $this->committed());
        self::assertCount(0, $buffer);
        unset($buffer);
        gc_collect_cycles();
        self::assertSame($isInTransaction ? [] : [1], $this->committed());
    }

    public function testARowThatIsRefusedFailsItsTest(): void
    {
        [$buffer, , $thrown] = $this->runOne(static function (Application $app, Buffer $buffer): void {
            $buffer->add(['id' => 1, 'v' => null]);
        }, true);

        self::assertStringContainsString("Column 'v' cannot be null", (string) $thrown?->getMessage());
        self::assertCount(0, $buffer);
    }

    public function testRowsThatCannotBeWrittenAnyMoreAreReportedAndDropped(): void
    {
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            [$buffer] = $this->runOne(function (Application $app, Buffer $buffer): void {
                // It ends with the application, when the connection is gone, and before the
                // package's own end.
                $end = $app->make(TestEnd::class);
                $app->forgetInstance(TestEnd::class);
                $app->instance('late', new class ($buffer) {
                    public function __construct(private readonly Buffer $buffer)
                    {
                    }

                    public function __destruct()
                    {
                        $this->buffer->add(['id' => 1, 'v' => 1]);
                    }
                });
                $app->instance(TestEnd::class, $end);
            }, true);
            self::assertCount(1, $warnings);
            self::assertStringContainsString('Call flush() in the test', $warnings[0]);
            self::assertCount(0, $buffer);
            unset($buffer);
            gc_collect_cycles();
            self::assertCount(1, $warnings, 'nothing comes later');
        } finally {
            restore_error_handler();
        }
        self::assertSame([], $this->committed());
    }
}
