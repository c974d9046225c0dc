<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use DateTime;
use DateTimeImmutable;
use DateTimeInterface;
use DateTimeZone;
use WriteBuffer\ConfigException;
use WriteBuffer\Tests\Support\MemoryTestCase;

/** `timeZone`: moments are converted before they are written. */
final class TimeZoneTest extends MemoryTestCase
{
    public function testMomentsAreConverted(): void
    {
        $moments = [
            new DateTime('2024-07-01 12:00:00.25', new DateTimeZone('Europe/Berlin')),
            new DateTimeImmutable('2024-12-31 23:30:00', new DateTimeZone('America/New_York')),
            new DateTimeImmutable('2024-07-01 12:00:00 +05:45'),
        ];
        foreach (['UTC', 'Asia/Tokyo', '+02:00', '-05:30', 'Europe/Berlin'] as $zone) {
            foreach ([$this->buffer(timeZone: $zone), $this->syncBuffer(timeZone: $zone)] as $buffer) {
                foreach ($moments as $number => $moment) {
                    $before = $moment->format('c e');
                    $buffer->put('t', ['id' => $number, 'at' => $moment, 'text' => '2024-07-01 12:00:00']);
                    self::assertSame($before, $moment->format('c e'), 'the object stays as it is');
                }
                $buffer->putAll('t', [['id' => 9, 'at' => $moments[0]]]);
                $buffer->flush();
                $expected = array_map(
                    static fn (DateTimeInterface $moment): string => DateTimeImmutable::createFromInterface($moment)
                        ->setTimezone(new DateTimeZone($zone))->format('Y-m-d H:i:s.u'),
                    [...$moments, $moments[0]],
                );
                self::assertSame($expected, array_column(self::rowsOf('t'), 'at'), $zone);
                self::assertSame(array_fill(0, 3, '2024-07-01 12:00:00'), array_column(self::rowsOf('t'), 'text'));
                \WriteBuffer\MemorySink::reset();
            }
        }
    }

    public function testWithoutItEachKeepsItsOwn(): void
    {
        $buffer = $this->buffer();
        $buffer->put('t', ['id' => 1, 'at' => new DateTimeImmutable('2024-07-01 12:00:00', new DateTimeZone('Asia/Tokyo'))]);
        self::assertSame('2024-07-01 12:00:00.000000', $buffer->find('t', 1)['at']);
        self::assertArrayNotHasKey('timeZone', $buffer->__debugInfo());
        self::assertSame('UTC', $this->buffer(timeZone: 'UTC')->__debugInfo()['timeZone']);
    }

    public function testKeysAreConvertedToo(): void
    {
        $buffer = $this->buffer(timeZone: 'UTC');
        $berlin = new DateTimeImmutable('2024-07-01 12:00:00', new DateTimeZone('Europe/Berlin'));
        $tokyo = $berlin->setTimezone(new DateTimeZone('Asia/Tokyo'));
        $buffer->put('t', ['id' => $berlin, 'v' => 1]);
        self::assertSame(['id' => '2024-07-01 10:00:00.000000', 'v' => 1], $buffer->find('t', $tokyo));
        self::assertNotNull($buffer->find('t', ['id' => $tokyo]));
        $buffer->delete('t', $tokyo);
        self::assertFalse($buffer->find('t', $berlin));
    }

    /** What a failure has is a wall-clock time already. */
    public function testWhatIsPutBackIsNotConvertedAgain(): void
    {
        $buffer = $this->buffer(timeZone: 'Asia/Tokyo');
        $buffer->retry([['rows' => [['table' => 't', 'row' => ['id' => 1, 'at' => ['datetime' => '2024-07-01 12:00:00.5']]]]]]);
        self::assertSame('2024-07-01 12:00:00.500000', $buffer->find('t', 1)['at']);
    }

    public function testAClassMayHaveItsOwn(): void
    {
        $buffer = $this->buffer(timeZone: 'UTC');
        $thrower = new class () extends DateTimeImmutable {
            #[\ReturnTypeWillChange]
            public function setTimezone($timezone)
            {
                throw new \DomainException('no');
            }
        };
        $thrown = self::thrownBy(static fn () => $buffer->put('t', ['id' => 1, 'at' => $thrower]));
        self::assertInstanceOf(\DomainException::class, $thrown);
        self::assertCount(0, $buffer);
    }

    public function testRefusesWhatPhpDoesNotKnow(): void
    {
        foreach (['Mars', 'utc', 'Europe', '+25:00', '+2:00', "UTC\0"] as $zone) {
            $thrown = self::thrownBy(fn () => $this->buffer(timeZone: $zone));
            self::assertInstanceOf(ConfigException::class, $thrown, $zone);
            self::assertStringStartsWith("timeZone must be a time zone of PHP's, such as 'UTC'", $thrown->getMessage());
        }
        self::assertCount(0, $this->buffer(timeZone: ''));
    }
}
