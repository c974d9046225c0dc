<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use Throwable;
use WriteBuffer\BlockedException;
use WriteBuffer\ConnectionException;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Messages\Words;
use WriteBuffer\Laravel\Rows\Row;
use WriteBuffer\Laravel\Tables\TableCatalog;
use WriteBuffer\RefusedException;
use WriteBuffer\TimeoutException;

/**
 * Owns a flush: writes the pending groups, and settles each one. It is committed, given up, or
 * stays pending. Groups that are refused together are halved until the one at fault stands alone.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class Flusher
{
    public function __construct(
        private readonly PendingGroups $pending,
        private readonly GroupWriter $writer,
        private readonly Failures $failures,
        private readonly TableCatalog $tables,
        private readonly Counters $counters,
        private readonly bool $redactValues,
    ) {
    }

    /**
     * @param int|null $groups so many groups, from the first on; null: all
     *
     * @return int how many rows were committed
     *
     * @throws RefusedException    groups were given up. All others are committed, or stay pending
     *                             as the message says
     * @throws BlockedException    no group was given up; the rows stay pending
     * @throws ConnectionException the rows stay pending
     * @throws TimeoutException    the rows stay pending
     */
    public function flush(?int $timeoutMs, ?int $groups = null): int
    {
        $letters = [];
        try {
            return $this->write($timeoutMs, $groups, $letters);
        } catch (BlockedException $e) {
            throw $letters === [] ? $e : new RefusedException($e->getMessage(), $e->getCode(), null, $letters);
        }
    }

    /** @param list<Letter> $letters gets the groups that are given up */
    private function write(?int $timeoutMs, ?int $groups, array &$letters): int
    {
        $deadline = $timeoutMs === null ? null : hrtime(true) + $timeoutMs * 1_000_000;
        $flushed = 0;
        $first = null;
        // The first half goes first, so what is settled is always at the front.
        $sizes = [$groups ?? count($this->pending)];
        while (($size = array_pop($sizes)) !== null) {
            if ($deadline !== null && hrtime(true) >= $deadline) {
                throw new TimeoutException(
                    "the time of {$timeoutMs} ms is over ({$this->pending->rows()} rows still buffered)"
                );
            }
            $began = hrtime(true);
            $error = $this->writer->write($this->pending->first($size));
            if ($error === null) {
                $flushed += $this->settle($size, (hrtime(true) - $began) / 1e6);
                continue;
            }
            $words = $this->words($error->error);
            $this->counters->setLastError($words);
            if ($error->isCommitUnknown) {
                $letters = [...$letters, ...$this->giveUpDoubtful($size, $error, $deadline)];
            }
            if ($error->error->class !== DatabaseError::REFUSED) {
                $this->counters->add('transactions_failed');
                throw $this->exception($error->error, $letters);
            }
            if ($size > 1) {
                array_push($sizes, $size - intdiv($size, 2), intdiv($size, 2));
                continue;
            }
            $letters[] = $this->giveUp(0, DeadLetter::REFUSED, $error->error, '', $deadline);
            $first ??= $words;
        }
        if ($letters !== []) {
            $this->counters->add('transactions_failed');
            throw self::gaveUp($letters, (string) $first);
        }

        return $flushed;
    }

    /** Takes out the first groups, which are committed. */
    private function settle(int $size, float $timeMs): int
    {
        $rows = $this->pending->remove(0, $size);
        $this->counters->add('transactions');
        $this->counters->add('rows_committed', $rows);
        $this->counters->add('transaction_time_sum_ms', $timeMs);
        $this->counters->raiseTo('transaction_time_max_ms', $timeMs);
        $this->counters->raiseTo('transaction_rows_max', $rows);

        return $rows;
    }

    /** The words of an error, for exceptions and metrics. A failure has the database's own. */
    private function words(DatabaseError $error): string
    {
        return $this->redactValues ? $error->redacted : $error->message;
    }

    /**
     * @return Letter
     *
     * @throws BlockedException the group cannot be kept as a failure, and stays pending
     */
    private function giveUp(
        int $at,
        string $status,
        DatabaseError $error,
        string $before,
        int|float|null $deadline,
    ): array {
        $group = $this->pending->group($at);
        [$ticket, $tag] = [$this->pending->ticket($at), $this->pending->tag($at)];
        $message = $before . $error->message;
        $letter = $this->failures->keep($ticket, $group, $tag, $status, $error->code, $message, $deadline);
        if (is_string($letter)) {
            $kept = self::rows($this->pending->rows());
            throw new BlockedException(
                "{$before}{$this->words($error)}; {$letter} ({$kept} still buffered)",
                $error->code,
            );
        }
        $this->counters->add('rows_refused', $this->pending->remove($at, 1));
        $this->counters->add('groups_refused');

        return $letter;
    }

    /**
     * The COMMIT of the first groups was not answered. Gives up those that must not be written a
     * second time.
     *
     * @return list<Letter>
     */
    private function giveUpDoubtful(int $size, WriteError $error, int|float|null $deadline): array
    {
        $before = 'the connection was lost at COMMIT: these rows may be in the database or not, look there before'
            . ' retry(): ';
        $letters = [];
        $areDeletions = array_column(array_merge(...$this->pending->first($size)), 'isDeletion');
        // What was deleted the first time may be what another row needs the second time.
        $mayLack = in_array(true, $areDeletions, true) && in_array(false, $areDeletions, true);
        // From the last group on, since giving one up moves those behind it.
        for ($at = $size - 1; $at >= 0; $at--) {
            foreach ($this->pending->group($at) as $row) {
                if ($mayLack || !$this->isRepeatable($row)) {
                    array_unshift($letters, $this->giveUp($at, DeadLetter::UNCERTAIN, $error->error, $before, $deadline));
                    break;
                }
            }
        }

        return $letters;
    }

    private function isRepeatable(Row $row): bool
    {
        $rules = $this->tables->rules($row->table);
        $isInsert = !$row->isDeletion && $this->tables->of($row->table, $row)->numbers($row->values);

        return $rules->isRepeatable() && (!$isInsert || $rules->repeatable);
    }

    /** @param list<Letter> $letters */
    private function exception(DatabaseError $error, array $letters): Throwable
    {
        $message = "{$this->words($error)} (" . self::rows($this->pending->rows()) . ' still buffered)';

        return match (true) {
            $letters !== [] => new RefusedException($message, $error->code, null, $letters),
            $error->class === DatabaseError::CONNECTION => new ConnectionException($message, $error->code),
            default => new BlockedException($message, $error->code),
        };
    }

    /**
     * What a flush throws that has given up these groups.
     *
     * @param non-empty-list<Letter> $letters
     */
    public function refusal(array $letters): RefusedException
    {
        ['code' => $code, 'message' => $message] = $letters[0];

        return self::gaveUp($letters, $this->redactValues ? Words::redactedFailure($code, $message) : $message);
    }

    /** @param non-empty-list<Letter> $letters */
    private static function gaveUp(array $letters, string $first): RefusedException
    {
        return new RefusedException(
            'gave up ' . self::rows(DeadLetter::countRows($letters))
                . " that can never be written, see takeFailures(); the first error: {$first}",
            $letters[0]['code'],
            null,
            $letters,
        );
    }

    private static function rows(int $count): string
    {
        return $count === 1 ? '1 row' : "{$count} rows";
    }
}
