<?php

declare(strict_types=1);

namespace App\Console\Commands;

use App\Services\TableSnapshot;
use App\Simulation\SnapshotComparison;
use Illuminate\Console\Command;
use Illuminate\Database\Connection;
use Illuminate\Filesystem\Filesystem;
use Symfony\Component\Process\Process;

/**
 * Owns `exchange:demo`: runs exchange:match once for each buffer, and compares the tables and the
 * speeds.
 */
class DemoCommand extends Command
{
    protected $signature = 'exchange:demo
        {--orders=10000 : How many orders each buffer has to save}
        {--seed=1 : The seed of the order flow}
        {--buffers=eloquent,php,native : Which buffers, in this order; the others are compared with the first}
        {--define=* : A php.ini setting for the started processes, as in php -d}
        {--json= : Write the figures to this file}';

    protected $description = 'Run one order flow through each buffer, compare the tables, and show the speeds';

    public function handle(Filesystem $files, Connection $connection): int
    {
        $kinds = array_values(array_filter(explode(',', (string) $this->option('buffers'))));
        if ($kinds === [] || array_diff($kinds, array_keys(MatchCommand::BUFFERS)) !== []) {
            $this->error('--buffers takes a list of: ' . implode(', ', array_keys(MatchCommand::BUFFERS)) . '.');

            return 1;
        }

        $folder = sys_get_temp_dir() . '/exchange-demo-' . bin2hex(random_bytes(8));
        try {
            $runs = [];
            foreach ($kinds as $kind) {
                $files->makeDirectory("{$folder}/{$kind}", 0700, true);
                $run = $this->measure($kind, "{$folder}/{$kind}");
                if ($run === null) {
                    return 1;
                }
                $runs[$kind] = $run;
            }
            $differences = $this->compare($kinds, $folder);
        } finally {
            $files->deleteDirectory($folder);
        }

        $this->show($runs);
        foreach ($differences as $difference) {
            $this->error($difference);
        }
        if ($differences === [] && count($runs) > 1) {
            $this->info('The tables are identical, row by row: ' . $this->describeTables(reset($runs)['tables']));
        }
        if ($this->option('json') !== null) {
            $this->writeJson($this->option('json'), $runs, $differences, $connection);
        }

        return $differences === [] ? 0 : 1;
    }

    /**
     * Runs a buffer in its own process, so that it inherits no memory, connections or caches.
     *
     * @return array<string, mixed>|null the figures of exchange:match; null: it failed
     */
    private function measure(string $kind, string $folder): ?array
    {
        $defines = $this->option('define');
        $extension = (string) config('exchange.extension');
        if ($kind === 'native' && $extension !== '') {
            // The process starts in another folder.
            $defines[] = 'extension=' . (realpath($extension) ?: $extension);
        }
        $command = [PHP_BINARY];
        foreach ($defines as $define) {
            array_push($command, '-d', $define);
        }
        array_push(
            $command,
            base_path('artisan'),
            'exchange:match',
            "--orders={$this->option('orders')}",
            "--seed={$this->option('seed')}",
            "--buffer={$kind}",
            "--json={$folder}/figures.json",
            "--dump={$folder}",
            '--no-interaction',
            $this->output->isDecorated() ? '--ansi' : '--no-ansi',
        );

        $this->output->write("<info>{$kind}</info> ... ");
        // stderr has the progress bar; stdout has the figures, which this command shows in its
        // table.
        $shown = [
            Process::ERR => $this->output->isDecorated() || $this->output->isVerbose(),
            Process::OUT => $this->output->isVerbose(),
        ];
        if ($shown[Process::ERR]) {
            $this->newLine();
        }
        $process = new Process($command, base_path(), null, null, null);
        $process->run(function (string $type, string $text) use ($shown): void {
            if ($shown[$type]) {
                $this->output->write($text, false, $this->output::OUTPUT_RAW);
            }
        });
        if ($shown[Process::ERR]) {
            $this->newLine();
        }
        if (!$process->isSuccessful()) {
            $this->error("exchange:match --buffer={$kind} failed with exit code {$process->getExitCode()}");
            $text = $process->getOutput() . $process->getErrorOutput();
            $this->output->write($text, false, $this->output::OUTPUT_RAW);

            return null;
        }
        $figures = json_decode(file_get_contents("{$folder}/figures.json"), true, 512, JSON_THROW_ON_ERROR);
        $this->line(number_format($figures['orders_per_s']) . ' orders/s');

        return $figures;
    }

    /**
     * @param list<string> $kinds
     *
     * @return list<string> what differs from the first buffer's tables, a line for each table
     */
    private function compare(array $kinds, string $folder): array
    {
        $differences = [];
        foreach (array_slice($kinds, 1) as $kind) {
            foreach (array_keys(TableSnapshot::TABLES) as $table) {
                $difference = SnapshotComparison::firstDifference(
                    "{$folder}/{$kinds[0]}/{$table}.jsonl",
                    "{$folder}/{$kind}/{$table}.jsonl",
                );
                if ($difference !== null) {
                    $differences[] = "{$table} differs between {$kinds[0]} and {$kind}: {$difference}";
                }
            }
        }

        return $differences;
    }

    /** @param array<string, array<string, mixed>> $runs */
    private function show(array $runs): void
    {
        $baseline = reset($runs);
        $rows = [];
        foreach ($runs as $kind => $run) {
            $rows[] = [
                $kind,
                number_format($run['orders_per_s']),
                number_format($run['trades']),
                number_format($run['p50_us'] / 1000, 3) . ' ms',
                number_format($run['p99_us'] / 1000, 3) . ' ms',
                number_format($run['orders_per_s'] / $baseline['orders_per_s'], 1) . ' x',
            ];
        }
        $this->newLine();
        $this->table(['buffer', 'orders/s', 'trades', 'p50', 'p99', "ratio to {$baseline['buffer']}"], $rows);
        $this->line('orders/s: until the last commit. p50, p99: one call of matchOrders().');
    }

    /** @param array<string, array{rows: int}> $tables */
    private function describeTables(array $tables): string
    {
        $descriptions = [];
        foreach ($tables as $table => $checksum) {
            $descriptions[] = number_format($checksum['rows']) . " {$table}";
        }

        return implode(', ', $descriptions) . '.';
    }

    /**
     * @param array<string, array<string, mixed>> $runs
     * @param list<string>                        $differences
     */
    private function writeJson(string $file, array $runs, array $differences, Connection $connection): void
    {
        $report = [
            'orders' => (int) $this->option('orders'),
            'seed' => (int) $this->option('seed'),
            'identical' => $differences === [],
            'differences' => $differences,
            'php' => PHP_VERSION,
            'laravel' => $this->laravel->version(),
            'server' => $connection->selectOne('SELECT VERSION() AS version')->version,
            'runs' => array_values($runs),
        ];
        file_put_contents($file, json_encode($report, JSON_PRETTY_PRINT | JSON_THROW_ON_ERROR) . "\n");
    }
}
