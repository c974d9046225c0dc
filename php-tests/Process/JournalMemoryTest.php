<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Process;

use WriteBuffer\Tests\Process\Support\Child;
use WriteBuffer\Tests\Process\Support\ChildProcess;
use WriteBuffer\Tests\Process\Support\JournalTestCase;

/**
 * What waits for a server that is away is in the journal alone: it takes no memory, is found all
 * the same, and is written as all rows are.
 */
final class JournalMemoryTest extends JournalTestCase
{
    private const ORDERS = 100_000;
    private const MAX_PENDING_BYTES = 2 << 20;
    /** In memory the rows would take some 20 MB. The allocator may hold twice of what is in use. */
    private const MAX_GROWTH = 3 * self::MAX_PENDING_BYTES;

    /** A process that has taken all orders while the server is away, and waits. */
    private function awayHolder(): ChildProcess
    {
        $code = <<<'PHP'
            $buffer = Child::buffer(journal: $argv[1], batchSize: 100, flushIntervalMs: 1, maxPendingRows: 10_000_000,
                maxPendingBytes: (int) $argv[2]);
            Child::add($buffer, 1, 1_000);
            $buffer->flush();
            Child::say('written');
            Child::hear();
            $anonymous = static function (): int {
                preg_match('/^RssAnon:\s+(\d+) kB$/m', (string) file_get_contents('/proc/self/status'), $found);

                return 1024 * (int) $found[1];
            };
            $last = (int) $argv[3];
            Child::add($buffer, 1_001, intdiv($last, 10));
            $before = $anonymous();
            Child::add($buffer, intdiv($last, 10) + 1, $last);
            Child::report('growth', $anonymous() - $before);
            Child::report('pending', [count($buffer), $buffer->getMetrics()['bytes_pending']]);
            foreach (['first' => 1_001, 'middle' => intdiv($last, 2), 'last' => $last, 'none' => $last + 1] as $name => $id) {
                Child::report($name, $buffer->find(Child::ORDERS, $id));
            }
            Child::say('taken');
            Child::hear();
            $buffer->flush();
            Child::report('left', [count($buffer), $buffer->find(Child::ORDERS, $last)]);
            PHP;
        $arguments = [$this->journal, (string) self::MAX_PENDING_BYTES, (string) self::ORDERS];
        $child = $this->start($code, $arguments);
        $child->waitFor('written');
        $this->stopDatabase();
        $child->send();
        $child->waitFor('taken');
        [$rows, $bytes] = $child->reported('pending');
        self::assertSame((self::ORDERS - 1_000) * Child::ROWS_PER_GROUP, $rows);
        self::assertLessThanOrEqual(self::MAX_PENDING_BYTES, $bytes);
        self::assertLessThan(self::MAX_GROWTH, $child->reported('growth'), $child->describe());
        foreach (['first' => 1_001, 'middle' => intdiv(self::ORDERS, 2), 'last' => self::ORDERS] as $name => $id) {
            self::assertSame(Child::order($id), $child->reported($name), $name);
        }
        self::assertNull($child->reported('none'));

        return $child;
    }

    public function testTakesNoMemoryAndIsWritten(): void
    {
        $child = $this->awayHolder();
        $this->continueDatabase();
        $child->send();
        $this->assertEndsWell($child);
        self::assertSame([0, null], $child->reported('left'));
        $this->assertOrders(range(1, self::ORDERS), $child, 'id');
        $this->assertNothingIsLeft();
    }

    public function testSurvivesAKill(): void
    {
        $child = $this->awayHolder();
        self::kill($child);
        $this->continueDatabase();
        [$recovered] = $this->recover();
        self::assertSame([0, 0, null, null], array_slice(array_values($recovered), 3));
        $this->assertOrders(range(1, self::ORDERS), $child, 'id');
        $this->assertNothingIsLeft();
    }
}
