<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The server, or a check before it, refused rows. The code is the server's error code, or 0. If the
 * extension is loaded, its own class is used.
 */
final class FlushException extends \RuntimeException implements Exception
{
    /** @var array<mixed>|null set from outside, as the extension sets its own */
    private ?array $failures = null;

    /**
     * @return list<array{
     *     rows: list<array{table: string, row: array<string, mixed>}>,
     *     code: int,
     *     message: string,
     *     time: float
     * }> the groups that this flush gave up; empty if the rows stay buffered
     */
    public function getFailures(): array
    {
        return $this->failures ?? [];
    }
}
