<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use RuntimeException;
use TypeError;
use WriteBuffer\ConfigException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
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
        {number?* : the groups, by the numbers of the list or by their ids; all, or none: all groups}
        {--buffer= : the buffer; without a name, the default buffer}
        {--retry : write the groups, and take each one that was committed out of the file}
        {--uncertain : retry also groups that may be in the database already: look there first}
        {--forget : take the groups out of the file}';

    protected $description = 'List, show, retry or forget the groups that a buffer has given up, or had left when it ended';

    private int $refused = 0;

    private int $uncertain = 0;

    /** @var array<int, true>|null the groups that are meant, by number; null: all */
    private ?array $meant = null;

    public function handle(BufferManager $manager): int
    {
        $name = $this->option('buffer') ?? $manager->getDefaultBuffer();
        if (!in_array($name, $manager->names(), true)) {
            $names = implode(', ', $manager->names());
            $this->error(ConsoleText::of("There is no buffer {$name} in config/write-buffer.php; there are: {$names}."));

            return 1;
        }
        try {
            $file = BufferSettings::deadLetterFile(
                (array) $this->laravel->make('config')->get("write-buffer.buffers.{$name}"),
            );
        } catch (ConfigException $e) {
            $this->error(ConsoleText::of("The buffer {$name}: {$e->getMessage()}"));

            return 1;
        }
        if ($file === null) {
            $this->error(ConsoleText::of("The buffer {$name} has no dead_letter_file in config/write-buffer.php."));

            return 1;
        }
        if ($this->option('retry') && $this->option('forget')) {
            $this->error('Give one of --retry and --forget.');

            return 1;
        }
        try {
            $deadLetters = new DeadLetterFile($file);

            return $this->areThere($deadLetters) ? $this->work($manager, $name, $deadLetters) : 1;
        } catch (RuntimeException $e) {
            $this->error(ConsoleText::of($e->getMessage()));

            return 1;
        }
    }

    /** Finds the groups that are meant. If one is not there, nothing is done to the others. */
    private function areThere(DeadLetterFile $deadLetters): bool
    {
        $this->meant = null;
        $given = array_map('strval', (array) $this->argument('number'));
        if (array_diff($given, ['all']) === []) {
            return true;
        }
        $letters = $deadLetters->all();
        $numbers = [];
        foreach ($letters as $at => $letter) {
            $numbers[(string) ($at + 1)] = $at + 1;
            if (is_string($letter['id'] ?? null)) {
                $numbers["id {$letter['id']}"] = $at + 1;
            }
        }
        $unknown = [];
        foreach (array_diff($given, ['all']) as $one) {
            $number = $numbers[$one] ?? $numbers["id {$one}"] ?? null;
            if ($number === null) {
                $unknown[] = $one;
            } else {
                $this->meant[$number] = true;
            }
        }
        if ($unknown === []) {
            $this->meant = in_array('all', $given, true) ? null : $this->meant;

            return true;
        }
        $this->error(ConsoleText::of('There is no group ' . implode(', ', $unknown) . ' in the file, which has '
            . count($letters) . ' groups. Nothing was done.'));

        return false;
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
            if ($this->meant !== null) {
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
        if ($this->meant === null || $rows !== []) {
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
        return $this->meant === null || isset($this->meant[$number]);
    }
}
