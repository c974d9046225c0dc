<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use Closure;
use RuntimeException;
use WriteBuffer\Laravel\Files\OwnFile;

/**
 * Owns a dead-letter file: a dead letter on each line. The driver `php` appends to it, and
 * `write-buffer:failed` reads it and takes lines out. The extension appends to the same file.
 *
 * Every writer opens the file by its name for each line, and waits for the file's lock. So lines
 * are forgotten under that lock, and the file is changed in place, never replaced. A copy stands
 * beside it meanwhile. Whoever retries groups takes the file away first: {@see RetryFile}.
 *
 * Invariant: the file and its copy are of this process's user, and of no other: {@see OwnFile}.
 *
 * A line that is no dead letter, as a process leaves it that is killed while it writes, is listed
 * as damaged, and stays. Groups in files beside this one are taken into it when it is read: a
 * process makes such a file if this one is locked for too long as it ends, and a retry that was
 * killed leaves one.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class DeadLetterFile
{
    /** Somebody puts groups of it back. They are not in it meanwhile. */
    public bool $isBusy = false;

    public function __construct(public readonly string $path)
    {
    }

    /**
     * Appends a line, and returns when it is on the disk. A new file can be read by its owner
     * alone.
     *
     * @param Letter         $letter
     * @param int|float|null $deadline when the caller's time is over, in hrtime()'s nanoseconds
     *
     * @throws RuntimeException why it could not be written
     */
    public function append(array $letter, int|float|null $deadline = null): void
    {
        $this->appendText(DeadLetter::line($letter), $deadline);
    }

    private function appendText(string $line, int|float|null $deadline = null): void
    {
        $handle = $this->opened(true, $deadline);
        $length = fstat($handle)['size'];
        // A line that somebody left torn must not spoil this one.
        $isTorn = $length > 0 && fseek($handle, -1, SEEK_END) === 0 && fgetc($handle) !== "\n";
        $text = ($isTorn ? "\n" : '') . $line;
        $isWritten = fseek($handle, 0, SEEK_END) === 0
            && fwrite($handle, $text) === strlen($text)
            && fflush($handle)
            && fsync($handle);
        if (!$isWritten) {
            // A part of a line would spoil the next one.
            ftruncate($handle, $length);
        }
        if (!fclose($handle) || !$isWritten) {
            throw new RuntimeException("the dead-letter file {$this->path} cannot be written to");
        }
    }

    /** @return resource|null */
    private function opened(bool $create, int|float|null $deadline = null): mixed
    {
        try {
            return OwnFile::locked($this->path, $create, $deadline);
        } catch (RuntimeException $e) {
            throw new RuntimeException(
                "the dead-letter file {$this->path} cannot be written to: {$e->getMessage()}",
                0,
                $e,
            );
        }
    }

    /** @return list<Letter|null> null: a line that is damaged */
    public function all(): array
    {
        $this->gather();

        return $this->locked(fn (mixed $handle): array => array_map([$this, 'decode'], $this->read($handle)));
    }

    /**
     * Takes out each line for which the callback returns true. Nobody else reads or appends
     * meanwhile.
     *
     * @param Closure(int): bool $isMeant gets its number, from 1
     *
     * @return int how many lines were taken out
     */
    public function remove(Closure $isMeant): int
    {
        $this->gather();

        return $this->locked(function (mixed $handle) use ($isMeant): int {
            $lines = $this->read($handle);
            $left = array_filter($lines, static fn (int $at): bool => !$isMeant($at + 1), ARRAY_FILTER_USE_KEY);
            $this->rewrite($handle, $lines, array_values($left));

            return count($lines) - count($left);
        });
    }

    /**
     * Takes the file away, puts groups back, and gives back the others. If it is killed amid a
     * group, that one is uncertain.
     *
     * @param Closure(Letter, int): bool          $concerns gets a letter and its number, from 1
     * @param Closure(Letter, int): (bool|Letter) $put      true: it is written. A letter replaces
     *                                                      it. If it throws, it is uncertain
     *
     * @return int how many groups were written
     *
     * @throws RuntimeException somebody puts its groups back; a file cannot be written to
     */
    public function retry(Closure $concerns, Closure $put): int
    {
        $this->gather();
        if ($this->isBusy) {
            throw new RuntimeException(RetryFile::busy(RetryFile::pathOf($this->path)));
        }
        $file = RetryFile::take($this->path);
        if ($file?->hasNotes) {
            // The power went, and its new name with it.
            $this->takeIn($file);
            $file = RetryFile::take($this->path);
        }
        [$written, $others] = [0, []];
        foreach ($file?->lines ?? [] as $at => [$line]) {
            $letter = $this->decode($line);
            if ($letter === null || !$concerns($letter, $at + 1)) {
                $others[] = $line;
                continue;
            }
            $this->giveBack($file, $others);
            $others = [];
            $file->begin(1);
            $done = $put($letter, $at + 1);
            if ($done === true) {
                $written++;
            } else {
                $this->appendText(is_array($done) ? DeadLetter::line($done) : "{$line}\n");
            }
            $file->done(1);
        }
        if ($file !== null) {
            $this->giveBack($file, $others);
            $file->remove();
        }

        return $written;
    }

    /** @param list<string> $lines */
    private function giveBack(RetryFile $file, array $lines): void
    {
        if ($lines !== []) {
            // If it is killed amid this, lines that are in both files must not be put back twice.
            $file->begin(count($lines));
            $this->appendText(implode("\n", $lines) . "\n");
            $file->done(count($lines));
        }
    }

    /** Takes in what somebody has left who was killed amid a retry: these lines are older. */
    private function takeIn(RetryFile $file): void
    {
        $handle = $this->opened(true);
        $lines = $this->read($handle);
        // Whoever was killed may have given them back, and not noted it.
        $there = array_count_values($lines);
        $uncertain = array_filter(array_map([DeadLetter::class, 'idIfUncertain'], $lines));
        $missing = [];
        foreach ($file->lines as [$line, $isBegun]) {
            $as = $isBegun ? DeadLetter::uncertainLine($line) : $line;
            $found = ($there[$line] ?? 0) > 0 ? $line : $as;
            if (($there[$found] ?? 0) > 0) {
                $there[$found]--;
            } elseif (!$isBegun || !in_array(DeadLetter::idIfUncertain($as), $uncertain, true)) {
                $missing[] = $as;
            }
        }
        $this->rewrite($handle, $lines, [...$missing, ...$lines]);
        fclose($handle);
        $file->remove();
    }

    /** @return Letter|null */
    private function decode(string $line): ?array
    {
        $letter = json_decode($line, true);

        // Lines had no status before.
        return is_array($letter) && is_array($letter['rows'] ?? null)
            ? $letter + ['status' => DeadLetter::REFUSED, 'code' => 0, 'message' => '', 'time' => 0.0]
            : null;
    }

    /** Takes the lines of files beside this one into it. */
    private function gather(): void
    {
        $leftOver = RetryFile::leftOver($this->path);
        $this->isBusy = $leftOver === false;
        if ($leftOver instanceof RetryFile) {
            $this->takeIn($leftOver);
        }
        foreach (glob($this->path . '.[0-9]*-[0-9]*') ?: [] as $beside) {
            if (preg_match('/\.\d+-\d+$/D', $beside) !== 1) {
                continue;
            }
            // Its maker has locked it until it is whole.
            $source = OwnFile::locked($beside, false);
            $text = $source === null ? '' : (string) stream_get_contents($source);
            if ($text !== '') {
                $this->appendText($text);
            }
            if ($source !== null) {
                unlink($beside);
                fclose($source);
            }
        }
    }

    private function locked(Closure $do): mixed
    {
        $handle = $this->opened(false);
        try {
            return $do($handle);
        } finally {
            if ($handle !== null) {
                fclose($handle);
            }
        }
    }

    /**
     * @param resource|null $handle
     *
     * @return list<string>
     */
    private function read(mixed $handle): array
    {
        return RetryFile::linesOf($handle === null ? '' : (string) stream_get_contents($handle));
    }

    /**
     * @param resource|null $handle
     * @param list<string>  $lines
     * @param list<string>  $left
     */
    private function rewrite(mixed $handle, array $lines, array $left): void
    {
        if ($handle === null || $left === $lines) {
            return;
        }
        $copy = OwnFile::beside($this->path);
        $all = implode("\n", $lines) . "\n";
        if (file_put_contents($copy, $all) !== strlen($all)) {
            unlink($copy);
            throw new RuntimeException("{$copy} cannot be written; {$this->path} still has the lines that are done");
        }
        $text = $left === [] ? '' : implode("\n", $left) . "\n";
        if (
            !rewind($handle)
            || !ftruncate($handle, 0)
            || fwrite($handle, $text) !== strlen($text)
            || !fflush($handle)
            || !fsync($handle)
        ) {
            throw new RuntimeException("{$this->path} cannot be written; what was in it is in {$copy}");
        }
        unlink($copy);
    }
}
