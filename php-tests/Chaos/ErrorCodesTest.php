<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Chaos\Support\FaultProxy;
use WriteBuffer\Tests\Chaos\Support\Forgery;
use WriteBuffer\Tests\Support\ErrorCodes;

/**
 * Any command is answered by any error code: instead of being carried out or after it, and with or
 * without the end of the connection. Nothing is lost or doubled; and what is given up was answered
 * by a code that says that its data is at fault.
 */
final class ErrorCodesTest extends ChaosTestCase
{
    /** Codes that nobody knows. */
    private const UNLISTED = [1, 999, 1_000, 4_999, 5_000, 12_345, 30_001, 65_535];

    /** @return iterable<string, array{string}> settings of the buffer */
    public static function buffers(): iterable
    {
        yield 'in the background' => ['background: true'];
        yield 'in four lanes' => ['background: true, lanes: 4'];
        yield 'in the foreground' => ['background: false'];
    }

    /**
     * @dataProvider buffers
     */
    #[DataProvider('buffers')]
    public function testAnyCommandIsAnsweredByAnyCode(string $settings): void
    {
        $codes = implode(',', [...ErrorCodes::listed(), ...self::UNLISTED]);
        $seed = self::scaled(1, random_int(1, 1_000_000));
        $proxy = $this->strike([
            // A new connection asks for much. So that one succeeds now and then, most of the
            // answers are those to rows and to COMMIT.
            'commit' => "answer={$codes} when=after odds=15 seed={$seed} on query COMMIT",
            'rows' => "answer={$codes} odds=40 seed={$seed} on execute INSERT",
            'any' => "answer={$codes} odds=200 seed={$seed} on command",
        ], $settings, self::scaled(60, 500));

        $given = array_count_values($this->assertAllButGivenUp());
        $forged = [...$proxy->forged('any'), ...$proxy->forged('commit'), ...$proxy->forged('rows')];
        $ofRows = array_filter($forged, static fn (Forgery $forgery): bool => $forgery->isOfRows());
        $answered = array_count_values(array_map(static fn (Forgery $forgery): int => $forgery->code, $ofRows));
        foreach ($given as $code => $times) {
            self::assertSame('Data', ErrorCodes::classOf($code), "{$code} gives no row up");
            self::assertLessThanOrEqual($answered[$code] ?? 0, $times, "{$code} was the answer to rows so often");
        }
        $confirmed = $this->total('commits_confirmed');
        self::assertGreaterThan(0, $confirmed, "seed {$seed}: {$this->describeAll()}");
        // Each kind of answer was met.
        $kinds = array_map(
            static fn (Forgery $forgery): string => json_encode([$forgery->isCarriedOut, $forgery->isCut]),
            $forged,
        );
        self::assertCount(4, array_unique($kinds));
    }

    /** A code that says that a row is at fault says nothing if no row was sent: all are written. */
    public function testOnlyTheAnswerToRowsGivesThemUp(): void
    {
        $data = array_filter(ErrorCodes::listed(), static fn (int $code): bool => ErrorCodes::classOf($code) === 'Data');
        $codes = implode(',', $data);
        $this->strike([
            'ledger' => "answer={$codes} odds=20 on query UPDATE `write_buffer_ledger`",
            'question' => "answer={$codes} odds=60 on statement SELECT",
            'setting' => "answer={$codes} odds=9 on query SET",
            'commit' => "answer={$codes} odds=20 on query COMMIT",
        ], 'background: true', self::scaled(25, 300));
        $this->assertNothingLostOrDoubled();
    }

    /**
     * Rows are answered as if no statement could be prepared, while others wait to be prepared. It
     * is the rows that have failed.
     */
    public function testRowsThatAreAnsweredAsIfNothingCouldBePrepared(): void
    {
        $this->strike(
            ['rows' => 'answer=1461,1295 odds=20 on execute INSERT'],
            'background: true, maxPreparedStatements: 2',
            self::scaled(40, 300),
        );
        $this->assertNothingLostOrDoubled();
    }

    /** COMMIT says that it lost a race and rolled back. It is untrue, and the ledger knows. */
    public function testACommitThatSaysThatItFailed(): void
    {
        $proxy = $this->strike(
            ['commit' => 'answer=1213,3101,8002,8005,8022,8028,9007 when=after every=7 on query COMMIT'],
            'background: true',
            self::scaled(30, 200),
        );
        $this->assertNothingLostOrDoubled();
        $cut = array_filter($proxy->forged('commit'), static fn (Forgery $forgery): bool => $forgery->isCut);
        self::assertNotSame([], $cut);
        self::assertLessThan(count($proxy->forged('commit')), count($cut), 'some kept the connection');
    }

    /** Refused, it would let each statement commit by itself: nothing is sent before its answer. */
    public function testARefusedSetAutocommitCommitsNothing(): void
    {
        $this->strike([
            'setting' => 'answer=1105,1231,1193 when=instead odds=3 on query SET SESSION autocommit = 0',
            // The connection stays, with its prepared statements. Their table is looked up, for
            // which autocommit is on, so it has to be set anew.
            'rows' => 'answer=1146 when=instead then=keep odds=20 on execute INSERT',
        ], 'background: true', self::scaled(8, 60));
        $this->assertNothingLostOrDoubled();
    }

    /**
     * Lets faults strike under load, all together so often, and ends them.
     *
     * @param array<string, string> $faults by name
     */
    private function strike(array $faults, string $settings, int $strikes): FaultProxy
    {
        $dsn = $this->proxy($proxy);
        foreach ($faults as $name => $fault) {
            $proxy->arm($name, $fault);
        }
        $this->startWriter($dsn, settings: $settings, repeatsRefused: true);
        $this->awaitUnderLoad(
            "{$strikes} strikes, and one of each kind",
            static function () use ($proxy, $faults, $strikes): bool {
                $struck = array_map($proxy->struck(...), array_keys($faults));

                return array_sum($struck) >= $strikes && min($struck) > 0;
            },
        );
        foreach (array_keys($faults) as $name) {
            self::assertTrue($proxy->disarm($name), 'a fault that strikes again and again stays armed');
        }

        return $proxy;
    }
}
