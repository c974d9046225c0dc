<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use RuntimeException;
use TypeError;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\DeadLetters\DeadLetterFile;
use WriteBuffer\Laravel\Drivers\Php\PhpBuffer;

/**
 * Owns `write-buffer:failed`: lists, shows, retries and forgets the groups in a buffer's
 * dead-letter file.
 *
 * @phpstan-import-type Letter from DeadLetter
 */
final class FailedCommand extends Command
{
    protected $signature = 'write-buffer:failed
        {number?* : the groups, by the numbers of the list; without numbers, all groups}
        {--buffer= : the buffer; without a name, the default buffer}
        {--retry : write the groups, and take each one that was committed out of the file}
        {--uncertain : retry also groups that may be in the database already: look there first}
        {--forget : take the groups out of the file}';

    protected $description = 'List, show, retry or forget the groups that a buffer has given up, or had left when it ended';

    private int $refused = 0;

    private int $uncertain = 0;

    public function handle(BufferManager $manager): int
    {
        $name = $this->option('buffer') ?? $manager->getDefaultBuffer();
        $file = $this->laravel->make('config')->get("write-buffer.buffers.{$name}.dead_letter_file")
            ?: (string) ini_get('write_buffer.dead_letter_file');
        if ($file === '') {
            $this->error(ConsoleText::of("The buffer {$name} has no dead_letter_file in config/write-buffer.php."));

            return 1;
        }
        if ($this->option('retry') && $this->option('forget')) {
            $this->error('Give one of --retry and --forget.');

            return 1;
        }
        try {
            return $this->work($manager, $name, new DeadLetterFile($file));
        } catch (RuntimeException $e) {
            $this->error(ConsoleText::of($e->getMessage()));

            return 1;
        }
    }

    private function work(BufferManager $manager, string $name, DeadLetterFile $deadLetters): int
    {
        if ($this->option('forget')) {
            $forgotten = $deadLetters->remove($this->isMeant(...));
            $this->info("{$forgotten} groups forgotten.");

            return 0;
        }

        return $this->option('retry') ? $this->retry($manager, $name, $deadLetters) : $this->show($deadLetters);
    }

    private function show(DeadLetterFile $deadLetters): int
    {
        $rows = [];
        foreach ($deadLetters->all() as $at => $letter) {
            if (!$this->isMeant($at + 1)) {
                continue;
            }
            if ($letter === null) {
                $rows[] = [$at + 1, '', '', 'damaged', '', 'no whole line: its writer was killed. --forget takes it out'];
                continue;
            }
            if ($this->argument('number') !== []) {
                $letter = ['number' => $at + 1] + $letter;
                $this->line(ConsoleText::json($letter, JSON_PRETTY_PRINT));
                continue;
            }
            $tables = [];
            foreach (array_count_values(array_column($letter['rows'], 'table')) as $table => $count) {
                $tables[] = "{$table} {$count}";
            }
            $rows[] = [
                $at + 1,
                gmdate('Y-m-d H:i:s', (int) $letter['time']),
                ConsoleText::of(implode(', ', $tables)),
                ConsoleText::of((string) $letter['status']),
                (int) $letter['code'],
                ConsoleText::of($letter['message'], 100),
            ];
        }
        if ($this->argument('number') === [] || $rows !== []) {
            $rows === []
                ? $this->info('No groups were given up.')
                : $this->table(['#', 'UTC', 'rows', 'status', 'code', 'message'], $rows);
        }
        if ($deadLetters->isBusy) {
            $this->warn('Some groups are being put back, by a process or a buffer that still holds them. They are not listed.');
        }

        return 0;
    }

    private function retry(BufferManager $manager, string $name, DeadLetterFile $deadLetters): int
    {
        $this->refused = $this->uncertain = 0;
        $done = $deadLetters->retry(
            $this->isToBeRetried(...),
            fn (array $letter, int $number): bool|array => $this->retryGroup($manager, $name, $letter, $number),
        );
        $this->info("{$done} groups written, {$this->refused} refused.");
        if ($this->uncertain > 0) {
            $this->warn("{$this->uncertain} groups may be in the database already, and stay. Look there: --forget those that"
                . ' are, and give the numbers of the others with --retry --uncertain.');
        }

        return $this->refused + $this->uncertain === 0 ? 0 : 1;
    }

    /** @param Letter $letter */
    private function isToBeRetried(array $letter, int $number): bool
    {
        if (!$this->isMeant($number)) {
            return false;
        }
        if (DeadLetter::mayBeRetried($letter) || $this->option('uncertain')) {
            return true;
        }
        $this->uncertain++;

        return false;
    }

    /**
     * @param Letter $letter
     *
     * @return bool|Letter as {@see DeadLetterFile::retry()} wants it
     */
    private function retryGroup(BufferManager $manager, string $name, array $letter, int $number): bool|array
    {
        if (!DeadLetter::mayBeRetried($letter)) {
            $letter['status'] = DeadLetter::UNWRITTEN;
        }
        // A buffer for each group: it has no other rows, and no dead-letter file.
        $buffer = $manager->makeForRetry($name);
        try {
            $buffer->retry([$letter]);
            $buffer->flush();

            return true;
        } catch (BufferException | TypeError $e) {
            $statuses = array_column($buffer->takeFailures(), 'status');
            $metrics = $buffer->getMetrics();
            $this->error(ConsoleText::of("Group {$number}: {$e->getMessage()}"));
            $this->refused++;
            if ($buffer instanceof PhpBuffer) {
                // Its end would write what stays in the file.
                $buffer->discard();
            }
            $isInDoubt = in_array(DeadLetter::UNCERTAIN, $statuses, true)
                || ($metrics['commits_unknown'] ?? 0) > ($metrics['commits_looked_up'] ?? 0);

            // It may be written now: the next --retry must not double it.
            return $isInDoubt ? ['status' => DeadLetter::UNCERTAIN] + $letter : false;
        }
    }

    private function isMeant(int $number): bool
    {
        $meant = $this->argument('number');

        return $meant === [] || in_array((string) $number, $meant, true);
    }
}
