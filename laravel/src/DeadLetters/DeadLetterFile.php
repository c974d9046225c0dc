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
 * are taken out under that lock, and the file is changed in place, never replaced. A copy stands
 * beside it meanwhile.
 *
 * Invariant: the file and its copy are of this process's user, and of no other: {@see OwnFile}.
 *
 * A line that is no dead letter, as a process leaves it that is killed while it writes, is listed
 * as damaged, and stays. Groups in files beside this one, which a process makes if this one is
 * locked for too long as it ends, are taken into this one when it is read.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class DeadLetterFile
{
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
     * meanwhile. A letter in its place replaces the line.
     *
     * @param Closure(Letter|null, int): (bool|Letter) $isDone gets a letter, or null for a damaged
     *                                                         line, and its number, from 1
     *
     * @return int how many lines were taken out
     */
    public function remove(Closure $isDone): int
    {
        $this->gather();

        return $this->locked(function (mixed $handle) use ($isDone): int {
            $lines = $this->read($handle);
            $left = [];
            try {
                foreach ($lines as $at => $line) {
                    $done = $isDone($this->decode($line), $at + 1);
                    if ($done !== true) {
                        $left[] = is_array($done) ? rtrim(DeadLetter::line($done), "\n") : $line;
                    }
                }
            } catch (\Throwable $e) {
                // The lines before this one are done, and must not be done again.
                $this->rewrite($handle, $lines, [...$left, ...array_slice($lines, $at)]);
                throw $e;
            }
            $this->rewrite($handle, $lines, $left);

            return count($lines) - count($left);
        });
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
        $text = $handle === null ? '' : (string) stream_get_contents($handle);

        return array_values(array_filter(explode("\n", $text), static fn (string $line): bool => $line !== ''));
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
