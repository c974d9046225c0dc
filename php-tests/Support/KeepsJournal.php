<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

/** A test's own folder for journals. */
trait KeepsJournal
{
    protected string $journal = '';

    protected function makeJournal(): void
    {
        $this->journal = sys_get_temp_dir() . '/wb_journal_' . bin2hex(random_bytes(6));
    }

    protected function removeJournal(): void
    {
        self::removeTree($this->journal);
    }

    protected static function removeTree(string $path): void
    {
        if (is_dir($path) && !is_link($path)) {
            foreach (array_diff((array) scandir($path), ['.', '..']) as $name) {
                self::removeTree("{$path}/{$name}");
            }
            rmdir($path);
        } elseif ($path !== '' && (is_link($path) || file_exists($path))) {
            unlink($path);
        }
    }

    /** @return list<string> the writers' folders, those that were set aside too */
    protected function folders(): array
    {
        return array_map('basename', glob("{$this->journal}/*", GLOB_ONLYDIR) ?: []);
    }

    /** @return list<array<string, mixed>> the lines of the journal's dead-letter file */
    protected function deadLetters(): array
    {
        $lines = @file("{$this->journal}/dead-letters.jsonl") ?: [];

        return array_map(static fn (string $line): array => json_decode($line, true, 512, JSON_THROW_ON_ERROR), $lines);
    }
}
