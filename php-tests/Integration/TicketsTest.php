<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PDO;
use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\BlockedException;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\TimeoutException;

/** waitFor() returns when its group is in the table, whatever becomes of others. PDO looks. */
final class TicketsTest extends DatabaseTestCase
{
    private const HELD = 'wb_ticket_held';
    private const FREE = 'wb_ticket_free';

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable(self::HELD, 'id INT PRIMARY KEY, v INT NOT NULL');
        $this->createTable(self::FREE, 'id INT PRIMARY KEY, v INT NOT NULL');
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function modes(): iterable
    {
        yield 'foreground' => [['background' => false]];
        yield 'background' => [['background' => true]];
        yield 'lanes' => [['background' => true, 'lanes' => 4]];
    }

    private function holder(): PDO
    {
        $holder = $this->connect();
        $holder->exec('SET autocommit = 0');
        $holder->exec('LOCK TABLES ' . self::HELD . ' WRITE');

        return $holder;
    }

    private function versionOf(string $table, int $id): int
    {
        return (int) $this->value("SELECT v FROM {$table} WHERE id = {$id}");
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testReturnsWhileALaterGroupsTableIsLocked(array $settings): void
    {
        $buffer = $this->buffer(...$settings);
        $holder = $this->holder();
        for ($id = 1; $id <= 3; $id++) {
            $first = $buffer->put(self::FREE, ['id' => $id, 'v' => 1]);
            $held = $buffer->put(self::HELD, ['id' => $id, 'v' => 1]);
            $buffer->waitFor($first);
            self::assertSame(1, $this->versionOf(self::FREE, $id));
            self::assertLessThan($held, $buffer->committedThrough());
        }
        self::assertSame(1, $buffer->committedThrough(), 'the second group is held');
        self::assertCount(3, $buffer);

        // Its own table is locked: the time is over, and it stays.
        $late = self::thrownBy(static fn () => $buffer->waitFor($held, 1));
        self::assertInstanceOf(TimeoutException::class, $late, (string) $late);
        self::assertCount(3, $buffer);
        $holder->exec('UNLOCK TABLES');
        $buffer->waitFor($held);
        self::assertSame(1, $this->versionOf(self::HELD, 3));
        self::assertSame(0, $buffer->getMetrics()['rows_refused']);
        $buffer->flush();
        self::assertSame($held, $buffer->committedThrough());
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testSaysThatItsGroupWaitsForATable(array $settings): void
    {
        $buffer = $this->buffer(...$settings);
        $this->pdo()->exec('DROP TABLE ' . self::HELD);
        $tickets = $parked = [];
        for ($id = 1; $id <= 40; $id++) {
            if ($id % 10 === 5) {
                $parked[] = $buffer->put(self::HELD, ['id' => $id, 'v' => 1]);
            } else {
                $tickets[$id] = $buffer->put(self::FREE, ['id' => $id, 'v' => 1]);
            }
        }
        self::assertSame([5, 15, 25, 35], $parked);
        foreach ($tickets as $id => $ticket) {
            $buffer->waitFor($ticket);
            self::assertSame(1, $this->versionOf(self::FREE, $id));
        }
        self::assertSame(4, $buffer->committedThrough(), 'the fifth waits for its table, those behind it do not');
        $failed = self::thrownBy(static fn () => $buffer->waitFor(15));
        self::assertInstanceOf(BlockedException::class, $failed);
        self::assertSame([1146, []], [$failed->getCode(), $failed->getFailures()]);
        self::assertMatchesRegularExpression('/^ticket 15 waits: .*wb_ticket_held.* \(4 rows still buffered\)$/D', $failed->getMessage());
        self::assertCount(4, $buffer);
        self::assertSame(4, $buffer->committedThrough());

        $this->createTable(self::HELD, 'id INT PRIMARY KEY, v INT NOT NULL');
        $buffer->waitFor(25);
        self::assertSame(1, $this->versionOf(self::HELD, 25));
        $buffer->flush();
        self::assertSame(40, $buffer->committedThrough());
        self::assertSame(['5', '15', '25', '35'], array_column($this->rows(self::HELD), 'id'));
    }

    /**
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testThrowsForTheGroupThatTheServerRefuses(array $settings): void
    {
        $buffer = $this->buffer(...$settings);
        $tickets = [];
        for ($id = 1; $id <= 20; $id++) {
            $tickets[$id] = $buffer->put(self::FREE, ['id' => $id, 'v' => $id === 7 ? '9999999999' : $id]);
        }
        foreach ($tickets as $id => $ticket) {
            $thrown = self::thrownBy(static fn () => $buffer->waitFor($ticket));
            self::assertSame($id === 7 ? 0 : $id, $this->versionOf(self::FREE, $id));
            if ($id !== 7) {
                self::assertNull($thrown, (string) $thrown);
                continue;
            }
            self::assertInstanceOf(RefusedException::class, $thrown);
            self::assertSame(1264, $thrown->getCode());
            self::assertSame(
                [[['table' => self::FREE, 'row' => ['id' => 7, 'v' => '9999999999']]]],
                array_column($thrown->getFailures(), 'rows'),
            );
        }
        self::assertSame(20, $buffer->committedThrough());
        self::assertSame(0, $buffer->flush(), 'its caller was told');
        self::assertCount(1, $buffer->takeFailures());
    }

    /**
     * Versions of few keys in random order, and waits for random ones among them.
     *
     * @dataProvider modes
     *
     * @param array<string, mixed> $settings
     */
    #[DataProvider('modes')]
    public function testEachWaitEndsWithItsRowInTheTable(array $settings): void
    {
        mt_srand(16);
        $buffer = $this->buffer(...$settings + ['batchSize' => 3, 'flushIntervalMs' => 5]);
        $added = [];
        for ($version = 1; $version <= 600; $version++) {
            $id = mt_rand(1, 25);
            $ticket = $buffer->put(self::FREE, ['id' => $id, 'v' => $version]);
            self::assertSame($version, $ticket);
            $added[$ticket] = $id;
            if (mt_rand(1, 4) === 1) {
                $wanted = max(1, $ticket - mt_rand(0, 12));
                $buffer->waitFor($wanted);
                self::assertGreaterThanOrEqual($wanted, $this->versionOf(self::FREE, $added[$wanted]), "ticket {$wanted}");
            }
            if (mt_rand(1, 10) === 1) {
                $through = $buffer->committedThrough();
                $written = array_column($this->rows(self::FREE), 'v', 'id');
                foreach (array_slice($added, max(0, $through - 50), min(50, $through), true) as $settled => $of) {
                    if ($settled <= $through) {
                        self::assertGreaterThanOrEqual($settled, (int) ($written[$of] ?? 0), "through {$through}");
                    }
                }
            }
        }
        $buffer->waitFor(600);
        $buffer->flush();
        self::assertSame(600, $buffer->committedThrough());
    }
}
