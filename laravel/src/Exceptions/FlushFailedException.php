<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Exceptions;

use RuntimeException;
use Throwable;
use WriteBuffer\FlushException;
use WriteBuffer\Laravel\Messages\Words;

/**
 * What Laravel's handler is told of a flush that failed. Its context, for the log, has the tables
 * and the keys of the rows that were given up, and no other values of them: also none that the
 * server quotes, unless `redact_values` is off.
 *
 * Bound: the context shows GROUPS_SHOWN groups.
 */
final class FlushFailedException extends RuntimeException
{
    private const GROUPS_SHOWN = 20;

    /** @param array<string, array<string, mixed>> $tables the rules, by the names on the server */
    public function __construct(
        public readonly string $buffer,
        Throwable $cause,
        public readonly int $pendingRows,
        private readonly array $tables,
        private readonly bool $redactValues = true,
    ) {
        parent::__construct("the buffer {$buffer}: {$cause->getMessage()}", (int) $cause->getCode(), $cause);
    }

    /** @return array<string, mixed> what Laravel adds to the log */
    public function context(): array
    {
        $cause = $this->getPrevious();
        $failures = $cause instanceof FlushException ? $cause->getFailures() : [];

        return [
            'buffer' => $this->buffer,
            'code' => $this->getCode(),
            'rows_pending' => $this->pendingRows,
            'groups_refused' => count($failures),
            'given_up' => array_map(fn (array $failure): array => [
                'code' => $failure['code'],
                'message' => $this->redactValues
                    ? Words::redactedFailure($failure['code'], $failure['message'])
                    : Words::clean($failure['message']),
                'rows' => array_map(
                    fn (array $row): array => ['table' => $row['table'], 'key' => $this->key($row)],
                    $failure['rows'],
                ),
            ], array_slice($failures, 0, self::GROUPS_SHOWN)),
        ];
    }

    /**
     * @param array{
     *     table: string,
     *     row?: array<string, mixed>,
     *     delete?: array<int|string, mixed>
     * } $row
     *
     * @return array<int|string, mixed> that of a deletion may be by place
     */
    private function key(array $row): array
    {
        $rules = $this->tables[$row['table']] ?? [];

        return isset($row['delete'])
            ? array_diff_key($row['delete'], array_flip((array) ($rules['guard'] ?? [])))
            : array_intersect_key($row['row'] ?? [], array_flip((array) ($rules['key'] ?? 'id')));
    }
}
