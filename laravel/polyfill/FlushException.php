<?php

declare(strict_types=1);

namespace WriteBuffer;

/** Rows were refused. The code is the server's error code, or 0. The extension's own class wins over this one. */
final class FlushException extends \RuntimeException implements Exception
{
    /** @var array<mixed>|null set as the extension sets it: from outside */
    private ?array $failures = null;

    /** @return list<array{rows: list<array{table: string, row: array<string, mixed>}>, code: int, message: string, time: float}> */
    public function getFailures(): array
    {
        return $this->failures ?? [];
    }
}
