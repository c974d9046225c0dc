<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\FaultProxy;

/**
 * Connections that end at a chosen packet or byte. The rows must not be written twice: inserts
 * without a key, and sums.
 */
final class ConnectionFaultsTest extends ChaosTestCase
{
    private const COMMIT = 'on statement COMMIT';

    /**
     * @return iterable<string, array{list<string>, bool}> the faults, and whether the rows are
     *         written in the background
     */
    public static function faultsThatCommitNothing(): iterable
    {
        $faults = [
            'before the transaction' => ['cut-before every=7 on statement UPDATE `write_buffer_ledger`'],
            'before COMMIT' => ['cut-before every=7 ' . self::COMMIT],
            'in the middle of COMMIT' => ['cut-at=6 every=7 ' . self::COMMIT],
            'before an INSERT' => ['cut-before every=11 on execute INSERT'],
            'in the header of an INSERT' => ['cut-at=2 every=11 on execute INSERT'],
            'in the middle of an INSERT' => ['cut-at=60 every=11 on execute INSERT'],
            'when an INSERT is done' => ['cut-after-answer every=11 on execute INSERT'],
            // A connection prepares a statement once. So a second fault ends connections, and the
            // first hits new ones.
            'while an INSERT is prepared' => [
                'cut-at=30 every=5 on prepare INSERT',
                'cut-before every=13 ' . self::COMMIT,
            ],
        ];
        foreach ($faults as $name => $fault) {
            yield $name => [$fault, true];
        }
        yield 'before COMMIT, in the foreground' => [$faults['before COMMIT'], false];
        yield 'in the middle of an INSERT, in the foreground' => [$faults['in the middle of an INSERT'], false];
    }

    /**
     * @param list<string> $faults
     *
     * @dataProvider faultsThatCommitNothing
     */
    #[DataProvider('faultsThatCommitNothing')]
    public function testAConnectionThatEndsBeforeTheCommit(array $faults, bool $background): void
    {
        $proxy = $this->strikeUnderLoad($faults, $background);
        // Each of these faults ended a connection, and a later one did its work.
        self::assertGreaterThanOrEqual($proxy->struck('fault-0') - 1, $this->total('reconnects'), $this->describeAll());
    }

    /**
     * @return iterable<string, array{string, bool, 2?: int}> a fault, whether the rows are written
     *         in the background, and lanes
     */
    public static function faultsThatCommit(): iterable
    {
        foreach (['in the background' => true, 'in the foreground' => false] as $where => $background) {
            yield "after the answer, {$where}" => ['cut-after-answer every=7 ' . self::COMMIT, $background];
            yield "at once, {$where}" => ['cut-after every=7 ' . self::COMMIT, $background];
        }
        yield 'after the answer, in four lanes' => ['cut-after-answer every=7 ' . self::COMMIT, true, 4];
    }

    /**
     * @dataProvider faultsThatCommit
     */
    #[DataProvider('faultsThatCommit')]
    public function testACommitWhoseAnswerIsLost(string $fault, bool $background, int $lanes = 1): void
    {
        // In a lane, all transactions that it strikes may have only rows that need no ledger.
        $proxy = $this->strikeUnderLoad([$fault], $background, lanes: $lanes, metric: 'commits_confirmed');
        $struck = $proxy->struck('fault-0');
        if (str_starts_with($fault, 'cut-after-answer')) {
            self::assertSame($struck, $proxy->struck('fault-0', 'ok'), 'each COMMIT was done');
            $this->assertConfirmed($struck);

            return;
        }
        // The server's answer may have overtaken the end: then nothing was in doubt. And the end
        // may have overtaken the COMMIT, which then was not carried out.
        self::assertSame($struck, $this->total('commits_unknown') + $this->total('retries_reconnect'), $this->describeAll());
        self::assertGreaterThan(0, $this->total('commits_confirmed'), $this->describeAll());
    }

    /** @return iterable<string, array{int}> milliseconds */
    public static function holds(): iterable
    {
        yield 'for an instant' => [1];
        yield 'until the client is back' => [250];
    }

    /**
     * The client is back while its COMMIT is under way. Its question must wait for the COMMIT, not
     * overtake it.
     *
     * @dataProvider holds
     */
    #[DataProvider('holds')]
    public function testACommitThatIsUnderWayWhenTheClientIsBack(int $holdMs): void
    {
        $proxy = $this->strikeUnderLoad(["hold={$holdMs} every=7 " . self::COMMIT]);
        $struck = $proxy->struck('fault-0');
        self::assertSame($struck, $proxy->answered('fault-0', 'ok'), "each COMMIT was done\n{$this->describeAll()}");
        $this->assertConfirmed($struck);
    }

    /** @return iterable<string, array{int}> */
    public static function lanes(): iterable
    {
        yield 'one lane' => [1];
        yield 'four lanes' => [4];
    }

    /**
     * All faults at once, again and again, also while the buffer recovers from the last one. A lane
     * recovers while the others write on.
     *
     * @dataProvider lanes
     */
    #[DataProvider('lanes')]
    public function testFaultsThatMeetARecovery(int $lanes): void
    {
        $proxy = $this->strikeUnderLoad([
            'cut-after-answer every=5 ' . self::COMMIT,
            'hold=20 every=11 ' . self::COMMIT,
            // A recovery sends many SELECTs, and must succeed now and then. With several lanes a
            // COMMIT may be one of rows that need no ledger: the strikes go on until one was
            // confirmed.
            'cut-before every=41 on statement SELECT',
            'cut-after-answer every=61 on statement SELECT',
            'cut-at=50 every=53 on execute INSERT',
            'cut-before every=307 on command',
        ], lanes: $lanes, metric: 'commits_confirmed');
        self::assertGreaterThan(0, $proxy->struck('fault-1'), $proxy->describe());
        self::assertGreaterThan(0, $proxy->struck('fault-5'), $proxy->describe());
        self::assertGreaterThan(0, $this->total('commits_confirmed'), $this->describeAll());
    }

    /**
     * A batch with a refused group is halved into many small transactions. Their COMMITs lose their
     * answers too.
     */
    public function testRefusedGroupsAmongFaults(): void
    {
        $proxy = $this->strikeUnderLoad(
            ['cut-after-answer every=7 ' . self::COMMIT, 'cut-before every=31 ' . self::COMMIT],
            refusedEvery: self::scaled(40, 20),
        );
        self::assertGreaterThan(0, $proxy->struck('fault-1'), $proxy->describe());
        self::assertGreaterThan(0, $this->total('commits_confirmed'), $this->describeAll());
    }

    /** @return iterable<string, array{string}> */
    public static function streams(): iterable
    {
        yield 'what the client says' => ['client-stream'];
        yield 'what the server says' => ['server-stream'];
    }

    /**
     * The connection ends at any byte, from the handshake through schema and ledger to the first
     * rows.
     *
     * @dataProvider streams
     */
    #[DataProvider('streams')]
    public function testAConnectionThatEndsAtAnyByte(string $stream): void
    {
        $dsn = $this->proxy($proxy);
        $this->startWriter($dsn);
        // The handshake's length differs from server to server. The step is a prime number, so the
        // cuts fall anywhere in a packet.
        $cuts = self::scaled(25, 100);
        $step = self::scaled(157, 47);
        $this->awaitMoreOrders(1);
        for ($cut = 0; $cut < $cuts; $cut++) {
            $proxy->arm("byte-{$cut}", 'cut-at=' . $cut * $step . " on {$stream}");
            $proxy->cut();
            $this->awaitUnderLoad(
                "a cut at byte {$cut} × {$step}",
                static fn (): bool => $proxy->struck("byte-{$cut}") === 1,
            );
            $this->awaitMoreOrders(1);
        }
        $this->assertNothingLostOrDoubled();
    }

    /** Asserts that the ledger confirmed this many COMMITs whose answers were lost. */
    private function assertConfirmed(int $commits): void
    {
        // If a transaction has only rows that may be written twice, it is repeated without a
        // question.
        $repeated = $this->total('commits_unknown') - $this->total('commits_looked_up');
        self::assertGreaterThan(0, $this->total('commits_confirmed'), $this->describeAll());
        self::assertSame($commits, $this->total('commits_confirmed') + $repeated, $this->describeAll());
    }

    /**
     * Lets faults strike until the first of them has struck often enough, and compares the tables.
     *
     * @param list<string> $faults
     */
    private function strikeUnderLoad(
        array $faults,
        bool $background = true,
        int $refusedEvery = 0,
        int $lanes = 1,
        ?string $metric = null,
    ): FaultProxy {
        $dsn = $this->proxy($proxy);
        foreach ($faults as $number => $fault) {
            $proxy->arm("fault-{$number}", $fault);
        }
        $settings = 'background: ' . var_export($background, true) . ($lanes === 1 ? '' : ", lanes: {$lanes}");
        $writer = $this->startWriter($dsn, settings: $settings, refusedEvery: $refusedEvery);
        $strikes = self::scaled(10, 40);
        $this->awaitUnderLoad(
            "{$strikes} strikes" . ($metric === null ? '' : " and {$metric}"),
            static fn (): bool => $proxy->struck('fault-0') >= $strikes
                && ($metric === null || $writer->metrics()[$metric] > 0),
        );
        // No fault strikes at the end of a test, because it might hit the last COMMIT of all.
        foreach (array_keys($faults) as $number) {
            self::assertTrue($proxy->disarm("fault-{$number}"), 'a fault that strikes every time stays armed');
        }
        $this->assertNothingLostOrDoubled($refusedEvery);

        return $proxy;
    }
}
