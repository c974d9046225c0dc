<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Process\Support\Child;

/**
 * A process ends while a COMMIT of its rows is under way. Nobody can say whether they are in the
 * database: the file says so, and retry() does not double them.
 */
final class EndTest extends ChaosTestCase
{
    private string $file;

    protected function setUp(): void
    {
        parent::setUp();
        $this->file = sys_get_temp_dir() . '/wb_end_' . bin2hex(random_bytes(6)) . '.jsonl';
    }

    protected function tearDown(): void
    {
        parent::tearDown();
        @unlink($this->file);
    }

    /** @return iterable<string, array{int, bool}> how long COMMIT is held, and whether it comes */
    public static function commits(): iterable
    {
        yield 'is carried out later' => [4_000, true];
        yield 'is never carried out' => [3_600_000, false];
    }

    /**
     * @dataProvider commits
     */
    #[DataProvider('commits')]
    public function testACommitUnderWayIsUncertain(int $heldMs, bool $isCommitted): void
    {
        $dsn = $this->proxy($proxy);
        $child = $this->start(<<<'PHP'
            $buffer = Child::buffer(dsn: $argv[1], batchSize: 1000, shutdownTimeoutMs: 1_000, deadLetterFile: $argv[2]);
            Child::add($buffer, 1);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::add($buffer, 2, 4);
            PHP, [$dsn, $this->file]);
        $child->waitFor('ready');
        $proxy->arm('commit', "hold={$heldMs} on statement COMMIT");
        $child->send();
        // Its connection is cut at COMMIT. The question to the ledger waits for the session that
        // holds the row, for longer than the end has time.
        $child->finish();
        self::assertSame(1, $proxy->struck('commit'), $child->describe());
        $lines = array_map(static fn (string $line): array => json_decode($line, true), (array) file($this->file));
        self::assertSame(['uncertain', 'uncertain', 'uncertain'], array_column($lines, 'status'), $child->describe());
        self::assertSame([2, 3, 4], array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $lines));
        self::assertStringContainsString('may be in the database', $lines[0]['message']);
        if ($isCommitted) {
            $this->awaitOrders(4);
        }
        $proxy->stop();
        $this->awaitNoConnections();
        $this->assertOrders($isCommitted ? range(1, 4) : [1], $child);

        $again = $this->runToItsEnd(<<<'PHP'
            $lines = array_map(static fn (string $line): array => json_decode($line, true), file($argv[1]));
            Child::report('refused', Child::thrownBy(static fn () => Child::buffer()->retry($lines)));
            PHP, [$this->file]);
        [$class, $message] = $again->reported('refused');
        self::assertSame('WriteBuffer\ConfigException', $class);
        self::assertStringStartsWith('failure 1 is "uncertain": its rows may be in the database already', $message);
        $this->assertOrders($isCommitted ? range(1, 4) : [1], $again);
    }
}
