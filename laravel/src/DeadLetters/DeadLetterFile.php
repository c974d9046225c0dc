<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\DeadLetters;

use Closure;
use RuntimeException;

/**
 * The lines of a dead-letter file, read and taken out under the lock by which buffers append to it. They open the file by its name for each
 * line and wait for the lock, so it is changed in place, never replaced. While it is, a copy of it stands beside it.
 */
final class DeadLetterFile
{
    public function __construct(private readonly string $file)
    {
    }

    /** @return list<array<string, mixed>> */
    public function all(): array
    {
        return $this->locked(fn (mixed $handle): array => array_map([$this, 'decode'], $this->read($handle)));
    }

    /**
     * Takes out the lines for which the callback says so. Nobody else reads or appends meanwhile.
     *
     * @param Closure(array<string, mixed>, int): bool $isDone gets a failure and its number, from 1
     *
     * @return int how many were taken out
     */
    public function remove(Closure $isDone): int
    {
        return $this->locked(function (mixed $handle) use ($isDone): int {
            $lines = $this->read($handle);
            $left = [];
            try {
                foreach ($lines as $at => $line) {
                    if (!$isDone($this->decode($line), $at + 1)) {
                        $left[] = $line;
                    }
                }
            } catch (\Throwable $e) {
                // Those before are done, and must not be done again.
                $this->rewrite($handle, $lines, [...$left, ...array_slice($lines, $at)]);
                throw $e;
            }
            $this->rewrite($handle, $lines, $left);

            return count($lines) - count($left);
        });
    }

    /** @return array<string, mixed> */
    private function decode(string $line): array
    {
        $failure = json_decode($line, true);

        return is_array($failure) && is_array($failure['rows'] ?? null)
            ? $failure
            : throw new RuntimeException("{$this->file} has a line that is no failure: " . substr($line, 0, 80));
    }

    private function locked(Closure $do): mixed
    {
        if (!file_exists($this->file)) {
            return $do(null);
        }
        $handle = fopen($this->file, 'r+b');
        if ($handle === false || !flock($handle, LOCK_EX)) {
            throw new RuntimeException("{$this->file} cannot be opened and locked");
        }
        try {
            return $do($handle);
        } finally {
            fclose($handle);
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
        $copy = $this->file . '.' . getmypid() . '.copy';
        if (!copy($this->file, $copy)) {
            throw new RuntimeException("{$copy} cannot be written, and the lines of {$this->file} that are done are still in it");
        }
        chmod($copy, 0600);
        $text = $left === [] ? '' : implode("\n", $left) . "\n";
        if (
            !rewind($handle) || !ftruncate($handle, 0) || fwrite($handle, $text) !== strlen($text) || !fflush($handle)
            || !fsync($handle)
        ) {
            throw new RuntimeException("{$this->file} cannot be written; what was in it is in {$copy}");
        }
        unlink($copy);
    }
}
