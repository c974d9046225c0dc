<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Exceptions;

use RuntimeException;

/** Rows wait for the commit of a transaction that a job has left open. */
final class OpenTransactionException extends RuntimeException
{
    public function __construct(public readonly string $buffer, public readonly int $rows)
    {
        parent::__construct(
            "the buffer {$buffer}: {$rows} rows wait for a transaction that a job has left open: commit it, or roll it"
            . ' back'
        );
    }
}
