<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;

/**
 * Owns `write-buffer:journal`: shows what the journals hold. It changes nothing, and asks no
 * server.
 */
final class JournalCommand extends Command
{
    protected $signature = 'write-buffer:journal
        {--json : print a JSON array}';

    protected $description = 'Show what the journals of the buffers hold, and whose it is';

    private const HEADINGS = ['journal', 'writer', 'process', 'groups', 'size', 'oldest', 'server', 'damage'];

    public function handle(BufferManager $manager): int
    {
        $writers = [];
        $status = 0;
        try {
            $folders = (new Journals($this->laravel, $manager))->folders();
        } catch (BufferException $e) {
            return $this->fails($e->getMessage());
        }
        if ($folders !== [] && !extension_loaded('write_buffer')) {
            return $this->fails('A journal needs the extension write_buffer: add "extension=write_buffer" to php.ini.');
        }
        foreach ($folders as $folder => $names) {
            try {
                foreach (Journals::inspect((string) $folder) as $writer) {
                    $writers[] = ['journal' => (string) $folder, 'buffers' => $names] + $writer;
                }
            } catch (BufferException $e) {
                $status = $this->fails("{$folder}: {$e->getMessage()}");
            }
        }
        $this->show($folders, $writers);

        return $status;
    }

    /**
     * @param array<string, list<string>> $folders
     * @param list<array<string, mixed>>  $writers
     */
    private function show(array $folders, array $writers): void
    {
        if ($this->option('json')) {
            $this->line(ConsoleText::json($writers, JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_SLASHES));

            return;
        }
        if ($writers === []) {
            $this->info($folders === []
                ? 'No buffer of config/write-buffer.php has a journal.'
                : ConsoleText::of('Nothing is in the journal: ' . implode(', ', array_keys($folders))));

            return;
        }
        $this->table(self::HEADINGS, array_map(static fn (array $writer): array => [
            ConsoleText::of("{$writer['journal']} (" . implode(', ', $writer['buffers']) . ')'),
            ConsoleText::of($writer['writer']),
            $writer['pid'] ?? 'dead',
            number_format($writer['groups']),
            Journals::size($writer['bytes']),
            Journals::age($writer['age_oldest_ms']),
            ConsoleText::of($writer['dsn'] ?? '–'),
            ConsoleText::of($writer['damage'] ?? ''),
        ], $writers));
        $isLeft = static fn (array $writer): bool => $writer['pid'] === null && $writer['damage'] === null;
        if (array_filter($writers, $isLeft) !== []) {
            $this->line('"dead": the next buffer writes this, or at once: php artisan write-buffer:recover');
        }
    }

    /** To the errors' output: what --json prints stays JSON. */
    private function fails(string $message): int
    {
        $this->output->getErrorStyle()->writeln('<error>' . ConsoleText::of($message) . '</error>');

        return 1;
    }
}
