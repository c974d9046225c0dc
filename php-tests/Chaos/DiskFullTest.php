<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\Writer;

/** A server whose disk is full for a while: scripts/with-small-disk. */
final class DiskFullTest extends ChaosTestCase
{
    private const CHUNK_BYTES = 1 << 16;

    private string $filler = '';

    protected function setUp(): void
    {
        parent::setUp();
        $this->filler = self::setting('WRITE_BUFFER_SMALL_DISK') . '/filler';
    }

    protected function tearDown(): void
    {
        $this->freeDisk();
        $this->bringServerBack();
        parent::tearDown();
    }

    public function testADiskThatIsFullForAWhile(): void
    {
        $writer = $this->startWriter($this->dsn(), pauseUs: 50);
        $rounds = self::scaled(1, 2);
        for ($round = 1; $round <= $rounds; $round++) {
            $this->awaitMoreOrders(500);
            // On a full disk it would not start, and would not be tried again.
            self::wantServer(false);
            $logged = strlen($this->serverLog());
            $this->awaitUnderLoad('a server that cannot write', function () use ($writer, $logged): bool {
                // Fills also what the server has freed meanwhile.
                $this->fillDisk();

                return $this->isServerStuck($writer, $logged);
            });
            $this->freeDisk();
            self::wantServer(true);
            $flushed = $writer->metrics()['rows_committed'];
            $this->awaitUnderLoad(
                'a server that writes again',
                static fn (): bool => $writer->metrics()['rows_committed'] > $flushed,
            );
            $this->forgetConnections();
        }
        $this->awaitMoreOrders(500);
        $this->assertNothingLostOrDoubled();
    }

    /** The journal is on that disk: no room there is an exception, and no signal. */
    public function testAJournalsDiskThatIsFull(): void
    {
        $journal = self::setting('WRITE_BUFFER_SMALL_DISK') . '/journal';
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(
                journal: $argv[1], journalMaxBytes: 1 << 30, overflow: 'throw', maxPendingRows: 10_000_000,
                maxPendingBytes: 1 << 30, batchSize: 10_000, flushIntervalMs: 3_600_000, journalSync: $argv[2],
            );
            $pad = str_repeat('x', 10_000);
            $id = 0;
            $take = static function (int $most) use ($buffer, $pad, &$id): array {
                for ($count = 0; $count < $most; $count++) {
                    $thrown = Child::thrownBy(static fn () => $buffer->group(static function () use ($buffer, $pad, $id): void {
                        Child::add($buffer, $id + 1);
                        $buffer->put('wb_process_pads', ['id' => $id + 1, 'pad' => $pad]);
                    }));
                    if ($thrown[0] !== '') {
                        return $thrown;
                    }
                    $id++;
                }

                return ['', ''];
            };
            Child::report('first', $take(10));
            Child::hear();
            Child::report('full', $take(100_000));
            Child::report('taken', $id);
            Child::hear();
            Child::report('more', $take(10));
            $buffer->flush();
            Child::report('all', $id);
            PHP, [$journal, 'interval']);
        $this->createTable('wb_process_pads', 'id INT PRIMARY KEY, pad TEXT NOT NULL');
        self::assertSame(['', ''], $child->reported('first'));
        $this->fillDisk();
        $child->send();
        [$class, $message] = $child->reported('full');
        self::assertSame('WriteBuffer\FullException', $class, $message);
        self::assertMatchesRegularExpression('/space/i', $message);
        $this->freeDisk();
        $this->bringServerBack();
        $child->send();
        self::assertSame(['', ''], $child->reported('more'));
        $all = $child->reported('all');
        self::assertSame($child->reported('taken') + 10, $all);
        $this->assertEndsWell($child);
        $this->assertOrders(range(1, $all), $child);
        self::assertSame((string) $all, $this->value('SELECT COUNT(*) FROM wb_process_pads'));
        self::assertSame([], glob("{$journal}/*", GLOB_ONLYDIR));
    }

    /**
     * MariaDB refuses to write. MySQL's COMMIT waits, a minute at a time, until the binary log's
     * disk has room. Both die if InnoDB itself must write, and may stop listening long before they
     * end.
     */
    private function isServerStuck(Writer $writer, int $logged): bool
    {
        if (self::isServerDead()) {
            return true;
        }
        if (self::setting('DB_SERVER') === 'mysql') {
            return preg_match('/disk is full|no space left/i', substr($this->serverLog(), $logged)) === 1;
        }
        $metrics = $writer->metrics();

        return $metrics['thread_state'] === 'backoff' && preg_match('/full|space|refused/i', (string) $metrics['last_error']) === 1;
    }

    private function serverLog(): string
    {
        return (string) file_get_contents(self::setting('DB_CONTROL_DIR') . '/server.log');
    }

    private function fillDisk(): void
    {
        $file = fopen($this->filler, 'a');
        self::assertNotFalse($file);
        stream_set_write_buffer($file, 0);
        foreach ([self::CHUNK_BYTES, 1 << 12] as $bytes) {
            $chunk = str_repeat('x', $bytes);
            while (@fwrite($file, $chunk) === $bytes) {
                continue;
            }
        }
        fclose($file);
    }

    private function freeDisk(): void
    {
        if (is_file($this->filler)) {
            unlink($this->filler);
        }
    }
}
