<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\DeadLetters\DeadLetterFile;

/** The groups in a buffer's dead-letter file: listed, shown, tried again, forgotten. */
final class FailedCommand extends Command
{
    protected $signature = 'write-buffer:failed
        {number?* : the groups, by the numbers of the list}
        {--buffer= : the buffer; the default one, where none is named}
        {--retry : write the groups, or all of them, and take those that were committed out of the file}
        {--forget : take the groups, or all of them, out of the file}';

    protected $description = 'List, show, retry or forget the groups that a buffer has given up';

    public function handle(BufferManager $manager): int
    {
        $name = $this->option('buffer') ?? $manager->getDefaultBuffer();
        $file = $this->laravel->make('config')->get("write-buffer.buffers.{$name}.dead_letter_file")
            ?: (string) ini_get('write_buffer.dead_letter_file');
        if ($file === '') {
            $this->error("The buffer {$name} has no dead_letter_file in config/write-buffer.php.");

            return 1;
        }
        $deadLetters = new DeadLetterFile($file);
        if ($this->option('retry') && $this->option('forget')) {
            $this->error('Give one of --retry and --forget.');

            return 1;
        }
        if ($this->option('forget')) {
            $this->info($deadLetters->remove(fn (array $failure, int $number): bool => $this->isMeant($number)) . ' groups forgotten.');

            return 0;
        }

        return $this->option('retry') ? $this->retry($manager, $name, $deadLetters) : $this->show($deadLetters);
    }

    private function show(DeadLetterFile $deadLetters): int
    {
        $rows = [];
        foreach ($deadLetters->all() as $at => $failure) {
            if (!$this->isMeant($at + 1)) {
                continue;
            }
            if ($this->argument('number') !== []) {
                $this->line((string) json_encode(['number' => $at + 1] + $failure, JSON_PRETTY_PRINT | JSON_UNESCAPED_UNICODE));
                continue;
            }
            $tables = array_count_values(array_column($failure['rows'], 'table'));
            $rows[] = [
                $at + 1,
                gmdate('Y-m-d H:i:s', (int) $failure['time']),
                implode(', ', array_map(static fn (string $table, int $count): string => "{$table} {$count}", array_keys($tables), $tables)),
                $failure['code'],
                mb_strimwidth((string) $failure['message'], 0, 100, '…'),
            ];
        }
        if ($this->argument('number') === []) {
            $rows === [] ? $this->info('No groups were given up.') : $this->table(['#', 'UTC', 'rows', 'code', 'message'], $rows);
        }

        return 0;
    }

    private function retry(BufferManager $manager, string $name, DeadLetterFile $deadLetters): int
    {
        $refused = 0;
        $done = $deadLetters->remove(function (array $failure, int $number) use ($manager, $name, &$refused): bool {
            if (!$this->isMeant($number)) {
                return false;
            }
            // One for each group: it has no other rows, and no dead-letter file of its own.
            $buffer = $manager->makeForRetry($name);
            try {
                $buffer->retry([$failure]);
                $buffer->flush();

                return true;
            } catch (BufferException $e) {
                $buffer->takeFailures();
                $this->error("Group {$number}: {$e->getMessage()}");
                $refused++;

                return false;
            }
        });
        $this->info("{$done} groups written, {$refused} refused.");

        return $refused === 0 ? 0 : 1;
    }

    private function isMeant(int $number): bool
    {
        $meant = $this->argument('number');

        return $meant === [] || in_array((string) $number, $meant, true);
    }
}
