<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use WriteBuffer\ConfigException;
use WriteBuffer\Journal;
use WriteBuffer\Tests\Support\KeepsJournal;
use WriteBuffer\Tests\Support\MemoryTestCase;
use WriteBuffer\Tests\Support\PhpProcess;

/** `WriteBuffer\Journal`, and a buffer with a journal, where no server is. */
final class JournalTest extends MemoryTestCase
{
    use KeepsJournal;

    /** Nobody listens there. */
    private const DSN = 'mysql://app:s3cret-Word@127.0.0.1:1/shop';

    protected function setUp(): void
    {
        parent::setUp();
        $this->makeJournal();
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        $this->removeJournal();
    }

    /** Takes a row, and ends without having written it. */
    private function leaveARow(mixed ...$settings): void
    {
        $buffer = new \WriteBuffer(...$settings + [
            'dsn' => self::DSN, 'background' => true, 'journal' => $this->journal, 'shutdownTimeoutMs' => 1,
        ]);
        $buffer->put('t', ['id' => 1, 'v' => 'kept']);
        $buffer->sync();
        self::assertCount(1, $buffer);
    }

    public function testNothingIsMadeBeforeTheFirstRow(): void
    {
        self::assertSame([], Journal::inspect($this->journal));
        self::assertSame([], Journal::recover($this->journal, self::DSN));
        self::assertDirectoryDoesNotExist($this->journal);
        new \WriteBuffer(self::DSN, background: true, journal: $this->journal);
        self::assertSame([], Journal::inspect($this->journal));
        self::assertSame([], Journal::recover($this->journal, self::DSN));
    }

    public function testAnEndWithoutAServerLeavesItInTheJournal(): void
    {
        $this->leaveARow();
        [$left] = Journal::inspect($this->journal);
        self::assertSame(1, $left['groups']);
        self::assertNull($left['pid']);
        self::assertNull($left['damage']);
        self::assertSame('mysql://app:***@127.0.0.1:1/shop', $left['dsn']);
        self::assertStringNotContainsString('s3cret-Word', implode('', array_map(
            static fn (string $file): string => (string) file_get_contents($file),
            glob("{$this->journal}/*/*") ?: [],
        )));
        [$recovered] = Journal::recover($this->journal, self::DSN, 1_000);
        self::assertSame($left['writer'], $recovered['writer']);
        self::assertSame(0, $recovered['rows_committed']);
        self::assertStringContainsString('127.0.0.1:1', $recovered['error']);
        self::assertStringNotContainsString('s3cret-Word', $recovered['error']);
        self::assertSame(1, Journal::inspect($this->journal)[0]['groups'], 'it is still there');
    }

    public function testTheDsnOfPhpIni(): void
    {
        $this->leaveARow();
        $journal = var_export($this->journal, true);
        $output = PhpProcess::run(
            "echo json_encode(array_column(WriteBuffer\\Journal::recover({$journal}, timeoutMs: 1_000), 'groups'));",
            ['write_buffer.dsn' => self::DSN, 'write_buffer.background' => '0', 'write_buffer.persistent' => 'p'],
        );
        self::assertSame('[0]', $output);
        $output = PhpProcess::run(
            "echo json_encode(WriteBuffer\\Journal::recover({$journal}, timeoutMs: 1_000));",
            ['write_buffer.dsn' => 'mysql://app@127.0.0.1:1/another'],
        );
        self::assertSame('[]', $output);
    }

    public function testWrongArguments(): void
    {
        foreach (
            [
                [\ValueError::class, 'WriteBuffer\Journal::recover(): Argument #1 ($directory) must not be empty', static fn () => Journal::recover('')],
                [\ValueError::class, 'WriteBuffer\Journal::inspect(): Argument #1 ($directory) must not be empty', static fn () => Journal::inspect('')],
                [
                    \ValueError::class,
                    'WriteBuffer\Journal::recover(): Argument #3 ($timeoutMs) must be 0 or more',
                    fn () => Journal::recover($this->journal, self::DSN, -1),
                ],
                [
                    ConfigException::class,
                    'there is no DSN: give the parameter dsn, or set write_buffer.dsn in php.ini',
                    fn () => Journal::recover($this->journal),
                ],
                [
                    ConfigException::class,
                    'journal needs a server: the tables of memory: end with the process',
                    fn () => Journal::recover($this->journal, 'memory:'),
                ],
                [ConfigException::class, "the directory \"a\\0b\" has a NUL byte", static fn () => Journal::inspect("a\0b")],
            ] as [$class, $message, $call]
        ) {
            self::assertThrows($class, $message, $call);
        }
        self::assertThrowsMatching(\TypeError::class, '/Argument #1 \(\$directory\) must be of type string, int given/', static fn () => Journal::inspect(1));
        self::assertThrowsMatching(\ArgumentCountError::class, '/expects at least 1 argument, 0 given/', static fn () => Journal::recover());
        touch($this->journal);
        foreach ([fn () => Journal::inspect($this->journal), fn () => Journal::recover($this->journal, self::DSN)] as $call) {
            self::assertThrowsMatching(ConfigException::class, '/it is no folder/', $call);
        }
        unlink($this->journal);
        $this->journal .= '/of/nobody';
        self::assertThrowsMatching(ConfigException::class, '/^the journal: cannot make /', fn () => new \WriteBuffer(
            self::DSN,
            background: true,
            journal: $this->journal,
        ));
    }

    public function testTheLedgerCannotBeSwitchedOff(): void
    {
        self::assertThrowsMatching(
            ConfigException::class,
            '/^a journal needs the ledger/',
            fn () => new \WriteBuffer(self::DSN, background: true, journal: $this->journal, ledger: 'never'),
        );
    }

    public function testAnEmptyTextIsNoJournalAnywhere(): void
    {
        foreach ([true, false] as $background) {
            $info = $this->buffer(background: $background, journal: '')->__debugInfo();
            self::assertArrayNotHasKey('journal', $info);
        }
        $this->leaveARow(journalSync: 'always');
        $buffer = new \WriteBuffer(
            self::DSN,
            background: true,
            journal: $this->journal,
            journalSync: 'interval',
            journalSyncMs: 5,
            journalMaxBytes: 1 << 25,
            shutdownTimeoutMs: 1,
        );
        self::assertSame(
            [$this->journal, 'interval', 5, 1 << 25, "{$this->journal}/dead-letters.jsonl"],
            array_map(
                static fn (string $name): mixed => $buffer->__debugInfo()[$name],
                ['journal', 'journalSync', 'journalSyncMs', 'journalMaxBytes', 'deadLetterFile'],
            ),
        );
    }
}
