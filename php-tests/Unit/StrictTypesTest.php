<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use TypeError;
use WriteBuffer\MemorySink;
use WriteBuffer\Tests\Support\MemoryTestCase;

use function WriteBuffer\Tests\Support\settings_of_a_buffer_made_weakly;
use function WriteBuffer\Tests\Support\wrong_weak_call;

/** PHP itself parses the arguments, so the caller's strict_types counts. */
final class StrictTypesTest extends MemoryTestCase
{
    public static function setUpBeforeClass(): void
    {
        require_once dirname(__DIR__) . '/Support/weak_calls.php';
    }

    public function testConvertsArgumentsOfAWeakCaller(): void
    {
        $info = settings_of_a_buffer_made_weakly();
        self::assertSame(
            [1, 10, 20_000, 2, 30],
            [
                $info['flushed'],
                $info['batchSize'],
                $info['flushIntervalMs'],
                $info['maxRetries'],
                $info['maxPendingRows'],
            ],
        );
        self::assertSame(['5' => [['id' => 1]]], MemorySink::tables());
    }

    public function testRefusesWhatCannotBeConverted(): void
    {
        self::assertThrows(
            TypeError::class,
            'WriteBuffer::__construct(): Argument #2 ($batchSize) must be of type ?int, string given',
            static fn () => wrong_weak_call(),
        );
    }

    public function testRefusesTheSameOfAStrictCaller(): void
    {
        self::assertThrows(
            TypeError::class,
            'WriteBuffer::__construct(): Argument #2 ($batchSize) must be of type ?int, string given',
            static fn () => new \WriteBuffer('memory:', '10'),
        );
    }
}
