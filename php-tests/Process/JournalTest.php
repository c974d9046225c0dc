<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\ConfigException;
use WriteBuffer\Journal;
use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\JournalTestCase;

/** What a buffer with a journal took survives its process, and is written once. */
final class JournalTest extends JournalTestCase
{
    /** @return iterable<string, array{string}> */
    public static function settings(): iterable
    {
        yield 'none' => [self::NEVER];
        yield 'interval' => [self::NEVER . ", journalSync: 'interval', journalSyncMs: 1"];
        yield 'always' => [self::NEVER . ', journalSync: WriteBuffer\JournalSync::Always'];
        yield 'lanes' => [self::NEVER . ', lanes: 3'];
        yield 'lanes by a column' => [self::NEVER . ", lanes: 3, routeBy: 'id'"];
        yield 'persistent' => [self::NEVER . ", persistent: 'name'"];
        yield 'some of it was written' => ['batchSize: 6, flushIntervalMs: 1, journal: $argv[1]'];
        yield 'some of it was written, by lanes' => ["batchSize: 6, flushIntervalMs: 1, lanes: 4, routeBy: 'id', journal: \$argv[1]"];
        yield 'some of it was written, in runs' => ['batchSize: 6, flushIntervalMs: 1, lanes: 4, journal: $argv[1]'];
    }

    /**
     * @dataProvider settings
     */
    #[DataProvider('settings')]
    public function testTheNextBufferWritesWhatAKilledProcessTook(string $settings): void
    {
        self::kill($this->holder(500, $settings));
        self::assertCount(1, $this->folders());
        $next = $this->start(<<<'PHP'
            $buffer = Child::buffer(journal: $argv[1], flushIntervalMs: 1);
            Child::say('open');
            Child::hear();
            PHP, [$this->journal]);
        $next->waitFor('open');
        $this->awaitOrders(500, $next);
        // The folder goes first.
        self::await('an end of the recovery', fn (): bool => $this->openLedgerRows() === '0', $next);
        $next->send();
        $this->assertEndsWell($next);
        $this->assertOrders(range(1, 500), $next, 'id');
        $this->assertNothingIsLeft();
    }

    /**
     * @dataProvider settings
     */
    #[DataProvider('settings')]
    public function testRecoverWritesItAtOnceByTheWritersOwnRules(string $settings): void
    {
        // A sum that is replaced, or added twice, is not 8.
        $this->pdo()->exec('INSERT INTO ' . Child::ORDERS . " VALUES (7, 'before', 7)");
        $child = $this->holder(300, $settings);
        $before = (int) $this->value('SELECT COUNT(*) FROM ' . Child::TRADES);
        self::kill($child);
        $recovered = $this->recover();
        self::assertCount(1, $recovered);
        self::assertSame(
            ['groups', 'rows_committed', 'rows_refused', 'rows_parked', 'set_aside', 'error'],
            array_slice(array_keys($recovered[0]), 1),
        );
        self::assertLessThanOrEqual(300 - intdiv($before, 2), $recovered[0]['groups']);
        self::assertSame($recovered[0]['groups'] * Child::ROWS_PER_GROUP, $recovered[0]['rows_committed']);
        self::assertSame([0, 0, null, null], array_slice(array_values($recovered[0]), 3));
        self::assertSame('8', $this->value('SELECT n FROM ' . Child::ORDERS . ' WHERE id = 7'));
        $this->pdo()->exec('UPDATE ' . Child::ORDERS . ' SET n = 1 WHERE id = 7');
        $this->assertOrders(range(1, 300), $child, 'id');
        $this->assertNothingIsLeft();
        self::assertSame([], $this->recover(), 'there is nothing more to do');
    }

    public function testAnUpdateIsOneAlsoWhenAnotherProcessWritesIt(): void
    {
        $this->pdo()->exec('INSERT INTO ' . Child::ORDERS . " VALUES (7, 'before', 7)");
        // All columns, so that an INSERT of them would do.
        self::kill($this->holder(3, before: <<<'PHP'
            $model = static fn (int $id): object => new class ($id) {
                public bool $exists = true;

                public function __construct(private int $id)
                {
                }

                public function getAttributes(): array
                {
                    return ['id' => $this->id, 'v' => 'changed', 'n' => 1];
                }
            };
            $buffer->put(Child::ORDERS, $model(7));
            $buffer->put(Child::ORDERS, $model(500));
            PHP));
        $recovered = $this->recover();
        self::assertSame([1, 0], [$recovered[0]['rows_refused'], $recovered[0]['rows_parked']]);
        self::assertSame('changed 8', $this->value("SELECT CONCAT(v, ' ', n) FROM " . Child::ORDERS . ' WHERE id = 7'));
        self::assertNull($this->value('SELECT v FROM ' . Child::ORDERS . ' WHERE id = 500'));
        self::assertSame(4, $this->orderCount());
        [$letter] = $this->deadLetters();
        self::assertSame(
            [['table' => Child::ORDERS, 'row' => ['id' => 500, 'v' => 'changed', 'n' => 1], 'update' => true]],
            $letter['rows'],
        );
    }

    public function testInspectSaysWhatIsThere(): void
    {
        self::assertSame([], Journal::inspect($this->journal));
        self::assertDirectoryDoesNotExist($this->journal);
        $child = $this->holder(10);
        [$living] = Journal::inspect($this->journal);
        self::assertSame($child->pid(), $living['pid']);
        self::assertSame([10, 8 << 20, null], [$living['groups'], $living['bytes'], $living['damage']]);
        self::assertGreaterThan(0, $living['age_oldest_ms']);
        self::assertLessThan(600_000, $living['age_oldest_ms']);
        self::assertStringContainsString(self::setting('DB_DATABASE'), $living['dsn']);
        self::assertStringNotContainsString(self::setting('DB_PASSWORD'), $living['dsn']);
        self::assertSame([], $this->recover(), 'a living process keeps what it has');
        self::kill($child);
        [$dead] = Journal::inspect($this->journal);
        self::assertNull($dead['pid']);
        self::assertSame([$living['writer'], 10], [$dead['writer'], $dead['groups']]);
        self::assertSame(['0700', '0700'], array_map(
            static fn (string $path): string => sprintf('%04o', fileperms($path) & 0o7777),
            [$this->journal, "{$this->journal}/{$dead['writer']}"],
        ));
    }

    public function testAStoppedProcessKeepsItsFolderAndGoesOn(): void
    {
        $child = $this->holder(100);
        $child->signal(SIGSTOP);
        self::assertSame([], $this->recover());
        self::assertSame(0, $this->orderCount());
        self::assertSame($child->pid(), Journal::inspect($this->journal)[0]['pid']);
        $child->signal(SIGCONT);
        $child->send();
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, 100), $child);
        $this->assertNothingIsLeft();
    }

    public function testAFolderOfAnotherDsnIsNotTouched(): void
    {
        $child = $this->holder(20);
        self::kill($child);
        $before = $this->fingerprint();
        // The same server, by another name.
        $host = self::setting('DB_HOST') . ':' . self::setting('DB_PORT');
        $dsn = str_replace("@{$host}/", "@{$host},{$host}/", $this->dsn(), $count);
        self::assertSame(1, $count);
        self::assertSame([], Journal::recover($this->journal, $dsn));
        $other = $this->runToItsEnd(<<<'PHP'
            $buffer = new WriteBuffer(
                dsn: $argv[2],
                background: true,
                orderTable: Child::ORDERS,
                tradeTable: Child::TRADES,
                journal: $argv[1],
            );
            Child::add($buffer, 21, 30);
            PHP, [$this->journal, $dsn]);
        $this->assertOrders(range(21, 30), $other);
        self::assertSame($before, $this->fingerprint());
        self::assertSame(20, $this->recover()[0]['groups']);
        $this->assertOrders(range(1, 30), $child, 'id');
    }

    /** @return array<string, string> the files of all folders, and what is in them */
    private function fingerprint(): array
    {
        $files = glob("{$this->journal}/*/*") ?: [];

        return array_combine($files, array_map(static fn (string $file): string => (string) md5_file($file), $files));
    }

    public function testManyThatRecoverAtOnceWriteItOnce(): void
    {
        foreach ([1, 2, 3] as $round) {
            $this->pdo()->exec('TRUNCATE ' . Child::ORDERS);
            $this->pdo()->exec('TRUNCATE ' . Child::TRADES);
            $dead = [$this->holder(100), $this->holder(100, first: 101)];
            array_map(self::kill(...), $dead);
            $several = [];
            for ($number = 0; $number < 6; $number++) {
                $several[] = $this->start(<<<'PHP'
                    Child::say('ready');
                    Child::hear();
                    Child::report('recovered', WriteBuffer\Journal::recover($argv[1], $argv[2]));
                    PHP, [$this->journal, $this->writersDsn()]);
            }
            foreach ($several as $child) {
                $child->waitFor('ready');
            }
            foreach ($several as $child) {
                $child->send();
            }
            $groups = 0;
            foreach ($several as $child) {
                $recovered = $child->reported('recovered');
                self::assertSame([], array_filter(array_column($recovered, 'error')), "round {$round}");
                $groups += array_sum(array_column($recovered, 'groups'));
                $this->assertEndsWell($child);
            }
            self::assertSame(200, $groups, "round {$round}");
            $this->assertOrders(range(1, 200), $several[0], 'id');
            $this->assertNothingIsLeft();
        }
    }

    /** Somebody, or a week, has removed the row that says what was committed. */
    public function testWithoutItsRowInTheLedgerNobodyCanSay(): void
    {
        $child = $this->holder(50, self::NEVER, 'Child::add($buffer, 1_000); $buffer->flush();');
        self::kill($child);
        self::assertSame(1, $this->pdo()->exec('DELETE FROM write_buffer_ledger'));
        [$recovered] = $this->recover();
        self::assertSame([51, 0, 51 * Child::ROWS_PER_GROUP], [
            $recovered['groups'], $recovered['rows_committed'], $recovered['rows_refused'],
        ]);
        $letters = $this->deadLetters();
        self::assertSame(['uncertain'], array_values(array_unique(array_column($letters, 'status'))));
        self::assertCount(51, $letters);
        self::assertSame(Child::order(1_000), $letters[0]['rows'][0]['row']);
        self::assertSame(1, $this->orderCount());
        self::assertSame([], $this->folders());
    }

    /** Nothing was to be committed before there was a row: then it is certain. */
    public function testWithoutARowThatWasNeverToBeMadeAllIsWritten(): void
    {
        self::kill($this->holder(50));
        self::assertSame('0', $this->value('SELECT COUNT(*) FROM write_buffer_ledger'));
        self::assertSame(50, $this->recover()[0]['groups']);
        self::assertSame(50, $this->orderCount());
    }

    public function testADamageIsSetAsideAndStartUpGoesOn(): void
    {
        $child = $this->holder(100);
        self::kill($child);
        [$segment] = glob("{$this->journal}/*/*.segment") ?: [''];
        $bytes = (string) file_get_contents($segment);
        $at = strpos($bytes, 'order 60');
        self::assertIsInt($at);
        $file = fopen($segment, 'r+b');
        fseek($file, $at);
        fwrite($file, chr(ord($bytes[$at]) ^ 1));
        fclose($file);
        self::assertStringContainsString('checksum', Journal::inspect($this->journal)[0]['damage']);
        $next = $this->start(<<<'PHP'
            $buffer = Child::buffer(journal: $argv[1], flushIntervalMs: 1);
            Child::add($buffer, 1_000);
            $buffer->flush();
            Child::say('written');
            Child::hear();
            PHP, [$this->journal]);
        $next->waitFor('written');
        self::await('a folder that is set aside', fn (): bool => glob("{$this->journal}/*.damaged") !== [], $next);
        $next->send();
        $this->assertEndsWell($next);
        self::assertCount(1, $this->folders());
        self::assertStringEndsWith('.damaged', $this->folders()[0]);
        $letters = $this->deadLetters();
        $status = [];
        foreach ($letters as $letter) {
            $status[$letter['rows'][0]['row']['id']] = $letter['status'];
        }
        $expected = array_fill(1, 59, 'unwritten') + array_fill(61, 40, 'uncertain');
        self::assertSame($expected, $status);
        $this->assertOrders([1_000], $next);
        self::assertNotNull(Journal::inspect($this->journal)[0]['damage']);
        self::assertSame([], $this->recover(), 'what was set aside is left alone');
    }

    public function testAHeaderThatCannotBeReadIsSetAside(): void
    {
        self::kill($this->holder(10));
        [$header] = glob("{$this->journal}/*/header") ?: [''];
        $bytes = (string) file_get_contents($header);
        file_put_contents($header, substr_replace($bytes, chr(ord($bytes[30]) ^ 1), 30, 1));
        [$recovered] = $this->recover();
        self::assertStringEndsWith('.damaged', $recovered['set_aside']);
        self::assertStringContainsString('header', $recovered['error']);
        self::assertSame(10 * Child::ROWS_PER_GROUP, $recovered['rows_refused']);
        self::assertSame(array_fill(0, 10, 'uncertain'), array_column($this->deadLetters(), 'status'));
        self::assertSame(0, $this->orderCount());
    }

    public function testAFolderOfAnotherUserIsRefused(): void
    {
        if (posix_geteuid() !== 0) {
            self::markTestSkipped('only root gives a folder away');
        }
        mkdir($this->journal, 0o700);
        chown($this->journal, 65_534);
        foreach (
            [
                fn () => new \WriteBuffer($this->dsn(), background: true, journal: $this->journal),
                fn () => $this->recover(),
                fn () => Journal::inspect($this->journal),
            ] as $use
        ) {
            self::assertThrowsMatching(ConfigException::class, "/user 65534's: use one folder for each user/", $use);
        }
        chown($this->journal, 0);
        chmod($this->journal, 0o777);
        self::assertThrowsMatching(ConfigException::class, '/chmod 700/', fn () => Journal::inspect($this->journal));
    }
}
