<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use Closure;
use Illuminate\Database\Events\QueryExecuted;
use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\IncompleteException;
use WriteBuffer\Laravel\Facades\WriteBuffer;
use WriteBuffer\Laravel\Tests\Support\Item;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/**
 * The fake refuses what the test's database has no table or column for, and takes all else. The
 * judge is a buffer that writes to the same database.
 */
final class FakeSchemaTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => [
            'default' => ['driver' => 'sync', 'tables' => [
                'quotes' => ['guard' => 'version'],
                'misspelled' => ['merge' => ['sume' => 'sum']],
            ]],
            'prefixed' => ['driver' => 'sync', 'connection' => 'prefixed', 'order_table' => 'quotes'],
            'lite' => ['driver' => 'php', 'connection' => 'sqlite'],
            'down' => ['driver' => 'sync', 'connection' => 'down'],
            'memory' => ['driver' => 'native', 'dsn' => 'memory:'],
            'off' => ['driver' => 'null'],
        ]];
    }

    protected function configuration(): array
    {
        $configuration = parent::configuration();
        $configuration['database']['connections']['prefixed'] = self::server(['prefix' => 'wb_p_']);
        $configuration['database']['connections']['down'] = ['host' => '127.0.0.1', 'port' => 1] + self::server();

        return $configuration;
    }

    private function createTables(): void
    {
        $this->createTable('orders', 'id INT PRIMARY KEY, price DECIMAL(10,2)');
        $this->createTable('trades', 'id INT AUTO_INCREMENT PRIMARY KEY, Price DECIMAL(10,2)');
        $this->createTable('quotes', 'symbol VARCHAR(9) PRIMARY KEY, version INT, price INT');
        $this->createTable('misspelled', 'id INT PRIMARY KEY, n INT');
        $this->createTable('keyless', 'n INT');
        $this->createTable('wb_p_quotes', 'symbol VARCHAR(9) PRIMARY KEY, version INT');
        $this->createTable('wb_items', 'id VARCHAR(9) PRIMARY KEY, status VARCHAR(9), created_at DATETIME, updated_at DATETIME');
    }

    /** @return iterable<string, array{Closure(Buffer): mixed, ?string}> calls, and refusals */
    public static function calls(): iterable
    {
        $item = static fn (array $row): Item => new Item(['id' => 'a', 'status' => 'new'] + $row);
        yield 'a row' => [static fn (Buffer $buffer) => $buffer->add(['id' => 1, 'price' => 2]), null];
        yield 'a table that is not there' => [static fn (Buffer $buffer) => $buffer->put('order', ['id' => 1]), 'there is no table order in'];
        yield 'a column that is not there' => [
            static fn (Buffer $buffer) => $buffer->add(['id' => 1, 'prize' => 2]), 'table orders has no column prize; there are: id, price',
        ];
        yield 'in the second table' => [static fn (Buffer $buffer) => $buffer->add(['id' => 1], ['prize' => 2]), 'table trades has no column prize'];
        yield 'a column in another case' => [static fn (Buffer $buffer) => $buffer->add(null, ['PRICE' => 2]), null];
        yield 'a table with its database' => [
            static fn (Buffer $buffer) => $buffer->put(self::setting('DB_DATABASE') . '.orders', ['id' => 1, 'price' => 2]), null,
        ];
        yield 'a row without its key' => [static fn (Buffer $buffer) => $buffer->add(['price' => 2]), 'table orders: a row has no key column id'];
        yield 'a row whose key is numbered' => [static fn (Buffer $buffer) => $buffer->add(null, ['price' => 2]), null];
        yield 'a row without its guard' => [static fn (Buffer $buffer) => $buffer->put('quotes', ['symbol' => 'a']), 'has no guard column version'];
        yield 'a table without a key' => [static fn (Buffer $buffer) => $buffer->put('keyless', ['n' => 1]), 'table keyless has no primary key'];
        yield 'rules that are wrong' => [static fn (Buffer $buffer) => $buffer->put('misspelled', ['id' => 1]), 'has no column sume'];
        yield 'a deletion' => [static fn (Buffer $buffer) => $buffer->delete('quotes', 'a'), null];
        yield 'by a column that is not the key' => [static fn (Buffer $buffer) => $buffer->delete('quotes', ['price' => 1]), "needs the table's key (symbol"];
        yield 'from a table that is not there' => [static fn (Buffer $buffer) => $buffer->delete('quote', 'a'), 'there is no table quote in'];
        yield 'within a group' => [
            static fn (Buffer $buffer) => $buffer->group(static fn () => $buffer->add(['id' => 1, 'prize' => 2])), 'has no column prize',
        ];
        yield 'a model' => [static fn (Buffer $buffer) => $buffer->add($item([])), null];
        yield 'a model with such a column' => [static fn (Buffer $buffer) => $buffer->add($item(['prize' => 2])), 'table wb_items has no column prize'];
        yield 'an import' => [
            static fn (Buffer $buffer) => $buffer->putAll('orders', [['id' => 1], ['id' => 2, 'prize' => 2]]), 'has no column prize',
        ];
    }

    /**
     * @param Closure(Buffer): mixed $call
     *
     * @dataProvider calls
     */
    #[DataProvider('calls')]
    public function testItRefusesWhatARealBufferCannotWrite(Closure $call, ?string $refusal): void
    {
        $this->createTables();
        $judge = $this->buffer();
        $isRefused = false;
        try {
            $call($judge);
            // An import that is refused at once is as good a judge as one that skips the row.
            $judge->flush();
        } catch (BufferException | \TypeError) {
            $isRefused = true;
        }
        self::assertSame($refusal !== null, $isRefused, 'the judge');
        $judge->takeFailures();

        $seen = [];
        $this->app->make('events')->listen(QueryExecuted::class, static function (QueryExecuted $event) use (&$seen): void {
            $seen[] = $event->sql;
        });
        $this->app->make('db')->enableQueryLog();
        WriteBuffer::fake();
        try {
            $call(WriteBuffer::buffer());
            self::assertNull($refusal);
            self::assertGreaterThan(0, WriteBuffer::count());
        } catch (IncompleteException $e) {
            self::assertStringContainsString((string) $refusal, $e->getReasons()[2]);
            self::assertSame(1, WriteBuffer::count());
        } catch (ConfigException $e) {
            self::assertStringContainsString($refusal ?? 'nothing is refused', $e->getMessage());
            self::assertSame(0, WriteBuffer::count());
        }
        self::assertSame([[], []], [$seen, $this->app->make('db')->getQueryLog()]);
        $this->app->make('db')->select('SELECT 1');
        self::assertSame([1, 1], [count($seen), count($this->app->make('db')->getQueryLog())], 'it listens again');

        WriteBuffer::fake()->withoutSchema();
        try {
            $call(WriteBuffer::buffer());
            self::assertGreaterThan(0, WriteBuffer::count());
        } catch (IncompleteException | ConfigException $e) {
            self::fail("it looked: {$e->getMessage()}");
        }
    }

    public function testItOpensNoConnection(): void
    {
        WriteBuffer::fake();
        WriteBuffer::put('no_such_table', ['x' => 1]);
        WriteBuffer::buffer('down')->add(['id' => 1]);
        self::assertNotInstanceOf(PDO::class, $this->app->make('db')->connection()->getRawPdo());
        WriteBuffer::assertBufferedCount(2);

        // From now on the test has a database.
        $this->createTables();
        WriteBuffer::add(['id' => 1]);
        $this->expectException(ConfigException::class);
        WriteBuffer::put('no_such_table', ['x' => 1]);
    }

    public function testItCanBeToldToLook(): void
    {
        $this->createTables();
        $this->app->make('db')->disconnect();
        WriteBuffer::fake()->withSchema();
        WriteBuffer::add(['id' => 1]);
        foreach (
            [
                'there is no table no_such_table in' => static fn () => WriteBuffer::put('no_such_table', ['x' => 1]),
                'the fake cannot look for table orders: SQLSTATE[HY000] [2002]' => static fn () => WriteBuffer::buffer('down')->add(['id' => 1]),
            ] as $message => $call
        ) {
            try {
                $call();
                self::fail('it is taken');
            } catch (ConfigException $e) {
                self::assertStringContainsString($message, $e->getMessage());
                self::assertStringContainsString('WriteBuffer::fake()->withoutSchema() turns this check off', $e->getMessage());
            }
        }
        WriteBuffer::buffer('memory')->put('no_such_table', ['x' => 1]);
        WriteBuffer::buffer('off')->put('no_such_table', ['x' => 1]);
        WriteBuffer::assertBufferedCount(3);
    }

    public function testItSeesPrefixesOtherConnectionsAndNewColumns(): void
    {
        $this->createTables();
        $this->app->make('db')->connection('prefixed')->getPdo();
        WriteBuffer::fake();
        $prefixed = WriteBuffer::buffer('prefixed');
        $prefixed->add(['symbol' => 'a', 'version' => 1]);
        self::assertNotNull($prefixed->find('quotes', 'a'), 'its key is symbol');
        try {
            $prefixed->add(['symbol' => 'a', 'price' => 1]);
            self::fail('the other table has a price');
        } catch (ConfigException $e) {
            self::assertStringContainsString('table wb_p_quotes has no column price', $e->getMessage());
        }
        $this->app->make('db')->connection('mysql')->unprepared('ALTER TABLE wb_p_quotes ADD price INT');
        $prefixed->add(['symbol' => 'a', 'price' => 1]);

        $lite = $this->app->make('db')->connection('sqlite');
        $lite->getPdo();
        WriteBuffer::buffer('lite')->add(['id' => 1]);
        $lite->unprepared('CREATE TABLE others (id INTEGER PRIMARY KEY)');
        $this->expectException(ConfigException::class);
        $this->expectExceptionMessage('there is no table orders in :memory:');
        WriteBuffer::buffer('lite')->add(['id' => 1]);
    }
}
