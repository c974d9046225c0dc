<?php

declare(strict_types=1);

namespace Bench;

use RuntimeException;

/**
 * Counts what bench/counted.php does, by callgrind. The same program takes the same instructions,
 * however busy the machine is. valgrind shows every program the same processor, and loads it at the
 * same addresses. PHP's collector of cycles is off: when it runs is no matter of ours.
 */
final class InstructionCount
{
    /** As long as a hundred times what it takes. */
    private const TIME_LIMIT_S = 600;

    /** The name of a loop's figure. */
    private const FIGURES = [
        'arrays' => 'add() of arrays',
        'journal' => 'add() of arrays, with a journal',
        'models' => 'add() of Eloquent models',
        'saved models' => "add() of Eloquent models, by Laravel's buffer",
    ];

    /** @param string $folder that is empty, and ours */
    public static function take(string $folder): InstructionFile
    {
        $laravel = self::run([
            'timeout', '--kill-after=10', (string) self::TIME_LIMIT_S,
            'valgrind', '--quiet', '--tool=callgrind', '--separate-threads=yes', '--dump-instr=no', '--dump-before=zend_gc_get_status',
            "--callgrind-out-file={$folder}/count", PHP_BINARY, '-d', 'extension=' . self::extension(),
            '-d', 'memory_limit=-1', '-d', 'zend.enable_gc=0', '-d', 'display_errors=stderr', __DIR__ . '/../counted.php', "{$folder}/journal",
        ], self::environment());

        return new InstructionFile(self::tools($laravel), self::figures($folder));
    }

    /**
     * Callgrind's dump number 2n is the nth loop's; the first thread is PHP's. All that another
     * thread has done is in the last dump.
     *
     * @return array<string, int>
     */
    private static function figures(string $folder): array
    {
        $figures = [];
        $loops = [];
        foreach (CountedWork::LOOPS as $at => $loop) {
            $loops[$loop] = self::total(sprintf('%s/count.%d-01', $folder, 2 * ($at + 1))) / CountedWork::PAIRS;
            if ($loop !== 'loop') {
                $figures[self::FIGURES[$loop]] = (int) round($loops[$loop] - $loops['loop']);
            }
        }
        // The first of these threads is the second of the process. How the server's answers come in
        // costs a thread a little more now and then, and never less.
        $threads = [];
        foreach (CountedWork::WRITES as $at => $writes) {
            $threads[$writes][] = self::total(sprintf('%s/count-%02d', $folder, $at + 2));
        }
        [$few, $more] = array_keys($threads);
        $written = (min($threads[$more]) - min($threads[$few])) / ($more - $few);
        $figures['writing, on the thread of the extension'] = (int) round($written / CountedWork::PAIRS);

        return $figures;
    }

    private static function total(string $file): int
    {
        if (preg_match('/^totals: (\d+)$/m', (string) file_get_contents($file), $found) !== 1) {
            throw new RuntimeException("{$file} has no totals.");
        }

        return (int) $found[1];
    }

    /** @return array<string, string> */
    private static function tools(string $laravel): array
    {
        $hasAvx2 = preg_match('/^flags\b.*\bavx2\b/m', (string) file_get_contents('/proc/cpuinfo')) === 1;
        preg_match('/rustc version (\d+\.\d+\.\d+[^\s)]*)/', (string) file_get_contents(self::extension()), $rustc);

        return [
            'processor' => php_uname('m') . ($hasAvx2 ? ' with AVX2' : ''),
            'rustc' => $rustc[1] ?? 'unknown',
            'php' => implode('.', [PHP_MAJOR_VERSION, PHP_MINOR_VERSION, PHP_RELEASE_VERSION]),
            'libc' => trim(self::run(['getconf', 'GNU_LIBC_VERSION'])),
            'laravel' => $laravel,
            'valgrind' => trim(self::run(['valgrind', '--version'])),
        ];
    }

    private static function extension(): string
    {
        return (string) getenv('WRITE_BUFFER_EXTENSION');
    }

    /**
     * No more than is needed: how long the environment is moves the stack.
     *
     * @return array<string, string>
     */
    private static function environment(): array
    {
        $environment = getenv();

        return array_filter(
            $environment,
            static fn (string $name): bool => in_array($name, ['PATH', 'PHP_INI_SCAN_DIR'], true) || str_starts_with($name, 'DB_'),
            ARRAY_FILTER_USE_KEY,
        );
    }

    /**
     * @param list<string>               $command
     * @param array<string, string>|null $environment null: this process's
     */
    private static function run(array $command, ?array $environment = null): string
    {
        $process = proc_open($command, [1 => ['pipe', 'w']], $pipes, null, $environment);
        if ($process === false) {
            throw new RuntimeException("{$command[0]} cannot be started.");
        }
        $said = (string) stream_get_contents($pipes[1]);
        $status = proc_close($process);
        if ($status !== 0) {
            throw new RuntimeException("{$command[0]} ended with {$status}. {$said}");
        }

        return $said;
    }
}
