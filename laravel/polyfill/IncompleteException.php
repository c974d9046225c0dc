<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * putAll(), retry() or DeadLetterFile::retry() ended halfway. What was taken stays taken. If the
 * extension is loaded, its own class is used.
 */
final class IncompleteException extends \RuntimeException implements Exception
{
    /** @param array<int, string> $reasons by the number of the row, from 1 */
    public function __construct(
        string $message = '',
        int $code = 0,
        ?\Throwable $previous = null,
        private readonly int $takenRows = 0,
        private readonly int $skippedRows = 0,
        private readonly array $reasons = [],
        private readonly int $takenGroups = 0,
        private readonly int $processedRows = 0,
    ) {
        parent::__construct($message, $code, $previous);
    }

    public function getTakenRows(): int
    {
        return $this->takenRows;
    }

    public function getTakenGroups(): int
    {
        return $this->takenGroups;
    }

    public function getSkippedRows(): int
    {
        return $this->skippedRows;
    }

    public function getProcessedRows(): int
    {
        return $this->processedRows;
    }

    /** @return array<int, string> */
    public function getReasons(): array
    {
        return $this->reasons;
    }
}
