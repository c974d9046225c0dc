<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Console\Command;
use WriteBuffer\ConfigException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Buffers\PackageSettings;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Status\StatusFolder;

/**
 * Owns `write-buffer:status`: shows the metrics that the processes of this machine last published.
 */
final class StatusCommand extends Command
{
    protected $signature = 'write-buffer:status
        {--watch : show the table again and again, until interrupted}
        {--interval=2 : seconds between two tables}
        {--json : print a JSON array}
        {--check : only say what is wrong, with exit status 1: a health check}
        {--max-age=60 : for --check: seconds that a row may wait}';

    protected $description = 'Show what the buffers of this machine hold, have written and have given up';

    private const HEADINGS = [
        'process', 'buffer', 'seen', 'pending', 'oldest ms', 'rows/s', 'committed', 'p50 ms', 'p99 ms', 'retries',
        'refused', 'thread',
    ];

    private Journals $journals;

    public function handle(BufferManager $manager): int
    {
        $this->journals = new Journals($this->laravel, $manager);
        $wrong = $this->option('json') ? [] : [...$this->unknownSettings()];
        foreach ($wrong as $problem) {
            $this->error(ConsoleText::of(ucfirst($problem)));
        }
        $path = $this->laravel->make('config')->get('write-buffer.status');
        if (!is_string($path) || $path === '') {
            $this->error('There are no metrics to show: "status" in config/write-buffer.php is off.');

            return 1;
        }
        $intervalS = (float) $this->option('interval');
        if (!is_numeric($this->option('interval')) || $intervalS < 0.1) {
            $this->error('--interval is a number of seconds, 0.1 or more.');

            return 1;
        }
        $folder = new StatusFolder($path);
        if ($this->option('check')) {
            return max($this->check($folder->all()), $wrong === [] ? 0 : 1);
        }
        $this->show($folder->all());
        while ($this->option('watch')) {
            usleep((int) ($intervalS * 1e6));
            if ($this->output->isDecorated()) {
                // Puts the cursor home, and clears the screen.
                $this->output->write("\033[H\033[2J");
            }
            $this->show($folder->all());
        }

        return 0;
    }

    /** @param list<array<string, mixed>> $entries */
    private function show(array $entries): void
    {
        if ($this->option('json')) {
            $this->line(ConsoleText::json($entries, JSON_PRESERVE_ZERO_FRACTION));

            return;
        }
        if ($entries === []) {
            $this->info('No process of this machine has a buffer, or none has ended a request, a job or a command'
                . ' yet.');
        } else {
            $this->table(self::HEADINGS, array_map([$this, 'row'], $entries));
            $this->explain($entries);
        }
        foreach ($this->journals->summaries() as $summary) {
            $this->line(ConsoleText::of($summary));
        }
        foreach ($entries as ['buffer' => $buffer, 'metrics' => $metrics]) {
            if ($metrics['last_error'] !== null) {
                $error = ConsoleText::of($metrics['last_error'], 160);
                $this->line('<error>' . ConsoleText::of("{$metrics['pid']} {$buffer}") . "</error> {$error}");
            }
        }
    }

    /**
     * Says what needs somebody: tables that take no rows, rows that wait for too long, rows of
     * processes that have ended, and journals that nobody recovers.
     *
     * @param list<array<string, mixed>> $entries
     */
    private function check(array $entries): int
    {
        if (!is_numeric($this->option('max-age')) || (float) $this->option('max-age') < 0) {
            $this->error('--max-age is a number of seconds.');

            return 1;
        }
        $problems = [];
        foreach ($entries as $entry) {
            $metrics = $entry['metrics'];
            $pending = $metrics[Metrics::PENDING];
            $of = "{$entry['host']}:{$metrics['pid']} {$entry['buffer']}";
            $asOf = $entry['persistent'] && $entry['lives'] ? ' (as of ' . self::seen($entry) . ')' : '';
            foreach ($metrics[Metrics::PARKED] as $table => $parked) {
                $problems[] = "{$of}: {$table} takes no rows, {$parked['rows']} wait{$asOf}: {$parked['message']}";
            }
            if (!$entry['lives'] && $pending > 0) {
                $problems[] = "{$of}: the process has ended with {$pending} rows";
            } elseif ($pending > 0 && $metrics[Metrics::AGE_OLDEST_MS] > 1_000 * (float) $this->option('max-age')) {
                $seconds = (int) ($metrics[Metrics::AGE_OLDEST_MS] / 1_000);
                $problems[] = "{$of}: {$pending} rows wait, the oldest for {$seconds} s{$asOf}";
            }
        }
        array_push($problems, ...$this->journals->problems((float) $this->option('max-age')));
        foreach ($problems as $problem) {
            $this->error(ConsoleText::of($problem));
        }

        return $problems === [] ? 0 : 1;
    }

    /** @return iterable<string> with these the application makes no buffer */
    private function unknownSettings(): iterable
    {
        $config = $this->laravel->make('config')->get('write-buffer');
        yield from PackageSettings::problems($config);
        foreach ((array) ($config['buffers'] ?? []) as $name => $buffer) {
            try {
                // Settings of the application's own drivers are its own.
                if (is_array($buffer) && in_array(BufferSettings::driver($buffer), BufferManager::DRIVERS, true)) {
                    BufferSettings::refuseUnknown((string) $name, $buffer);
                }
            } catch (ConfigException $e) {
                yield $e->getMessage();
            }
        }
    }

    /** @param list<array<string, mixed>> $entries */
    private function explain(array $entries): void
    {
        $pending = array_filter($entries, static fn (array $entry): bool => $entry['metrics'][Metrics::PENDING] > 0);
        if (array_filter($pending, static fn (array $entry): bool => $entry['lives'] && $entry['persistent']) !== []) {
            $this->line('"then": a persistent buffer had these rows at that time, when a request ended. Its thread has gone on since.');
        }
        if (array_filter($pending, static fn (array $entry): bool => !$entry['lives']) !== []) {
            $this->line('"ended with rows": an end in good order has written them, or they are "unwritten" in the'
                . ' dead-letter file (write-buffer:failed). A process that was killed has lost them, unless it had a journal.');
        }
    }

    /**
     * How a process has ended, as far as it has said.
     *
     * @param array<string, mixed> $entry
     */
    private static function end(array $entry): string
    {
        $pending = number_format($entry['metrics'][Metrics::PENDING]);

        return match (true) {
            $entry['lives'] => '',
            $pending === '0' => ' (ended, none pending)',
            default => " (ended with {$pending} rows)",
        };
    }

    /**
     * How long ago an entry was published: all of it is as of then.
     *
     * @param array<string, mixed> $entry
     */
    private static function seen(array $entry): string
    {
        return max(0, (int) (microtime(true) - $entry['time'])) . ' s ago';
    }

    /**
     * @param array<string, mixed> $entry
     *
     * @return list<string>
     */
    private function row(array $entry): array
    {
        $metrics = $entry['metrics'];
        $isOfThen = $entry['persistent'] && $entry['lives'] && $metrics[Metrics::PENDING] > 0;
        $pending = number_format($metrics[Metrics::PENDING]) . ' rows, '
            . number_format($metrics['bytes_pending'] / 1024) . ' KiB';

        return [
            ConsoleText::of("{$entry['host']}:{$metrics['pid']}" . self::end($entry)),
            ConsoleText::of($entry['buffer']),
            self::seen($entry),
            $isOfThen ? "then {$pending} (" . self::seen($entry) . ')' : $pending,
            number_format($metrics['age_oldest_ms']),
            $entry['rows_per_s'] === null ? '–' : number_format($entry['rows_per_s']),
            number_format($metrics[Metrics::COMMITTED]),
            number_format($metrics['transaction_time_p50_ms'], 1),
            number_format($metrics['transaction_time_p99_ms'], 1),
            number_format($metrics['retries']),
            number_format($metrics[Metrics::REFUSED]),
            ConsoleText::of($metrics['thread_state']),
        ];
    }
}
