<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Console;

use Illuminate\Contracts\Container\Container;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Journal;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Drivers\Native\JournalRecovery;
use WriteBuffer\Laravel\Rows\RowReader;

/**
 * Owns the journals that the buffers of config/write-buffer.php name. Buffers may share a folder,
 * and a server.
 *
 * @phpstan-type Writer = array{
 *     writer: string,
 *     pid: ?int,
 *     groups: int,
 *     bytes: int,
 *     age_oldest_ms: ?float,
 *     dsn: ?string,
 *     damage: ?string
 * }
 */
final class Journals
{
    public function __construct(private readonly Container $container, private readonly BufferManager $buffers)
    {
    }

    /**
     * @return array<string, list<string>> the names of the buffers of each folder
     *
     * @throws BufferException a setting that is no folder
     */
    public function folders(): array
    {
        $folders = [];
        foreach ($this->buffers->names() as $name) {
            $folder = BufferSettings::journal($this->config($name));
            if ($folder !== null) {
                $folders[rtrim($folder, '/') ?: '/'][] = $name;
            }
        }

        return $folders;
    }

    /**
     * @return list<Writer>
     *
     * @throws BufferException the folder cannot be read
     */
    public static function inspect(string $folder): array
    {
        return Journal::inspect($folder);
    }

    /**
     * Writes what dead processes have left in a folder for the servers of some buffers.
     *
     * @param list<string> $names of the buffers
     *
     * @return list<array<string, mixed>> as Journal::recover() returns it, of each server
     *
     * @throws BufferException
     */
    public function recover(string $folder, array $names, ?int $timeoutMs): array
    {
        $recovered = [];
        $done = [];
        foreach ($names as $name) {
            $dsn = $this->buffers->dsn($name);
            if (in_array($dsn, $done, true)) {
                continue;
            }
            $done[] = $dsn;
            $settings = BufferSettings::of($this->config($name), new RowReader());
            array_push($recovered, ...JournalRecovery::run($folder, $dsn, $settings, $timeoutMs));
        }

        return $recovered;
    }

    /** @return iterable<string> what each folder holds, in a line; nothing without the extension */
    public function summaries(): iterable
    {
        foreach ($this->inspected() as $of => $writers) {
            if (!is_array($writers)) {
                yield "{$of}: {$writers->getMessage()}";
                continue;
            }
            $pids = array_column($writers, 'pid');
            $dead = count($writers) - count(array_filter($pids));
            $ages = array_filter(array_column($writers, 'age_oldest_ms'), is_float(...));
            yield "{$of}: " . self::size((int) array_sum(array_column($writers, 'bytes')))
                . ($ages === [] ? '' : ', the oldest file for ' . self::age(max($ages)))
                . ($dead === 0 ? '' : "; {$dead} folders of dead processes: php artisan write-buffer:journal");
        }
    }

    /** @return iterable<string> what needs somebody; nothing without the extension */
    public function problems(float $maxAgeS): iterable
    {
        foreach ($this->inspected() as $of => $writers) {
            if (!is_array($writers)) {
                yield "{$of}: {$writers->getMessage()}";
                continue;
            }
            foreach ($writers as $writer) {
                if ($writer['damage'] !== null) {
                    yield "{$of}: {$writer['writer']} is damaged: {$writer['damage']}. See docs/journal.md";
                } elseif ($writer['pid'] === null && $writer['age_oldest_ms'] > 1_000 * $maxAgeS) {
                    yield "{$of}: a dead process has left {$writer['writer']}, whose oldest file is there for "
                        . self::age($writer['age_oldest_ms']) . ': php artisan write-buffer:recover';
                }
            }
        }
    }

    /** @return iterable<string, list<Writer>|BufferException> by folder */
    private function inspected(): iterable
    {
        if (!extension_loaded('write_buffer')) {
            return;
        }
        try {
            $folders = $this->folders();
        } catch (BufferException $e) {
            yield 'journal' => $e;

            return;
        }
        foreach ($folders as $folder => $names) {
            try {
                yield "journal {$folder} (" . implode(', ', $names) . ')' => self::inspect((string) $folder);
            } catch (BufferException $e) {
                yield "journal {$folder}" => $e;
            }
        }
    }

    /** A size, for people. */
    public static function size(int $bytes): string
    {
        return number_format($bytes / 1_048_576, 1) . ' MiB';
    }

    /** An age, for people. */
    public static function age(?float $ms): string
    {
        return $ms === null ? '–' : number_format($ms / 1_000) . ' s';
    }

    /** @return array<string, mixed> */
    private function config(string $name): array
    {
        return (array) $this->container->make('config')->get("write-buffer.buffers.{$name}");
    }
}
