<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use RuntimeException;
use ValueError;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\DeadLetters\DeadLetterFile;
use WriteBuffer\Laravel\Rows\Row;

/**
 * Owns the groups that a buffer has given up: in memory until they are taken, and in the
 * dead-letter file, if there is one.
 *
 * Invariant: a group is given up only if it is kept. While the file cannot be written to, or if
 * there is no file and memory has no room, nothing is given up.
 *
 * Bound: LETTERS_MAX in memory. If there is a file, the oldest leave first. The tickets of
 * TICKETS_MAX groups are remembered longer.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class Failures
{
    public const LETTERS_MAX = 1_000;

    private const TICKETS_MAX = 65_536;

    /** @var list<array{int, Letter}> each with its ticket */
    private array $letters = [];

    /** @var array<int, true> the tickets of the groups that were given up last */
    private array $tickets = [];

    /** Up to this ticket nobody knows, unless it is among those. */
    private int $forgotten = 0;

    private int $untoldRows = 0;

    private readonly ?DeadLetterFile $file;

    public function __construct(?string $file)
    {
        $this->file = $file === null ? null : new DeadLetterFile($file);
    }

    /**
     * @param int            $ticket   the group's
     * @param list<Row>      $group
     * @param int|float|null $deadline when the caller's time is over, in hrtime()'s nanoseconds
     *
     * @return Letter|string the letter, or why it could not be kept
     */
    public function keep(
        int $ticket,
        array $group,
        ?string $tag,
        string $status,
        int $code,
        string $message,
        int|float|null $deadline = null,
    ): array|string {
        if ($this->file === null && count($this->letters) >= self::LETTERS_MAX) {
            return self::LETTERS_MAX
                . ' groups that were given up wait for takeFailures(), and there is no deadLetterFile';
        }
        $letter = DeadLetter::of($group, $status, $code, $message, $tag);
        try {
            $this->file?->append($letter, $deadline);
        } catch (RuntimeException $e) {
            return $e->getMessage();
        }
        if (count($this->letters) >= self::LETTERS_MAX) {
            array_shift($this->letters);
        }

        $this->untoldRows += count($letter['rows']);
        $this->letters[] = [$ticket, $letter];
        $this->tickets[$ticket] = true;
        if (count($this->tickets) > self::TICKETS_MAX) {
            $this->forgotten = max($this->forgotten, (int) array_key_first($this->tickets));
            unset($this->tickets[array_key_first($this->tickets)]);
        }

        return $letter;
    }

    /** The letter of a group that was given up. null: it is not held any more, or there is none. */
    public function ofTicket(int $ticket): ?array
    {
        foreach ($this->letters as [$of, $letter]) {
            if ($of === $ticket) {
                return $letter;
            }
        }

        return null;
    }

    /**
     * Why a settled group is not committed, if its letter is not held any more. null: it is
     * committed.
     *
     * @throws ValueError nobody knows
     */
    public function reason(int $ticket): ?string
    {
        return match (true) {
            isset($this->tickets[$ticket]) => "ticket {$ticket} was given up, and its failure is not held any more:"
                . ' takeFailures() has returned it, or it is in the deadLetterFile',
            $ticket <= $this->forgotten => throw new ValueError("ticket {$ticket} is too old: nobody knows any more"
                . ' whether its group was committed or given up, since more than ' . self::TICKETS_MAX
                . ' others were given up later. Look for its rows in the table'),
            default => null,
        };
    }

    /**
     * Keeps a group in the file that is left when its buffer ends.
     *
     * @param list<Row> $group
     *
     * @return bool false: there is no file, or it cannot be written to
     */
    public function keepLeft(array $group, ?string $tag, string $why): bool
    {
        $message = "not written before the buffer ended: {$why}";
        $letter = DeadLetter::of($group, DeadLetter::UNWRITTEN, 0, $message, $tag);
        try {
            $this->file?->append($letter);
        } catch (RuntimeException) {
            return false;
        }

        return $this->file !== null;
    }

    /** @return list<Letter> those that wait to be taken */
    public function all(): array
    {
        return array_column($this->letters, 1);
    }

    /** @return list<Letter> */
    public function take(): array
    {
        $this->untoldRows = 0;
        [$letters, $this->letters] = [$this->letters, []];

        return array_column($letters, 1);
    }

    /** Rows that nobody was told of: they are in no file, and no flush has reported them. */
    public function untoldRows(): int
    {
        return $this->file === null ? $this->untoldRows : 0;
    }

    /** A wait has reported so many. */
    public function toldOf(int $rows): void
    {
        $this->untoldRows = max(0, $this->untoldRows - $rows);
    }

    /** A flush has reported them. */
    public function told(): void
    {
        $this->untoldRows = 0;
    }
}
