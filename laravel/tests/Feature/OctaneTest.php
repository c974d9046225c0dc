<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Feature;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Laravel\Tests\Support\TestCase;

/** Octane's events are ends of work. They are dispatched by name: Octane itself is not there. */
final class OctaneTest extends TestCase
{
    protected function bufferConfiguration(): array
    {
        return ['default' => 'default', 'buffers' => ['default' => [
            'driver' => 'native',
            'background' => false,
            'flush_interval_ms' => 3_600_000,
        ]]];
    }

    protected function setUp(): void
    {
        parent::setUp();
        $this->createTable('orders', 'id INT PRIMARY KEY, v INT NOT NULL');
    }

    /** @return iterable<string, array{string}> */
    public static function octane(): iterable
    {
        foreach (['RequestTerminated', 'TaskTerminated', 'TickTerminated', 'WorkerStopping'] as $event) {
            yield $event => [$event];
        }
    }

    /** @dataProvider octane */
    #[DataProvider('octane')]
    public function testOctane(string $event): void
    {
        $this->buffer()->add(['id' => 1, 'v' => 1]);
        $this->app->make('events')->dispatch("Laravel\\Octane\\Events\\{$event}");

        self::assertSame([1], array_column($this->rows('orders'), 'id'));
    }
}
