<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\ConfigException;
use WriteBuffer\DeadLetterFile;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\NotTaken;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** A retry of a dead-letter file that is killed, and two at once. Sums show what is doubled. */
final class DeadLetterRetryTest extends DatabaseTestCase
{
    private const TABLE = 'wb_retry_sums';

    private const LINES = 250;

    private string $file;

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::TABLE, 'id INT PRIMARY KEY, n INT NOT NULL');
        $this->file = sys_get_temp_dir() . '/write-buffer-retry-' . bin2hex(random_bytes(8)) . '.jsonl';
        $lines = array_map(
            static fn (int $id): string => json_encode(
                ['id' => "f{$id}", 'status' => 'unwritten', 'rows' => [['table' => self::TABLE, 'row' => ['id' => $id, 'n' => 1]]]],
                JSON_THROW_ON_ERROR,
            ) . "\n",
            range(1, self::LINES),
        );
        file_put_contents($this->file, implode('', $lines));
        chmod($this->file, 0600);
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        array_map('unlink', glob("{$this->file}*") ?: []);
    }

    /** @return iterable<string, array{bool}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [false];
        yield 'background' => [true];
    }

    /**
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testAKillWritesNothingTwice(bool $background): void
    {
        $this->pdo()->exec('INSERT INTO ' . self::TABLE . ' VALUES (150, 0)');
        $holder = $this->connect();
        $holder->exec('SET autocommit = 0');
        $holder->exec('UPDATE ' . self::TABLE . ' SET n = n WHERE id = 150');
        $code = <<<'PHP'
            $tables = ['wb_retry_sums' => ['merge' => ['n' => 'sum']]];
            $buffer = new WriteBuffer($argv[1], background: (bool) $argv[3], tables: $tables);
            echo getmypid(), " begins\n";
            echo WriteBuffer\DeadLetterFile::retry($buffer, $argv[2]), " written\n";
            PHP;
        $killed = new PhpProcess($code, [], [$this->dsn(), $this->file, (string) (int) $background]);
        $killed->waitFor(' begins');
        $written = fn (): int => (int) $this->value('SELECT COUNT(*) FROM ' . self::TABLE . ' WHERE n = 1');
        self::await('the first chunk is written', static fn (): bool => $written() >= 100);
        // Row 150 is in the second chunk, and holds it up.
        self::await('the second chunk is begun', fn (): bool => str_contains(
            (string) file_get_contents("{$this->file}.retry"),
            '{"retry_begun":200}',
        ));
        $this->awaitLockWait();

        // Another one meanwhile writes nothing.
        $tables = [self::TABLE => ['merge' => ['n' => 'sum']]];
        $buffer = $this->buffer(background: $background, tables: $tables);
        $thrown = self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
        self::assertInstanceOf(ConfigException::class, $thrown);
        self::assertStringContainsString('another process puts its groups back', $thrown->getMessage());
        self::assertFileDoesNotExist($this->file);

        $pid = (int) $this->pidOf($killed);
        self::assertTrue(posix_kill($pid, SIGKILL));
        $killed->finish();
        $holder->exec('ROLLBACK');
        $holder = null;
        $this->awaitNoConnections();
        self::assertSame(self::LINES - 200, DeadLetterFile::retry($buffer, $this->file));
        $rows = array_map('intval', array_column($this->rows(self::TABLE), 'n', 'id'));
        $lines = array_map(static fn (string $line): array => json_decode($line, true), file($this->file));
        self::assertSame(range(101, 200), array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $lines));
        self::assertSame(['uncertain'], array_values(array_unique(array_column($lines, 'status'))));
        for ($id = 1; $id <= self::LINES; $id++) {
            $isUncertain = $id > 100 && $id <= 200;
            self::assertContains($rows[$id] ?? 0, $isUncertain ? [0, 1] : [1], "row {$id}");
        }

        // A person has looked.
        foreach ($lines as &$line) {
            $line['status'] = 'unwritten';
        }
        unset($line);
        $missing = array_filter($lines, static fn (array $line): bool => ($rows[$line['rows'][0]['row']['id']] ?? 0) === 0);
        file_put_contents($this->file, implode('', array_map(static fn (array $line): string => json_encode($line) . "\n", $missing)));
        self::assertSame(count($missing), DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([(string) self::LINES], array_column($this->rows(self::TABLE, 'SUM(n) AS n', '1'), 'n'));
        self::assertSame([], glob("{$this->file}*"));
    }

    /**
     * In two files a group could be put back twice.
     *
     * @dataProvider modes
     */
    #[DataProvider('modes')]
    public function testWhatIsRefusedAgainIsInTheBuffersOwnFileAlone(bool $background): void
    {
        $this->pdo()->exec('ALTER TABLE ' . self::TABLE . ' ADD CHECK (id % 50 <> 0)');
        $own = "{$this->file}.own";
        $buffer = $this->buffer(background: $background, deadLetterFile: $own);
        $ids = static fn (string $file): array => array_map(
            static fn (string $line): int => json_decode($line, true)['rows'][0]['row']['id'],
            is_file($file) ? (array) file($file) : [],
        );
        self::assertSame(self::LINES - 5, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([], $ids($this->file));
        self::assertSame([50, 100, 150, 200, 250], $ids($own));
        self::assertSame((string) (self::LINES - 5), $this->value('SELECT COUNT(*) FROM ' . self::TABLE));
        // Its own file as well: each one is there once.
        self::assertSame(0, DeadLetterFile::retry($buffer, $own));
        self::assertSame([50, 100, 150, 200, 250], $ids($own));
        self::assertCount(10, $buffer->takeFailures());
    }

    /** A class that says that nothing was taken is behind one that says what was. */
    public function testSaysHowManyWerePutBackIfTheBufferIsFull(): void
    {
        $lines = array_map(
            static fn (array $ids): string => json_encode(['id' => "f{$ids[0]}", 'rows' => array_map(
                static fn (int $id): array => ['table' => self::TABLE, 'row' => ['id' => $id, 'n' => 1]],
                $ids,
            )], JSON_THROW_ON_ERROR) . "\n",
            [[1], [2, 3], [4]],
        );
        file_put_contents($this->file, implode('', $lines));
        $buffer = $this->buffer(background: true, batchSize: 1, maxPendingRows: 2, overflow: 'throw');
        // One of the two places is taken by a row that waits for its table.
        $buffer->put('wb_retry_missing', ['id' => 1]);
        self::assertInstanceOf(BlockedException::class, self::thrownBy(static fn () => $buffer->flush()));

        $thrown = self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
        self::assertInstanceOf(IncompleteException::class, $thrown);
        self::assertNotInstanceOf(NotTaken::class, $thrown);
        self::assertSame([1, 1], [$thrown->getTakenGroups(), $thrown->getTakenRows()]);
        self::assertStringStartsWith('DeadLetterFile::retry() put back 1 group; then: the buffer is full', $thrown->getMessage());
        self::assertInstanceOf(FullException::class, $thrown->getPrevious());
        self::assertSame($lines[1] . $lines[2], file_get_contents($this->file));
        self::assertFileDoesNotExist("{$this->file}.retry");

        // Now the first one does not fit: nothing was taken, as the class says.
        self::assertInstanceOf(FullException::class, self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file)));
        self::assertSame($lines[1] . $lines[2], file_get_contents($this->file));
        $this->createTable('wb_retry_missing', 'id INT PRIMARY KEY');
        self::assertSame(1, $buffer->flush());
        self::assertSame(2, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame('4', $this->value('SELECT SUM(n) FROM ' . self::TABLE));
    }

    private function pidOf(PhpProcess $process): string
    {
        $output = (new \ReflectionProperty($process, 'output'))->getValue($process);

        return strstr($output, ' begins', true) ?: self::fail($output);
    }
}
