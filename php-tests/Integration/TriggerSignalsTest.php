<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\FlushException;
use WriteBuffer\Tests\Support\DatabaseTestCase;

/** A trigger that signals by what is the server's own to say: a lost race, a lost connection. */
final class TriggerSignalsTest extends DatabaseTestCase
{
    /** @return iterable<string, array{int}> */
    public static function codes(): iterable
    {
        foreach ([1045, 1205, 1213, 1290, 2013] as $code) {
            yield "{$code}" => [$code];
        }
    }

    /** @dataProvider codes */
    #[DataProvider('codes')]
    public function testATriggerThatSpeaksForTheServerHoldsUpItsTableAlone(int $code): void
    {
        $this->createTable('wb_signalled', 'id INT PRIMARY KEY, v INT NULL');
        $this->createTable('wb_beside', 'id INT PRIMARY KEY');
        $this->admin()->exec(
            'CREATE TRIGGER wb_signal BEFORE INSERT ON wb_signalled FOR EACH ROW '
                . "IF NEW.v = 0 THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {$code}; END IF",
        );
        $buffer = $this->buffer();
        $buffer->put('wb_signalled', ['id' => 1, 'v' => 0]);
        $buffer->put('wb_beside', ['id' => 1]);
        for ($attempt = 1; $attempt <= 2; $attempt++) {
            $thrown = self::thrownBy(static fn () => $buffer->flush());
            self::assertInstanceOf(FlushException::class, $thrown);
            self::assertSame($code, $thrown->getCode(), $thrown->getMessage());
            self::assertSame([1, []], [count($buffer), $buffer->takeFailures()], 'no row is at fault');
        }
        self::assertSame('1', $this->value('SELECT COUNT(*) FROM wb_beside'), 'the other table is written');
        $this->admin()->exec('DROP TRIGGER wb_signal');
        self::assertSame(1, $buffer->flush());
        self::assertSame('0', $this->value('SELECT v FROM wb_signalled'));
    }
}
