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
