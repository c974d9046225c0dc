<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support\Soak;

/** The dead-letter file of a worker. Each of its groups is taken once. */
final class DeadLetters
{
    /** @var array<string, int> how often each group stands in the file */
    private array $groups = [];

    /** @var array<string, int> by status and code */
    private array $counts = [];

    /** @var list<string> */
    private array $faults = [];

    public function __construct(string $path)
    {
        foreach (is_file($path) ? file($path) : [] as $text) {
            $line = json_decode($text, true);
            if (!is_array($line) || !is_array($line['rows'] ?? null)) {
                $this->faults[] = "no line: {$text}";
                continue;
            }
            // The server was there when the buffers ended, and nobody touched the ledger.
            if (!in_array($line['status'], ['refused', 'unwritten'], true)) {
                $this->faults[] = "{$line['status']}: {$text}";
            }
            $kind = "{$line['status']} {$line['code']}";
            $this->counts[$kind] = ($this->counts[$kind] ?? 0) + 1;
            $name = self::name($line['rows']);
            $this->groups[$name] = ($this->groups[$name] ?? 0) + 1;
        }
    }

    /**
     * Whether the file has a group. It is not there any more for the next call.
     *
     * @param list<array{table: string, row: array<string, int|string>}> $group
     */
    public function take(array $group): bool
    {
        $name = self::name($group);
        if (!isset($this->groups[$name])) {
            return false;
        }
        if (--$this->groups[$name] === 0) {
            unset($this->groups[$name]);
        }

        return true;
    }

    /** @return list<string> what is no group of the worker, or a group for the second time */
    public function faults(): array
    {
        $words = static fn (string $name): string => "not added, or twice in the file: {$name}";
        $left = array_map($words, array_keys($this->groups));

        return [...$this->faults, ...$left];
    }

    /** @return array<string, int> how many lines there were, by status and code */
    public function counts(): array
    {
        return $this->counts;
    }

    /** @param list<array{table: string, row: array<string, int|string>}> $group */
    private static function name(array $group): string
    {
        $rows = array_map(static function (array $row): array {
            ksort($row['row']);

            return [$row['table'], $row['row']];
        }, $group);

        return json_encode($rows, JSON_THROW_ON_ERROR);
    }
}
