<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Events;

/**
 * What a buffer has committed since the last event of this kind, also by its native thread. It is
 * dispatched when work ends, if anybody listens, as DB::listen() tells of Laravel's own queries.
 */
final class BatchWritten
{
    /**
     * @param list<string> $tables       that were given rows meanwhile, without the prefix
     * @param int          $rows         rows committed
     * @param int          $transactions in so many transactions
     * @param float        $timeMs       the time that these took, retries included
     */
    public function __construct(
        public readonly string $buffer,
        public readonly array $tables,
        public readonly int $rows,
        public readonly int $transactions,
        public readonly float $timeMs,
    ) {
    }
}
