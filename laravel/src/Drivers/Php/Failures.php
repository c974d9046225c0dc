<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use RuntimeException;
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
 * Bound: LETTERS_MAX in memory. If there is a file, the oldest leave first.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class Failures
{
    private const LETTERS_MAX = 1_000;

    /** @var list<Letter> */
    private array $letters = [];

    private int $untoldRows = 0;

    private readonly ?DeadLetterFile $file;

    public function __construct(?string $file)
    {
        $this->file = $file === null ? null : new DeadLetterFile($file);
    }

    /**
     * @param list<Row>      $group
     * @param int|float|null $deadline when the caller's time is over, in hrtime()'s nanoseconds
     *
     * @return Letter|string the letter, or why it could not be kept
     */
    public function keep(
        array $group,
        string $status,
        int $code,
        string $message,
        int|float|null $deadline = null,
    ): array|string {
        if ($this->file === null && count($this->letters) >= self::LETTERS_MAX) {
            return self::LETTERS_MAX
                . ' groups that were given up wait for takeFailures(), and there is no deadLetterFile';
        }
        $letter = DeadLetter::of($group, $status, $code, $message);
        try {
            $this->file?->append($letter, $deadline);
        } catch (RuntimeException $e) {
            return $e->getMessage();
        }
        if (count($this->letters) >= self::LETTERS_MAX) {
            array_shift($this->letters);
        }

        $this->untoldRows += count($letter['rows']);

        return $this->letters[] = $letter;
    }

    /**
     * Keeps a group in the file that is left when its buffer ends.
     *
     * @param list<Row> $group
     *
     * @return bool false: there is no file, or it cannot be written to
     */
    public function keepLeft(array $group, string $why): bool
    {
        $letter = DeadLetter::of($group, DeadLetter::UNWRITTEN, 0, "not written before the buffer ended: {$why}");
        try {
            $this->file?->append($letter);
        } catch (RuntimeException) {
            return false;
        }

        return $this->file !== null;
    }

    /** @return list<Letter> */
    public function take(): array
    {
        $this->untoldRows = 0;
        [$letters, $this->letters] = [$this->letters, []];

        return $letters;
    }

    /** Rows that nobody was told of: they are in no file, and no flush has reported them. */
    public function untoldRows(): int
    {
        return $this->file === null ? $this->untoldRows : 0;
    }

    /** A flush has reported them. */
    public function told(): void
    {
        $this->untoldRows = 0;
    }
}
