<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\DeadLetterFile;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Support\SecondServer;

/**
 * A COMMIT without an answer, and a session that holds the ledger's row afterwards. The buffer ends
 * it if it is its own lost one, and nobody else's ever.
 */
final class LostSessionTest extends ChaosTestCase
{
    private const COMMIT = 'on statement COMMIT';

    /** Longer than the question waits for the row. */
    private const LONG_MS = 600_000;

    private ?SecondServer $second = null;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('wb_lost', 'id INT PRIMARY KEY, n INT NOT NULL');
    }

    protected function tearDown(): void
    {
        $this->drainBuffers();
        $this->second?->stop();
        $this->second = null;
        parent::tearDown();
    }

    /** @return iterable<string, array{bool}> */
    public static function modes(): iterable
    {
        yield 'in the foreground' => [false];
        yield 'in the background' => [true];
    }

    /**
     * The client is gone, and the server does not know: its session would hold the row for hours.
     *
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testOurOwnLostSessionIsEnded(bool $background): void
    {
        $buffer = $this->lossyBuffer($this->proxy($proxy), $background);
        $buffer->put('wb_lost', ['id' => 1, 'n' => 1]);
        $buffer->flush();
        $lost = $this->value('SELECT connection FROM write_buffer_ledger WHERE updated_at > NOW() - INTERVAL 1 MINUTE
            ORDER BY updated_at DESC LIMIT 1');
        $proxy->arm('lost', 'hold=' . self::LONG_MS . ' ' . self::COMMIT);
        $buffer->put('wb_lost', ['id' => 1, 'n' => 1]);
        self::assertSame(1, $buffer->flush());
        self::assertSame(1, $proxy->struck('lost'), $proxy->describe());
        self::assertSame([['id' => '1', 'n' => '2']], $this->rows('wb_lost'));
        self::assertNotContains($lost, $this->bufferConnections(), 'the lost session is gone');
        $buffer->close();
    }

    /**
     * After a failover to a replica the row is there as the lost session left it. Somebody else
     * holds it, and the session of that number is one more client's.
     */
    public function testABystanderOfTheSameNumberIsNotKilled(): void
    {
        $this->second = SecondServer::start();
        $second = $this->second->admin;
        $second->exec('CREATE TABLE wb_lost (id INT PRIMARY KEY, n INT NOT NULL)');
        $second->exec('INSERT INTO wb_lost VALUES (1, 2)');
        // Numbers begin anew on each server. Here they are ahead.
        do {
            $number = (int) $this->connect()->query('SELECT CONNECTION_ID()')->fetchColumn();
        } while ($number < (int) $second->query('SELECT CONNECTION_ID()')->fetchColumn() + 20);

        $port = $this->second->port;
        $dsn = preg_replace('#:(\d+)/#', ":\$1,127.0.0.1:{$port}/", $this->proxy($proxy));
        $buffer = $this->lossyBuffer($dsn, false);
        $buffer->put('wb_lost', ['id' => 1, 'n' => 1]);
        $buffer->flush();
        $ledger = $this->rows('write_buffer_ledger', 'writer, lane, connection', 'updated_at DESC')[0];
        $second->exec((string) $this->pdo()->query('SHOW CREATE TABLE write_buffer_ledger')->fetchColumn(1));
        $second->exec("INSERT INTO write_buffer_ledger (writer, lane, last_transaction, connection, updated_at)
            VALUES ('{$ledger['writer']}', 0, 2, {$ledger['connection']}, NOW())");
        $bystander = $this->sessionOfNumber((int) $ledger['connection']);
        $holder = $this->connectToSecond();
        $holder->beginTransaction();
        $holder->query('SELECT * FROM write_buffer_ledger FOR UPDATE')->fetchAll();

        $proxy->arm('lost', 'cut-before ' . self::COMMIT);
        $buffer->put('wb_lost', ['id' => 1, 'n' => 1]);
        // The question waits 5 s for the row, and then looks who may hold it.
        self::assertNotNull(self::thrownBy(static fn () => $buffer->flush(12_000)));
        self::assertSame($ledger['connection'], $bystander->query('SELECT CONNECTION_ID()')->fetchColumn());
        $holder->rollBack();
        self::assertSame(1, $buffer->flush(), 'the ledger says that it is committed');
        self::assertSame([['1', '2']], $second->query('SELECT * FROM wb_lost')->fetchAll(PDO::FETCH_NUM));
        $buffer->close();
    }

    /**
     * The answer to COMMIT is lost, and so is the server: nobody can ask it what became of the
     * group, which is in the table. A synchronous buffer keeps none, so it gives it up as such.
     */
    public function testASynchronousBufferSaysThatAGroupMayBeCommitted(): void
    {
        $buffer = new \SyncWriteBuffer($this->proxy($proxy), tables: ['wb_lost' => ['mode' => 'insert']]);
        $connecting = 100;
        $lose = static function (callable $act) use ($proxy, $buffer, &$connecting): ?\Throwable {
            // So there is a connection, which has a row in the ledger and knows the table.
            $buffer->put('wb_lost', ['id' => ++$connecting, 'n' => 0]);
            $proxy->arm('lost', 'cut-after-answer ' . self::COMMIT);
            $proxy->arm('away', 'cut-before every=1 on query SELECT VERSION');
            $thrown = self::thrownBy($act);
            $proxy->disarm('away');

            return $thrown;
        };
        $failure = static fn (int $id): array => [
            'id' => "f{$id}", 'rows' => [['table' => 'wb_lost', 'row' => ['id' => $id, 'n' => $id]]],
        ];
        $thrown = $lose(static fn () => $buffer->put('wb_lost', ['id' => 2, 'n' => 2]));
        self::assertInstanceOf(RefusedException::class, $thrown);
        self::assertStringContainsString('may be committed', $thrown->getMessage());
        [$lost] = $thrown->getFailures();
        self::assertSame(
            ['uncertain', [['table' => 'wb_lost', 'row' => ['id' => 2, 'n' => 2]]]],
            [$lost['status'], $lost['rows']],
        );
        self::assertInstanceOf(ConfigException::class, self::thrownBy(static fn () => $buffer->retry([$lost])));
        self::assertSame(1, $buffer->lastTicket(), 'of the row before');

        self::assertInstanceOf(RefusedException::class, $lose(static fn () => $buffer->retry([$failure(3)])));
        $thrown = self::thrownBy(static fn () => $buffer->retry([$failure(3)]));
        self::assertInstanceOf(ConfigException::class, $thrown, 'it may be there');

        $file = (string) tempnam(sys_get_temp_dir(), 'write-buffer-lost-');
        try {
            file_put_contents($file, json_encode($failure(4)) . "\n");
            $lose(static fn () => DeadLetterFile::retry($buffer, $file));
            self::assertSame('uncertain', json_decode((string) file_get_contents($file), true)['status'] ?? 'none');
            self::assertSame(0, DeadLetterFile::retry($buffer, $file));
        } finally {
            unlink($file);
        }
        self::assertSame(3, $proxy->struck('lost'), $proxy->describe());
        $ids = array_column($this->rows('wb_lost', '*', 'id'), 'id');
        self::assertSame(['2', '3', '4', '101', '102', '103'], $ids, 'each once');
        $buffer->put('wb_lost', ['id' => 5, 'n' => 5]);
        self::assertSame(4, $buffer->lastTicket());
    }

    private function lossyBuffer(string $dsn, bool $background): \WriteBuffer
    {
        return $this->buffer(
            dsn: "{$dsn}?connect_timeout_ms=60000",
            background: $background,
            flushIntervalMs: 86_400_000,
            tables: ['wb_lost' => ['merge' => ['n' => 'sum']]],
        );
    }

    private function connectToSecond(): PDO
    {
        return new PDO(
            "mysql:host=127.0.0.1;port={$this->second?->port};dbname=" . self::setting('DB_DATABASE'),
            self::setting('DB_USERNAME'),
            self::setting('DB_PASSWORD'),
            [PDO::ATTR_STRINGIFY_FETCHES => true, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
        );
    }

    private function sessionOfNumber(int $wanted): PDO
    {
        do {
            $session = $this->connectToSecond();
            $number = (int) $session->query('SELECT CONNECTION_ID()')->fetchColumn();
        } while ($number < $wanted);
        self::assertSame($wanted, $number);

        return $session;
    }
}
