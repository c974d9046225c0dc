<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use Closure;
use WriteBuffer\ConfigException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\IncompleteException;
use WriteBuffer\Laravel\Rows\Row;

/**
 * A buffer's retry(): puts failures back in their order, up to the first one that cannot be, and
 * says how many it has put back. The extension does the same.
 */
final class Retry
{
    /**
     * @param array<mixed>                      $failures
     * @param Closure(list<Row>, ?string): void $take       takes a group with its tag
     * @param Closure(): int                    $lastTicket of the last group that was taken
     *
     * @return int how many were put back: all
     *
     * @throws BufferException
     */
    public static function run(array $failures, PutBack $putBack, Closure $take, Closure $lastTicket): int
    {
        $failures = array_values($failures);
        $putBack->check($failures);
        $groups = array_map([DeadLetter::class, 'group'], $failures, array_keys($failures));
        $takenRows = 0;
        foreach ($groups as $at => $rows) {
            $before = $lastTicket();
            $thrown = null;
            try {
                $take($rows, DeadLetter::tag($failures[$at]));
            } catch (ConfigException $e) {
                $thrown = new ConfigException("Argument #1 (\$failures): element {$at}: {$e->getMessage()}", 0, $e);
            } catch (BufferException $e) {
                $thrown = $e;
            } finally {
                $isTaken = $lastTicket() > $before;
                if ($isTaken) {
                    $takenRows += count($rows);
                    $putBack->enter($failures[$at]);
                }
            }
            if ($thrown !== null) {
                throw self::end($thrown, $isTaken ? $at + 1 : $at, count($groups), $takenRows);
            }
        }

        return count($groups);
    }

    /** What ended it says alone that none was put back, or that all were. */
    private static function end(BufferException $thrown, int $taken, int $all, int $takenRows): BufferException
    {
        return $taken === 0 || $taken === $all ? $thrown : new IncompleteException(
            "retry() put back {$taken} of {$all} failures; then: {$thrown->getMessage()}",
            (int) $thrown->getCode(),
            $thrown,
            $takenRows,
            takenGroups: $taken,
        );
    }
}
