<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/**
 * Owns `write-buffer:recover`: writes what dead processes have left in the journals. A buffer does
 * so by itself at its first use: this is for deployments and for the machine's boot.
 */
final class RecoverCommand extends Command
{
    protected $signature = 'write-buffer:recover
        {--timeout= : seconds that it may take for each server; without it, until all is settled}';

    protected $description = 'Write what processes that were killed have left in the journals';

    public function handle(BufferManager $manager): int
    {
        $timeout = $this->option('timeout');
        if ($timeout !== null && (!is_numeric($timeout) || (float) $timeout < 0 || (float) $timeout > PHP_INT_MAX / 2_000)) {
            $this->error('--timeout is a number of seconds.');

            return 1;
        }
        $timeoutMs = $timeout === null ? null : (int) round(1_000 * (float) $timeout);
        $journals = new Journals($this->laravel, $manager);
        try {
            $folders = $journals->folders();
        } catch (BufferException $e) {
            $this->error(ConsoleText::of($e->getMessage()));

            return 1;
        }
        if ($folders === []) {
            $this->info('No buffer of config/write-buffer.php has a journal.');

            return 0;
        }
        if (!extension_loaded('write_buffer')) {
            $this->error('A journal needs the extension write_buffer: add "extension=write_buffer" to php.ini.');

            return 1;
        }
        $isWell = true;
        foreach ($folders as $folder => $names) {
            $isWell = $this->recover($journals, (string) $folder, $names, $timeoutMs) && $isWell;
        }

        return $isWell ? 0 : 1;
    }

    /**
     * @param list<string> $names
     *
     * @return bool whether nobody is needed
     */
    private function recover(Journals $journals, string $folder, array $names, ?int $timeoutMs): bool
    {
        $of = "{$folder} (" . implode(', ', $names) . ')';
        try {
            $recovered = $journals->recover($folder, $names, $timeoutMs);
        } catch (BufferException $e) {
            $this->error(ConsoleText::of("{$of}: {$e->getMessage()}"));

            return false;
        }
        if ($recovered === []) {
            $this->info(ConsoleText::of("{$of}: no dead process has left anything."));
        }
        $isWell = true;
        foreach ($recovered as $writer) {
            $rows = number_format($writer['rows_committed']);
            $this->line(ConsoleText::of("{$of}: writer {$writer['writer']} had left " . number_format($writer['groups'])
                . " groups: {$rows} rows committed, {$writer['rows_refused']} given up, {$writer['rows_parked']} wait for a table."));
            foreach ($this->problems($writer) as $problem) {
                $this->error(ConsoleText::of("  {$problem}"));
                $isWell = false;
            }
        }

        return $isWell;
    }

    /**
     * @param array<string, mixed> $writer
     *
     * @return iterable<string> what needs somebody
     */
    private function problems(array $writer): iterable
    {
        if ($writer['set_aside'] !== null) {
            yield "its folder is damaged, and was set aside: {$writer['set_aside']}. See docs/journal.md";
        }
        if ($writer['error'] !== null) {
            yield $writer['error'];
        }
        if ($writer['rows_refused'] > 0) {
            yield "{$writer['rows_refused']} rows are in the dead-letter file: php artisan write-buffer:failed";
        }
        if ($writer['rows_parked'] > 0 && $writer['error'] === null) {
            yield "{$writer['rows_parked']} rows stay in the journal: their table takes none now";
        }
    }
}
