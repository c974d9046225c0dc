<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PHPUnit\Framework\Attributes\DataProvider;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\ConfigException;
use WriteBuffer\ConnectionException;
use WriteBuffer\DeadLetterFile;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** A dead-letter file whose groups are put back: none is lost, and none written twice. */
final class DeadLetterFileTest extends MemoryTestCase
{
    private string $folder;

    private string $file;

    protected function setUp(): void
    {
        parent::setUp();
        $this->folder = sys_get_temp_dir() . '/write-buffer-retry-' . bin2hex(random_bytes(8));
        mkdir($this->folder, 0700);
        $this->file = "{$this->folder}/dead.jsonl";
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        array_map('unlink', glob("{$this->folder}/*") ?: []);
        rmdir($this->folder);
    }

    /** @return iterable<string, array{\Closure(self, mixed...): Buffer}> */
    public static function buffers(): iterable
    {
        yield 'background' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: true)];
        yield 'foreground' => [static fn (self $test, mixed ...$more) => $test->buffer(...$more, background: false)];
        yield 'sync' => [static fn (self $test, mixed ...$more) => $test->syncBuffer(...$more)];
    }

    /** @param array<string, mixed> $more */
    private static function line(int $id, array $more = []): string
    {
        return json_encode($more + [
            'id' => "f{$id}",
            'tag' => "tag {$id}",
            'time' => 1.5,
            'status' => 'refused',
            'code' => 1062,
            'message' => 'why',
            'rows' => [['table' => 'trades', 'row' => ['id' => $id, 'status' => 'refused']]],
        ], JSON_THROW_ON_ERROR) . "\n";
    }

    private static function lines(int $first, int $last): string
    {
        return implode('', array_map(self::line(...), range($first, $last)));
    }

    /** @return list<array<string, mixed>|null> */
    private static function linesOf(string $file): array
    {
        return is_file($file)
            ? array_map(static fn (string $line): ?array => json_decode($line, true), file($file))
            : [];
    }

    /** @return list<int> the ids of the rows that are written */
    private static function written(): array
    {
        $ids = array_column(self::rowsOf('trades'), 'id');
        sort($ids);

        return $ids;
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testAllThatCanBeWrittenLeavesTheFile(\Closure $make): void
    {
        $buffer = $make($this);
        self::assertSame(0, DeadLetterFile::retry($buffer, $this->file), 'no file, no groups');
        file_put_contents($this->file, self::lines(1, 250));
        chmod($this->file, 0600);
        self::assertSame(250, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame(range(1, 250), self::written());
        self::assertSame([], glob("{$this->folder}/*"));
        self::assertSame('refused', self::rowsOf('trades')[0]['status']);
        self::assertSame(0, DeadLetterFile::retry($buffer, $this->file));
        self::assertCount(0, $buffer);
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testWhatIsRefusedAgainAndWhatIsNoGroupComesBack(\Closure $make): void
    {
        $buffer = $make($this);
        $buffer->put('trades', ['id' => 7]);
        $buffer->flush();
        $uncertain = self::line(8, ['status' => 'uncertain']);
        $noGroup = '{"rows":[]}' . "\n";
        $torn = '{"id":"f9","rows":[{"ta' . "\n";
        file_put_contents($this->file, self::lines(1, 4) . $uncertain . self::line(7) . $noGroup . $torn . self::line(10));
        chmod($this->file, 0600);
        self::assertSame(5, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([1, 2, 3, 4, 7, 10], self::written());
        self::assertFileDoesNotExist("{$this->file}.retry");
        $text = (string) file_get_contents($this->file);
        self::assertSame(0600, fileperms($this->file) & 0777);
        self::assertStringContainsString($uncertain, $text);
        self::assertStringContainsString($noGroup, $text);
        self::assertStringContainsString($torn, $text);
        $again = array_values(array_filter(
            self::linesOf($this->file),
            static fn (?array $line): bool => ($line['rows'][0]['row']['id'] ?? null) === 7,
        ));
        self::assertCount(1, $again);
        self::assertNotSame('f7', $again[0]['id']);
        self::assertSame(['tag 7', 'refused', 1062], [$again[0]['tag'], $again[0]['status'], $again[0]['code']]);
        self::assertCount(4, self::linesOf($this->file));
        $failures = $buffer->takeFailures();
        self::assertSame($buffer instanceof \SyncWriteBuffer ? [] : [$again[0]['id']], array_column($failures, 'id'));

        // Once more, when the cause is gone. What may be in the database waits for a person.
        MemorySink::reset();
        self::assertSame(1, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([7], self::written());
        self::assertCount(3, self::linesOf($this->file));
    }

    /**
     * It would never fit, so it holds up no other group.
     *
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAGroupThatIsTooLargeStaysInTheFile(\Closure $make): void
    {
        $before = [ini_set('write_buffer.batch_size', '50'), ini_set('write_buffer.max_pending_rows', '50')];
        try {
            $buffer = $make($this);
        } finally {
            ini_set('write_buffer.max_pending_rows', (string) $before[1]);
            ini_set('write_buffer.batch_size', (string) $before[0]);
        }
        $row = static fn (int $id): array => ['table' => 'trades', 'row' => ['id' => $id]];
        $large = self::line(3, ['rows' => array_map($row, range(1_000, 1_050))]);
        file_put_contents($this->file, self::lines(1, 2) . $large . self::lines(4, 120));
        chmod($this->file, 0600);
        for ($time = 0; $time < 2; $time++) {
            self::assertSame($time === 0 ? 119 : 0, DeadLetterFile::retry($buffer, $this->file));
            self::assertSame([1, 2, ...range(4, 120)], self::written());
            self::assertSame($large, file_get_contents($this->file));
            self::assertSame([], $buffer->takeFailures());
        }
        self::assertSame(1, DeadLetterFile::retry($this->buffer(), $this->file));
        self::assertCount(170, self::written());
    }

    /** The buffer's own deadLetterFile is the same one: a refused group is there once. */
    public function testTheBuffersOwnFileMayBeTheSame(): void
    {
        $buffer = $this->buffer(background: false, deadLetterFile: $this->file);
        $buffer->put('trades', ['id' => 1]);
        $buffer->flush();
        $buffer->put('trades', ['id' => 1], 'again');
        self::thrownBy(static fn () => $buffer->flush());
        $before = self::linesOf($this->file);
        self::assertCount(1, $before);
        $link = "{$this->folder}/link";
        symlink($this->file, $link);
        self::assertSame(0, DeadLetterFile::retry($buffer, $link));
        $after = self::linesOf($this->file);
        self::assertCount(1, $after);
        self::assertNotSame($before[0]['id'], $after[0]['id']);
        self::assertSame('again', $after[0]['tag']);
        $buffer->takeFailures();
    }

    /** As a killed process leaves it: its rows may be written, and are not written again. */
    public function testWhatAKilledProcessHasBegunIsUncertain(): void
    {
        $buffer = $this->buffer(background: false);
        file_put_contents("{$this->file}.retry", self::lines(1, 9) . "{\"retry_begun\":3}\n{\"retry_done\":3}\n{\"retry_begun\":6}\n");
        file_put_contents($this->file, self::line(20));
        array_map(static fn (string $file): bool => chmod($file, 0600), ["{$this->file}.retry", $this->file]);
        $buffer->put('trades', [['id' => 1], ['id' => 2], ['id' => 3], ['id' => 5]]);
        $buffer->flush();
        self::assertSame(4, DeadLetterFile::retry($buffer, $this->file), 'and the file itself');
        self::assertSame([1, 2, 3, 5, 7, 8, 9, 20], self::written());
        self::assertFileDoesNotExist("{$this->file}.retry");
        self::assertSame(
            [['f4', 'uncertain'], ['f5', 'uncertain'], ['f6', 'uncertain']],
            array_map(static fn (?array $line): array => [$line['id'], $line['status']], self::linesOf($this->file)),
        );
        self::assertSame('refused', self::linesOf($this->file)[0]['rows'][0]['row']['status'], 'a row is as it was');
        self::assertSame(0, DeadLetterFile::retry($buffer, $this->file));
        self::assertCount(3, self::linesOf($this->file));
    }

    /**
     * What a killed call has left is done first. What is given back of it is not put back once more
     * by the same call.
     *
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testWhatIsRefusedAgainIsPutBackOnceByACall(\Closure $make): void
    {
        foreach ([[], ['deadLetterFile' => $this->file]] as $settings) {
            if ($settings !== [] && $make($this) instanceof \SyncWriteBuffer) {
                continue;
            }
            $buffer = $make($this, ...$settings);
            MemorySink::reset();
            (new \SyncWriteBuffer('memory:', tables: ['trades' => ['mode' => 'insert']]))->put('trades', [['id' => 2], ['id' => 12]]);
            file_put_contents("{$this->file}.retry", self::lines(1, 3));
            file_put_contents($this->file, self::lines(11, 13));
            array_map(static fn (string $file): bool => chmod($file, 0600), ["{$this->file}.retry", $this->file]);
            self::assertSame(4, DeadLetterFile::retry($buffer, $this->file));
            self::assertSame([1, 2, 3, 11, 12, 13], self::written());
            $ids = array_map(static fn (?array $line): int => $line['rows'][0]['row']['id'], self::linesOf($this->file));
            sort($ids);
            self::assertSame([2, 12], $ids);
            self::assertCount($buffer instanceof \SyncWriteBuffer ? 0 : 2, $buffer->takeFailures());
            self::assertSame(6, $buffer->getMetrics()['rows_added']);
        }
    }

    /** Its rows would be there twice. */
    public function testOneIdIsPutBackOnceHoweverFarApartItsLinesAre(): void
    {
        $buffer = $this->buffer(tables: ['trades' => ['merge' => ['n' => 'sum']]], batchSize: 1_000);
        $line = static fn (int $id): string => '{"id":"' . $id . '","rows":[{"table":"trades","row":{"id":' . $id . ',"n":1}}]}' . "\n";
        file_put_contents($this->file, implode('', array_map($line, [1, ...range(2, 10_100), 1])));
        chmod($this->file, 0600);
        self::assertSame(10_100, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame(10_100, array_sum(array_column(self::rowsOf('trades'), 'n')));
        self::assertSame([['1', 'uncertain']], array_map(
            static fn (?array $line): array => [$line['id'], $line['status']],
            self::linesOf($this->file),
        ));
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testAByteOrderMarkIsNoPartOfTheFirstLine(\Closure $make): void
    {
        file_put_contents($this->file, "\u{feff}" . self::lines(1, 2));
        chmod($this->file, 0600);
        self::assertSame(2, DeadLetterFile::retry($make($this), $this->file));
        self::assertSame([], glob("{$this->folder}/*"));
    }

    public function testSaysThatItNeedsJson(): void
    {
        file_put_contents($this->file, self::line(1));
        chmod($this->file, 0600);
        $code = 'try { echo WriteBuffer\DeadLetterFile::retry(new WriteBuffer("memory:"), $argv[1]); }'
            . ' catch (WriteBuffer\ConfigException $e) { echo $e->getMessage(); }';
        $process = new PhpProcess($code, ['disable_functions' => 'json_decode'], [$this->file]);
        self::assertStringContainsString("needs PHP's json_decode(), which is not there", $process->finish());
        self::assertSame(self::line(1), file_get_contents($this->file));
        self::assertFileDoesNotExist("{$this->file}.retry");
    }

    public function testALinkInThePlaceOfItsNotesIsRefused(): void
    {
        file_put_contents($this->file, self::line(1));
        chmod($this->file, 0600);
        symlink("{$this->folder}/nowhere", "{$this->file}.retry");
        self::assertThrowsMatching(
            ConfigException::class,
            '/dead\.jsonl\.retry: it is a link/',
            fn () => DeadLetterFile::retry($this->buffer(), $this->file),
        );
        self::assertSame(self::line(1), file_get_contents($this->file));
        unlink("{$this->file}.retry");
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testALostServerLosesNoLine(\Closure $make): void
    {
        $buffer = $make($this, maxRetries: 0);
        file_put_contents($this->file, self::lines(1, 150));
        chmod($this->file, 0600);
        MemorySink::failNext(2006, 1_000);
        $thrown = self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
        self::assertInstanceOf(ConnectionException::class, $thrown);
        $isSync = $buffer instanceof \SyncWriteBuffer;
        $held = $isSync ? 0 : 100;
        self::assertCount($held, $buffer);
        // What is still buffered may be written by the buffer. So its lines wait for that.
        self::assertSame(self::lines($held + 1, 150), file_get_contents($this->file));
        self::assertSame(!$isSync, file_exists("{$this->file}.retry"));
        if (!$isSync) {
            $other = self::thrownBy(fn () => DeadLetterFile::retry($this->buffer(), $this->file));
            self::assertInstanceOf(ConfigException::class, $other);
            self::assertStringContainsString('or a buffer of this one still holds some', $other->getMessage());
        }
        MemorySink::reset();
        $buffer->flush();
        self::assertFileDoesNotExist("{$this->file}.retry");
        self::assertSame($isSync ? 150 : 50, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame(range(1, 150), self::written());
        self::assertSame([], glob("{$this->folder}/*"));
    }

    /** @dataProvider buffers */
    #[DataProvider('buffers')]
    public function testTheNextCallGoesOnWithWhatTheBufferHolds(\Closure $make): void
    {
        $buffer = $make($this, maxRetries: 0);
        file_put_contents($this->file, self::lines(1, 150));
        chmod($this->file, 0600);
        MemorySink::failNext(2006, 1_000);
        for ($time = 0; $time < 2; $time++) {
            $thrown = self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
            self::assertInstanceOf(ConnectionException::class, $thrown);
        }
        MemorySink::reset();
        // One of them is refused.
        $first = new \SyncWriteBuffer('memory:');
        $first->put('trades', ['id' => 30]);
        $written = DeadLetterFile::retry($buffer, $this->file);
        self::assertSame(149, $written);
        self::assertSame(range(1, 150), self::written());
        $lines = self::linesOf($this->file);
        self::assertSame([30], array_map(static fn (?array $line): int => $line['rows'][0]['row']['id'], $lines));
        self::assertSame('refused', $lines[0]['status']);
        self::assertFileDoesNotExist("{$this->file}.retry");
        $buffer->takeFailures();
    }

    /** @return iterable<string, array{bool, ?string}> */
    public static function ends(): iterable
    {
        foreach ([true, false] as $background) {
            $name = $background ? 'background' : 'foreground';
            yield "{$name}, no file of its own" => [$background, null];
            yield "{$name}, another file" => [$background, 'own.jsonl'];
            yield "{$name}, the same file" => [$background, 'dead.jsonl'];
        }
    }

    /**
     * A group has one line, whatever the buffer could not write when it ended.
     *
     * @dataProvider ends
     */
    #[DataProvider('ends')]
    public function testWhatTheBufferCannotWriteEitherHasOneLine(bool $background, ?string $own): void
    {
        $buffer = new \WriteBuffer(
            'memory:',
            background: $background,
            maxRetries: 0,
            shutdownTimeoutMs: 50,
            deadLetterFile: $own === null ? null : "{$this->folder}/{$own}",
        );
        file_put_contents($this->file, self::lines(1, 150));
        chmod($this->file, 0600);
        MemorySink::failNext(1045, 100_000);
        self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
        $warnings = [];
        set_error_handler(static function (int $level, string $message) use (&$warnings): bool {
            $warnings[] = $message;

            return true;
        });
        try {
            unset($buffer);
        } finally {
            restore_error_handler();
        }
        self::assertSame([], $warnings, 'they are in the file');
        self::assertSame(self::lines(101, 150) . self::lines(1, 100), file_get_contents($this->file));
        self::assertSame([$this->file], glob("{$this->folder}/*"));
        MemorySink::reset();
        self::assertSame(150, DeadLetterFile::retry($this->buffer(), $this->file));
        self::assertSame(range(1, 150), self::written());
    }

    /** What retry() has put back before is not put back by the file's line, and says so. */
    public function testAFailureThatWasPutBackBeforeIsUncertain(): void
    {
        $buffer = $this->buffer(background: false, deadLetterFile: $this->file);
        $buffer->put('trades', ['id' => 1]);
        $buffer->flush();
        $buffer->put('trades', ['id' => 1]);
        self::thrownBy(static fn () => $buffer->flush());
        MemorySink::reset();
        self::assertSame(1, $buffer->retry($buffer->takeFailures()));
        $buffer->flush();
        self::assertSame(0, DeadLetterFile::retry($buffer, $this->file));
        self::assertSame([1], self::written());
        self::assertSame(['uncertain'], array_column(self::linesOf($this->file), 'status'));
    }

    public function testRefusesWhatItCannotWorkWith(): void
    {
        $buffer = $this->buffer(background: false);
        file_put_contents($this->file, self::line(1));
        chmod($this->file, 0600);
        $other = new class implements \IteratorAggregate {
            public function getIterator(): \Iterator
            {
                return new \EmptyIterator();
            }
        };
        foreach ([$other, null, 'x', 1] as $wrong) {
            $thrown = self::thrownBy(fn () => DeadLetterFile::retry($wrong, $this->file));
            self::assertInstanceOf(TypeError::class, $thrown);
        }
        chmod($this->file, 0666);
        self::assertInstanceOf(ConfigException::class, self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file)));
        self::assertInstanceOf(ConfigException::class, self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->folder)));
        self::assertSame(0, DeadLetterFile::retry($buffer, "{$this->folder}/none/dead.jsonl"));
        chmod($this->file, 0600);
        $handle = fopen($this->file, 'r');
        rename($this->file, "{$this->file}.retry");
        flock($handle, LOCK_EX);
        $thrown = self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file));
        self::assertInstanceOf(ConfigException::class, $thrown);
        self::assertStringContainsString('another process puts its groups back', $thrown->getMessage());
        flock($handle, LOCK_UN);
        $buffer->close();
        self::assertInstanceOf(ClosedException::class, self::thrownBy(fn () => DeadLetterFile::retry($buffer, $this->file)));
        self::assertSame(self::line(1), file_get_contents("{$this->file}.retry"));
        self::assertSame([], self::written());
        self::assertSame(1, DeadLetterFile::retry($this->buffer(), $this->file));
    }
}
