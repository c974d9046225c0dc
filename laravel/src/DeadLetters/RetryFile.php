<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use RuntimeException;
use WriteBuffer\Laravel\Files\OwnFile;

/**
 * Owns the file beside a dead-letter file whose groups are put back, as the extension's
 * `DeadLetterFile::retry()` does, with the same name, the same lock and the same notes: so these
 * two never work on one file at once, and each goes on with what the other one has left when it was
 * killed.
 *
 * PATH becomes PATH.retry, so new lines go into a new file. Behind its lines come notes: so many
 * are begun, so many are done, and those from one number to another are settled. Each is on the
 * disk before what it says is true for others.
 *
 * Invariants:
 * - A line is in PATH or in PATH.retry until its group is settled.
 * - Whoever works on PATH.retry holds its lock, and took that before the file was renamed.
 * - What was begun and is not settled may be in the database.
 *
 * @internal
 */
final class RetryFile
{
    private const NOTE = '{"retry_';

    private const BYTE_ORDER_MARK = "\u{feff}";

    private int $done = 0;

    /**
     * @param resource                   $handle
     * @param list<array{string, bool}>  $lines  those that are not settled, each with whether it
     *                                           was begun
     * @param bool                       $hasNotes somebody has worked on it before
     */
    private function __construct(
        private readonly string $path,
        private readonly mixed $handle,
        public readonly array $lines,
        public readonly bool $hasNotes,
    ) {
    }

    /** Where the file of a dead-letter file is, which may be a link. */
    public static function pathOf(string $deadLetters): string
    {
        return (realpath($deadLetters) ?: (realpath(dirname($deadLetters)) ?: dirname($deadLetters)) . '/'
            . basename($deadLetters)) . '.retry';
    }

    /**
     * What somebody has left who was killed amid a retry.
     *
     * @return self|false|null null: nobody has. false: somebody works on it
     *
     * @throws RuntimeException it is no file of ours
     */
    public static function leftOver(string $deadLetters): self|false|null
    {
        $path = self::pathOf($deadLetters);
        self::refuseLink($path);
        $handle = OwnFile::lockedNow($path);
        if (!is_resource($handle)) {
            return $handle;
        }

        return self::read($path, $handle);
    }

    /**
     * Takes the file away.
     *
     * @return self|null null: there are no lines
     *
     * @throws RuntimeException somebody puts its groups back; it is no file of ours
     */
    public static function take(string $deadLetters): ?self
    {
        $path = self::pathOf($deadLetters);
        self::refuseLink($path);
        $handle = OwnFile::locked($deadLetters, false);
        if ($handle === null || fstat($handle)['size'] === 0) {
            return null;
        }
        clearstatcache(true, $path);
        if (@lstat($path) !== false) {
            throw new RuntimeException(self::busy($path));
        }
        if (!rename(substr($path, 0, -strlen('.retry')), $path)) {
            throw new RuntimeException("{$deadLetters} cannot be renamed to {$path}");
        }

        return self::read($path, $handle);
    }

    public static function busy(string $path): string
    {
        return "{$path}: another process puts its groups back, or a buffer still holds some (lsof names the process)";
    }

    private static function refuseLink(string $path): void
    {
        clearstatcache(true, $path);
        if (is_link($path)) {
            throw new RuntimeException(
                "{$path} is a link, and a retry makes a file of that name: look where it leads, and remove it",
            );
        }
    }

    /** @param resource $handle */
    private static function read(string $path, mixed $handle): self
    {
        [$lines, $begun, $done, $settled] = [[], 0, 0, []];
        rewind($handle);
        foreach (self::linesOf((string) stream_get_contents($handle)) as $line) {
            if (!str_starts_with($line, self::NOTE)) {
                $lines[] = $line;
                continue;
            }
            // A note that is torn was not made.
            $note = json_decode($line, true);
            $begun = max($begun, (int) ($note['retry_begun'] ?? 0));
            $done = max($done, (int) ($note['retry_done'] ?? 0));
            [$first, $end] = ($note['retry_settled'] ?? []) + [0, 0];
            for ($at = $first; $at < $end; $at++) {
                $settled[$at] = true;
            }
        }
        $left = [];
        foreach (array_slice($lines, $done, null, true) as $at => $line) {
            if (!isset($settled[$at])) {
                $left[] = [$line, $at < $begun];
            }
        }

        return new self($path, $handle, $left, $begun + $done + count($settled) > 0);
    }

    /** @return list<string> */
    public static function linesOf(string $text): array
    {
        $text = str_starts_with($text, self::BYTE_ORDER_MARK) ? substr($text, strlen(self::BYTE_ORDER_MARK)) : $text;

        return array_values(array_filter(explode("\n", $text), static fn (string $line): bool => $line !== ''));
    }

    /** Notes that the next lines are put back, or given back, from now on. */
    public function begin(int $lines): void
    {
        $this->note('begun', $this->done + $lines);
    }

    /** Notes that they are settled, or given back. */
    public function done(int $lines): void
    {
        $this->done += $lines;
        $this->note('done', $this->done);
    }

    private function note(string $kind, int $lines): void
    {
        $end = fseek($this->handle, -1, SEEK_END) === 0 && fgetc($this->handle) !== "\n" ? "\n" : '';
        $note = $end . self::NOTE . "{$kind}\":{$lines}}\n";
        $isWritten = fseek($this->handle, 0, SEEK_END) === 0
            && fwrite($this->handle, $note) === strlen($note)
            && fflush($this->handle)
            && fsync($this->handle);
        if (!$isWritten) {
            throw new RuntimeException("{$this->path} cannot be written to");
        }
    }

    /** All lines are settled, or given back: the file goes. */
    public function remove(): void
    {
        if (!unlink($this->path)) {
            throw new RuntimeException("{$this->path} is done, and cannot be removed");
        }
        fclose($this->handle);
    }
}
