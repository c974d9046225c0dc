<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Rows;

use Closure;
use Error;
use Exception;
use ReflectionProperty;
use Throwable;
use TypeError;
use WriteBuffer\Buffer;
use WriteBuffer\ConfigException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\FullException;
use WriteBuffer\IncompleteException;
use WriteBuffer\NotTaken;
use WriteBuffer\RefusedException;
use WriteBuffer\TooLargeException;

/**
 * Owns putAll() of the buffers in PHP, by the extension's rules: rows that come one by one, each as
 * a group of its own. A row is taken before the next one is asked for. One that is not taken is
 * skipped, with the reason. An error that is no row's own ends the call.
 *
 * Bounds: one row is held, and REASONS_MAX reasons.
 */
final class Import
{
    /** The status of a failure that may be in the table. */
    private const UNCERTAIN = 'uncertain';

    /** What readers say of the parameter, before what is wrong with it. */
    public const PARAMETER = 'Argument #2 ($rows)';

    /** $progress is called after so many rows. */
    private const ROWS_A_CALL = 1_000;

    private const REASONS_MAX = 100;

    private const REASON_BYTES = 1_000;

    /** How long a full buffer may take to make room. */
    private const ROOM_TIMEOUT_MS = 5_000;

    private int $read = 0;

    private int $taken = 0;

    private int $skipped = 0;

    /** Rows that were taken or skipped, or were none: whoever goes on leaves them out. */
    private int $processed = 0;

    /** @var array<int, string> by the number of the row, from 1 */
    private array $reasons = [];

    private ?RefusedException $refused = null;

    /**
     * @param Closure(list<mixed>): list<Row> $reader reads a list of one value; none is a model
     *                                                without a change
     * @param Closure(list<Row>): void        $taker  takes them as a group
     * @param Closure(): bool                 $isInGroup whether the rows go into an open group
     * @param bool $keepsRows whether the buffer has the rows whose flush failed
     */
    public function __construct(
        private readonly Buffer $buffer,
        private readonly Closure $reader,
        private readonly Closure $taker,
        private readonly Closure $isInGroup,
        private readonly bool $keepsRows = true,
    ) {
    }

    /**
     * @param iterable<mixed> $rows
     *
     * @throws IncompleteException rows were skipped, or an error ended it
     */
    public function run(iterable $rows, ?callable $progress): int
    {
        $cause = null;
        try {
            foreach ($rows as $row) {
                $this->read++;
                $cause = $this->put($row);
                if ($cause !== null) {
                    break;
                }
                if ($progress !== null && $this->read % self::ROWS_A_CALL === 0) {
                    $progress($this->taken);
                }
            }
            if ($cause === null && $progress !== null && $this->read % self::ROWS_A_CALL !== 0) {
                $progress($this->taken);
            }
        } catch (Throwable $e) {
            if ($this->skipped > 0) {
                self::append($e, $this->incomplete('the rest was not read'));
            }
            throw $e;
        }

        return $this->end($cause);
    }

    /** @return BufferException|null what ends the call; null: the row was taken or skipped */
    private function put(mixed $row): ?BufferException
    {
        $taken = 0;
        try {
            $rows = ($this->reader)([$row]);
            $taken = count($rows);
            $this->take($rows);
        } catch (TypeError $e) {
            if (!str_starts_with($e->getMessage(), self::PARAMETER)) {
                throw $e;
            }
            $this->skip(substr($e->getMessage(), strlen(self::PARAMETER) + 1));
            $taken = 0;
        } catch (TooLargeException $e) {
            // A group that is full takes no other row either.
            if (($this->isInGroup)()) {
                return $e;
            }
            $this->skip($e->getMessage());
            $taken = 0;
        } catch (ConfigException $e) {
            $this->skip($e->getMessage());
            $taken = 0;
        } catch (NotTaken $e) {
            return $e;
        } catch (RefusedException $e) {
            if ($this->keepsRows) {
                $this->refused ??= $e;
            } elseif (array_column($e->getFailures(), 'status') === [self::UNCERTAIN]) {
                return $e;
            } else {
                $this->skip($e->getMessage());
                $taken = 0;
            }
        } catch (BufferException $e) {
            if ($this->keepsRows) {
                $this->taken += $taken;
                $this->processed = $this->read;
            }

            return $e;
        }
        $this->taken += $taken;
        $this->processed = $this->read;

        return null;
    }

    /** @param list<Row> $rows */
    private function take(array $rows): void
    {
        try {
            ($this->taker)($rows);
        } catch (FullException) {
            try {
                $this->buffer->flush(self::ROOM_TIMEOUT_MS);
            } catch (RefusedException $e) {
                $this->refused ??= $e;
            } catch (BufferException) {
                // The next try says why there is no room.
            }
            ($this->taker)($rows);
        }
    }

    private function skip(string $why): void
    {
        $this->skipped++;
        if (count($this->reasons) < self::REASONS_MAX) {
            $why = (string) preg_replace('/^(must be a list of rows: |has a wrong value: )/', '', $why);
            $this->reasons[$this->read] = mb_strcut($why, 0, self::REASON_BYTES);
        }
    }

    private function end(?BufferException $cause): int
    {
        if ($this->skipped > 0 || ($cause !== null && $this->taken > 0)) {
            $words = $cause === null
                ? self::rows($this->read) . ' were read'
                : "row {$this->read} ended it: {$cause->getMessage()}";
            throw $this->incomplete($words, $cause ?? $this->refused, (int) $cause?->getCode());
        }
        $thrown = $cause ?? $this->refused;

        return $thrown === null ? $this->taken : throw $thrown;
    }

    private function incomplete(string $words, ?Throwable $previous = null, int $code = 0): IncompleteException
    {
        $message = 'putAll() took ' . self::rows($this->taken) . "; {$words}";
        foreach (array_slice($this->reasons, 0, 1, true) as $number => $why) {
            $message .= '; ' . self::rows($this->skipped) . " skipped, the first was row {$number}: {$why}";
        }

        return new IncompleteException(
            $message,
            $code,
            $previous,
            $this->taken,
            $this->skipped,
            $this->reasons,
            $this->taken,
            $this->processed,
        );
    }

    /** Makes an exception the last one before another, as PHP does for those of destructors. */
    private static function append(Throwable $thrown, IncompleteException $appended): void
    {
        while ($thrown->getPrevious() !== null) {
            $thrown = $thrown->getPrevious();
        }
        $class = $thrown instanceof Error ? Error::class : Exception::class;
        (new ReflectionProperty($class, 'previous'))->setValue($thrown, $appended);
    }

    private static function rows(int $count): string
    {
        return $count === 1 ? '1 row' : "{$count} rows";
    }
}
