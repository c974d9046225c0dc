<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Process\Support\ProcessTestCase;

/**
 * No call of add() waits while the server is stopped. Times cannot show it: any thread may be put
 * aside at any moment. The kernel counts apart how often a thread gave the processor away itself,
 * because it had to wait: its voluntary context switches.
 */
final class NeverWaitsTest extends ProcessTestCase
{
    /** What every child does first; its loop counts the voluntary switches of PHP's own thread. */
    private const LOOP = <<<'PHP'
        $switches = static fn (): int => (int) Child::status('/proc/thread-self', 'voluntary_ctxt_switches');
        $loop = static function (object $target, array $groups) use ($switches): int {
            $before = $switches();
            foreach ($groups as [$order, $trades]) {
                $target->add($order, $trades);
            }

            return $switches() - $before;
        };
        $groups = static fn (int $first, int $count): array => array_map(
            static fn (int $id): array => [Child::order($id), Child::trades($id)],
            range($first, $first + $count - 1),
        );

        PHP;

    /** @return iterable<string, array{string}> settings */
    public static function settings(): iterable
    {
        yield 'one connection' => [''];
        yield 'four' => ['lanes: 4'];
    }

    /**
     * The machine may hold a thread up by itself, by memory that it has to find first. So a count
     * begins anew then: 40,000 calls in a row are free of switches. If one of them waited now and
     * then, there were no such row.
     *
     * @dataProvider settings
     */
    #[DataProvider('settings')]
    public function testAddWhileTheServerIsStopped(string $settings): void
    {
        $child = $this->start(self::LOOP . <<<PHP
            \$buffer = Child::buffer(batchSize: 100, flushIntervalMs: 10, maxPendingRows: 2_000_000, {$settings});
            PHP . <<<'PHP'

            $nothing = new class () {
                public function add(array $order, array $trades): void
                {
                }
            };
            Child::add($buffer, 1, 1_000);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            [$next, $free, $counts] = [1_001, 0, []];
            while ($free < 40_000 && $next < 400_000) {
                $made = $groups($next, 4_000);
                $next += 4_000;
                $ofNothing = $loop($nothing, $made);
                $counts[] = [$ofNothing, $count = $loop($buffer, $made)];
                $free = $count === 0 ? $free + 4_000 : 0;
            }
            Child::report('free', $free);
            Child::report('counts', $counts);
            Child::report('last', $next - 1);
            Child::hear();
            PHP);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        $counts = $child->reported('counts');
        $this->continueDatabase();
        self::assertSame(40_000, $child->reported('free'), 'of a method that does nothing, and add(): ' . json_encode($counts));
        $child->send();
        $this->assertEndsWell($child);
        self::assertSame($child->reported('last'), $this->orderCount());
    }

    /** Otherwise a count of none would say nothing. */
    public function testACallThatWaitsForRoomIsCounted(): void
    {
        $child = $this->start(self::LOOP . <<<'PHP'
            $buffer = Child::buffer(maxPendingRows: 300, overflowTimeoutMs: 300);
            $buffer->flush();
            Child::say('ready');
            Child::hear();
            Child::report('full', Child::thrownBy(static fn () => $loop($buffer, $groups(1, 100)))[0]);
            $before = $switches();
            Child::report('waited', Child::thrownBy(static fn () => $loop($buffer, $groups(101, 1)))[0]);
            Child::report('counted', $switches() - $before);
            Child::hear();
            PHP);
        $child->waitFor('ready');
        $this->stopDatabase();
        $child->send();
        $counted = $child->reported('counted');
        $this->continueDatabase();
        self::assertSame('', $child->reported('full'), $child->describe());
        self::assertSame('WriteBuffer\FullException', $child->reported('waited'), $child->describe());
        self::assertGreaterThan(0, $counted);
        $child->send();
        $this->assertEndsWell($child);
    }
}
