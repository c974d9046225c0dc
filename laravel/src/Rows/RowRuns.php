<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use Closure;
use WriteBuffer\Buffer;

/** Owns rows that stand together in a group, and are added or deleted together. */
final class RowRuns
{
    /**
     * @param list<Row>            $rows
     * @param Closure(Row): string $kind
     *
     * @return list<list<Row>> rows of one kind that stand together
     */
    public static function of(array $rows, Closure $kind): array
    {
        $runs = [];
        $last = null;
        foreach ($rows as $row) {
            if ($kind($row) !== $last) {
                $runs[] = [];
                $last = $kind($row);
            }
            $runs[count($runs) - 1][] = $row;
        }

        return $runs;
    }

    /**
     * Adds a group to a buffer that takes rows as it takes models, and whose names of tables are
     * the server's.
     *
     * @param list<Row> $rows
     */
    public static function addTo(Buffer $buffer, array $rows, ?string $tag = null): void
    {
        $runs = self::of($rows, static fn (Row $row): string => (string) $row->isDeletion);
        if ($tag === null && count($runs) < 2 && !($rows[0]->isDeletion ?? false)) {
            $buffer->add($rows);

            return;
        }
        $buffer->group(static function () use ($buffer, $runs): void {
            foreach ($runs as $run) {
                if (!$run[0]->isDeletion) {
                    $buffer->add($run);
                    continue;
                }
                foreach ($run as $row) {
                    $buffer->delete($row->table, $row->values);
                }
            }
        }, $tag);
    }
}
