<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Chaos\Support\ChaosTestCase;
use WriteBuffer\Tests\Process\Support\Child;

/**
 * The server refuses some groups among thousands, while connections end before, at and after
 * COMMIT. Each refused group is in the dead-letter file once, and all others are in the tables
 * once.
 */
final class RefusedGroupsTest extends ChaosTestCase
{
    private const REFUSED_EVERY = 97;

    /** @return iterable<string, array{bool}> */
    public static function flushers(): iterable
    {
        yield 'in the background' => [true];
        yield 'in the foreground' => [false];
    }

    /**
     * @dataProvider flushers
     */
    #[DataProvider('flushers')]
    public function testEachIsFoundAndNoOtherIsLost(bool $background): void
    {
        $groups = self::scaled(3_000, 20_000);
        $dsn = $this->proxy($proxy);
        $proxy->arm('after', 'cut-after-answer every=9 on statement COMMIT');
        $proxy->arm('before', 'cut-before every=13 on statement COMMIT');
        $proxy->arm('within', 'cut-at=60 every=31 on execute INSERT');
        $file = sys_get_temp_dir() . '/wb_chaos_' . bin2hex(random_bytes(6)) . '.jsonl';
        $child = $this->start(
            <<<'PHP'
                [, $dsn, $file, $groups, $every, $background] = $argv;
                $buffer = Child::buffer(dsn: $dsn, deadLetterFile: $file, background: $background === '1', batchSize: 100,
                    flushIntervalMs: 20);
                $taken = static function (callable $call): void {
                    try {
                        $call();
                    } catch (WriteBuffer\ConnectionException | WriteBuffer\FlushException) {
                        // Taken: buffered, committed or given up.
                    }
                };
                for ($id = 1; $id <= (int) $groups; $id++) {
                    $order = Child::order($id);
                    if ($id % (int) $every === 0) {
                        $order['v'] = str_repeat('x', 21);
                    }
                    $taken(static fn () => $buffer->add($order, Child::trades($id)));
                }
                Child::await('all settled', static function () use ($buffer, $taken): bool {
                    $taken($buffer->flush(...));

                    return count($buffer) === 0;
                }, 180);
                Child::report('metrics', $buffer->getMetrics());
                $buffer->takeFailures();
                PHP,
            [$dsn, $file, (string) $groups, (string) self::REFUSED_EVERY, $background ? '1' : '0'],
        );
        try {
            self::assertSame('exit 0', $child->finish(240), $child->describe() . $proxy->describe());
            $metrics = $child->reported('metrics');
            $refused = range(self::REFUSED_EVERY, $groups, self::REFUSED_EVERY);
            $lines = array_map(
                static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR),
                (array) file($file),
            );
            self::assertSame(
                $refused,
                array_map(static fn (array $line): int => $line['rows'][0]['row']['id'], $lines),
                $child->describe(),
            );
            foreach ($lines as $line) {
                self::assertSame(1406, $line['code']);
                self::assertSame([Child::ORDERS, Child::TRADES, Child::TRADES], array_column($line['rows'], 'table'));
            }
            self::assertSame(count($refused) * Child::ROWS_PER_GROUP, $metrics['rows_refused']);
            $this->assertOrders(array_values(array_diff(range(1, $groups), $refused)), $child, 'id');
            foreach (['after', 'before', 'within'] as $fault) {
                self::assertGreaterThan(0, $proxy->struck($fault), $fault);
            }
            self::assertGreaterThan(0, $metrics['commits_confirmed']);
        } finally {
            @unlink($file);
        }
    }
}
