<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use WriteBuffer\FlushException;
use WriteBuffer\RefusedException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** What one statement takes: max_allowed_packet, and 65,535 placeholders. */
final class PacketTest extends DatabaseTestCase
{
    private const PACKET_BYTES = 16_384;

    private function smallPackets(): void
    {
        $this->setGlobal('max_allowed_packet', self::PACKET_BYTES);
    }

    public function testSplitsStatementsByPackets(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body VARCHAR(16000) COLLATE latin1_bin, n INT');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets', batchSize: 10_000);
        mt_srand(7);
        $expected = [];
        for ($id = 0; $id < 500; $id++) {
            // Short rows, long rows, and a few that nearly fill a packet.
            $length = $id % 50 === 0 ? 16_000 : mt_rand(0, $id % 3 === 0 ? 3_000 : 40);
            $row = ['id' => $id, 'body' => str_repeat(chr(97 + $id % 26), $length), 'n' => $id % 7 === 0 ? null : $id];
            $expected[] = array_map(static fn (mixed $value): ?string => $value === null ? null : (string) $value, $row);
            $buffer->add($row);
        }
        self::assertSame(500, $buffer->flush());
        self::assertSame(1, $buffer->getMetrics()['transactions'], 'several statements, one transaction');
        $stored = $this->admin()->query('SELECT * FROM wb_packets ORDER BY id')->fetchAll(\PDO::FETCH_ASSOC);
        self::assertSame($expected, $stored);
    }

    public function testManySmallRowsDoNotOutgrowThePacketByTheirSql(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, a INT, b INT, c INT, d INT, e INT, f INT, g INT');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets', batchSize: 10_000);
        $buffer->add(array_map(
            static fn (int $id): array => ['id' => $id] + array_fill_keys(['a', 'b', 'c', 'd', 'e', 'f', 'g'], null),
            range(1, 9_000),
        ));
        self::assertSame(9_000, $buffer->flush());
        self::assertSame('9000', $this->value('SELECT COUNT(*) FROM wb_packets'));
    }

    public function testARowLargerThanAPacketIsAFailureOfItsGroupAlone(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body MEDIUMBLOB');
        $this->createTable('wb_fills', 'id INT PRIMARY KEY');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets', tradeTable: 'wb_fills');
        $large = ['id' => 2, 'body' => random_bytes(20_000)];
        $buffer->add(['id' => 1, 'body' => 'small'], ['id' => 10]);
        $buffer->add($large, ['id' => 20]);
        $buffer->add(['id' => 3, 'body' => 'small'], ['id' => 30]);
        $before = microtime(true);
        $thrown = self::assertThrowsMatching(
            RefusedException::class,
            '/^gave up 2 rows that can never be written, see takeFailures\(\); the first error: table wb_packets: a row of '
                . '2\d{4} bytes is larger than the server\'s max_allowed_packet \(16384 bytes\): raise it, or store less$/D',
            static fn () => $buffer->flush(),
        );
        self::assertSame(['1', '3'], array_column($this->rows('wb_packets'), 'id'), 'the other groups are written');
        self::assertSame(['10', '30'], array_column($this->rows('wb_fills', '*', '1'), 'id'));
        $failures = $thrown->getFailures();
        self::assertCount(1, $failures);
        self::assertSame(
            [['table' => 'wb_packets', 'row' => $large], ['table' => 'wb_fills', 'row' => ['id' => 20]]],
            $failures[0]['rows'],
        );
        self::assertSame(['id', 'tag', 'rows', 'status', 'code', 'message', 'time'], array_keys($failures[0]));
        self::assertSame(0, $failures[0]['code']);
        self::assertStringStartsWith('table wb_packets: a row of 2', $failures[0]['message']);
        self::assertGreaterThanOrEqual(floor($before), $failures[0]['time']);
        self::assertLessThanOrEqual(microtime(true) + 1, $failures[0]['time']);
        $metrics = $buffer->getMetrics();
        self::assertSame([2, 4, 0], [$metrics['rows_refused'], $metrics['rows_committed'], $metrics['rows_pending']]);
        self::assertSame($failures, $buffer->takeFailures());
        self::assertSame([], $buffer->takeFailures(), 'handed over once');
        self::assertSame(0, $buffer->flush());
    }

    public function testARowThatFillsAPacketIsWritten(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body MEDIUMBLOB');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets');
        $body = random_bytes(self::PACKET_BYTES - 60);
        $buffer->add([['id' => 1, 'body' => $body], ['id' => 2, 'body' => 'small']]);
        self::assertSame(2, $buffer->flush());
        self::assertSame([['id' => '1', 'body' => $body], ['id' => '2', 'body' => 'small']], $this->rows('wb_packets'));
        $buffer->add(['id' => 3, 'body' => str_repeat('x', self::PACKET_BYTES - 20)]);
        $refused = self::thrownBy(static fn () => $buffer->flush());
        self::assertInstanceOf(FlushException::class, $refused);
        self::assertSame(1, preg_match('/a row of (\d+) bytes is larger/', $refused->getMessage(), $found));
        self::assertGreaterThan(self::PACKET_BYTES, (int) $found[1]);
    }

    public function testFailuresThatAFlushHasToldAreNoWarning(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body MEDIUMBLOB');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets');
        $buffer->add(['id' => 1, 'body' => str_repeat('x', 20_000)]);
        self::assertInstanceOf(FlushException::class, self::thrownBy(static fn () => $buffer->flush()));
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertSame([], $warnings);
    }

    public function testFailuresThatNobodyWasToldOfAreAWarning(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body MEDIUMBLOB');
        $this->smallPackets();
        $buffer = $this->buffer(orderTable: 'wb_packets');
        $buffer->add(['id' => 1, 'body' => str_repeat('x', 20_000)]);
        $buffer->add(['id' => 2, 'body' => 'small']);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertCount(1, $warnings);
        self::assertMatchesRegularExpression(
            '/^WriteBuffer: gave up 1 row, and nobody called takeFailures\(\); the last error: gave up 1 row that can never be '
                . 'written, see takeFailures\(\); the first error: table wb_packets: a row of \d+ bytes is '
                . 'larger than the server\'s max_allowed_packet \(16384 bytes\): raise it, or store less$/D',
            $warnings[0],
        );
        self::assertSame(['2'], array_column($this->rows('wb_packets'), 'id'));
    }

    public function testTheSynchronousBufferKeepsNoFailure(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, body MEDIUMBLOB');
        $this->smallPackets();
        $buffer = $this->syncBuffer(orderTable: 'wb_packets');
        $thrown = self::thrownBy(static fn () => $buffer->add(['id' => 1, 'body' => str_repeat('x', 20_000)]));
        self::assertInstanceOf(FlushException::class, $thrown);
        self::assertCount(1, $thrown->getFailures());
        self::assertSame([], $buffer->takeFailures());
        self::assertCount(0, $buffer);
        $warnings = self::warningsOf(static function () use (&$buffer): void {
            $buffer = null;
        });
        self::assertSame([], $warnings);
    }

    public function testSplitsStatementsByPlaceholders(): void
    {
        $names = array_map(static fn (int $at): string => "c{$at}", range(1, 59));
        $this->createTable('wb_wide', 'id INT PRIMARY KEY, ' . implode(', ', array_map(
            static fn (string $name): string => "{$name} INT NOT NULL",
            $names,
        )));
        $buffer = $this->buffer(orderTable: 'wb_wide', batchSize: 10_000);
        for ($id = 1; $id < 3_000; $id++) {
            $buffer->add(['id' => $id] + array_combine($names, range($id, $id + 58)));
        }
        self::assertSame(2_999, $buffer->flush());
        self::assertSame(
            ['2999', '1', '2999', (string) array_sum(range(1, 2_999)), (string) array_sum(range(59, 3_057))],
            array_values($this->rows('wb_wide', 'COUNT(*), MIN(id), MAX(id), SUM(c1), SUM(c59)', '1')[0]),
        );
    }

    public function testFewStatementsArePrepared(): void
    {
        $this->createTable('wb_packets', 'id INT PRIMARY KEY, n INT');
        $prepared = fn (): int => (int) $this->admin()->query("SHOW GLOBAL STATUS LIKE 'Com_stmt_prepare'")->fetchColumn(1);
        $buffer = $this->buffer(orderTable: 'wb_packets', batchSize: 10_000);
        $before = $prepared();
        for ($rows = 1; $rows <= 200; $rows++) {
            for ($id = 0; $id < $rows; $id++) {
                $buffer->add(['id' => $id, 'n' => $rows]);
            }
            self::assertSame($rows, $buffer->flush());
        }
        self::assertLessThanOrEqual(32, $prepared() - $before, 'two hundred row counts, some two dozen statements');
        self::assertSame('200', $this->value('SELECT COUNT(*) FROM wb_packets WHERE n = 200'));
    }
}
