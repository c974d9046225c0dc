<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PHPUnit\Framework\TestCase;
use WriteBuffer\MemorySink;

/** A test without a server: rows go to the tables behind `memory:`. */
abstract class MemoryTestCase extends TestCase
{
    use AssertsExceptions;
    use ChecksBuffers;

    protected function setUp(): void
    {
        MemorySink::reset();
    }

    protected function tearDown(): void
    {
        MemorySink::reset();
        $this->drainBuffers();
        MemorySink::reset();
    }

    protected function defaultDsn(): string
    {
        return 'memory:';
    }

    /** @return list<array<string, mixed>> the rows of a table in memory */
    protected static function rowsOf(string $table): array
    {
        return MemorySink::tables()[$table] ?? [];
    }
}
