<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use RuntimeException;
use WeakMap;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Status\StatusFolder;

/**
 * Owns what the exception handler was told of: groups that were given up, and tables that take no
 * rows. So it is told of each one once.
 *
 * A persistent buffer outlives its request, and what PHP remembers does not: for it this is also
 * written into the folder of `write-buffer:status`. Without that folder, each request under php-fpm
 * tells of what nobody has taken.
 *
 * @phpstan-import-type Letter from DeadLetter
 * @phpstan-type Known array{
 *     process: string,
 *     refused: int,
 *     last: ?string,
 *     parked: array<string, int>
 * }
 */
final class Told
{
    private const NOTHING = ['process' => '', 'refused' => 0, 'last' => null, 'parked' => []];

    /** @var WeakMap<Buffer, Known> */
    private WeakMap $known;

    public function __construct()
    {
        $this->known = new WeakMap();
    }

    /**
     * What the handler was not told of yet. From now on it counts as told.
     *
     * @param array<string, mixed> $metrics the buffer's, of now
     * @param StatusFolder|null    $folder  for a persistent buffer
     *
     * @return array{
     *     list<Letter>,
     *     array<string, array{code: int, message: string}>
     * } groups that were given up; tables
     */
    public function untold(string $name, Buffer $buffer, array $metrics, ?StatusFolder $folder = null): array
    {
        $known = $this->known[$buffer] ?? $folder?->told($name) ?? self::NOTHING;
        $refused = (int) $metrics[Metrics::REFUSED];
        $process = self::process();
        $letters = [];
        $last = $known['last'];
        if ($refused !== $known['refused'] || $process !== $known['process']) {
            $letters = $buffer->failures();
            $ids = array_column($letters, 'id');
            $at = $last === null ? false : array_search($last, $ids, true);
            $letters = $at === false ? $letters : array_slice($letters, $at + 1);
            $last = $ids[count($ids) - 1] ?? $last;
        }
        $tables = array_map(static fn (array $table): int => (int) $table['code'], $metrics[Metrics::PARKED]);
        $parked = array_filter(
            $metrics[Metrics::PARKED],
            static fn (array $table, string $of): bool => ($known['parked'][$of] ?? null) !== (int) $table['code'],
            ARRAY_FILTER_USE_BOTH,
        );
        $now = ['process' => $process, 'refused' => $refused, 'last' => $last, 'parked' => $tables];
        $this->known[$buffer] = $now;
        if ($now !== $known) {
            try {
                $folder?->tell($name, $now);
            } catch (RuntimeException) {
                // Who publishes into the folder reports it.
            }
        }

        return [$letters, $parked];
    }

    /** All was written: a table that takes no rows from now on is told of again. */
    public function isFlushed(Buffer $buffer): void
    {
        if (isset($this->known[$buffer])) {
            $this->known[$buffer] = ['parked' => []] + $this->known[$buffer];
        }
    }

    /** This process, and no other one that had its id before. */
    public static function process(): string
    {
        $stat = (string) @file_get_contents('/proc/self/stat');
        // "pid (name) state …": the start is the 20th field behind the name, which may hold
        // anything.
        $fields = explode(' ', substr($stat, (int) strrpos($stat, ')') + 2));

        return getmypid() . '-' . ($fields[19] ?? '');
    }
}
