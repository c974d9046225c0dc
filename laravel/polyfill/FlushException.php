<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The server, or a check before it, does not take rows. The code is the server's error code, or 0.
 * What is thrown is a RefusedException or a BlockedException. If the extension is loaded, its own
 * class is used.
 */
class FlushException extends \RuntimeException implements Exception
{
    /**
     * @param list<array{
     *     rows: list<array{table: string, row: array<string, mixed>}>,
     *     code: int,
     *     message: string,
     *     time: float
     * }> $failures what getFailures() returns
     */
    public function __construct(
        string $message = '',
        int $code = 0,
        ?\Throwable $previous = null,
        private readonly array $failures = [],
    ) {
        parent::__construct($message, $code, $previous);
    }

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
        return $this->failures;
    }
}
