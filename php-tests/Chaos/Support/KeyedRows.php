<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

/**
 * What tables must hold after groups of rows and deletions, each one applied after the one before
 * it. It shares nothing with the extension.
 *
 * @phpstan-type Row array{id: int, g?: int, r?: int, v?: int, s?: int}
 */
final class KeyedRows
{
    public const DEFINITION = 'id INT PRIMARY KEY, g INT NOT NULL, r INT NOT NULL, v INT DEFAULT 7, s INT NOT NULL DEFAULT 0';

    /** How many groups were refused: one of their rows can only update, and there was none. */
    public int $refused = 0;

    /** @var array<string, array<int, array<string, int>>> the rows by table and key */
    private array $rows = [];

    public function __construct(private readonly bool $isGuarded, private readonly bool $isSummed)
    {
    }

    /** @param list<array{string, Row, bool}> $group a table, a row or key, whether it is deleted */
    public function write(array $group): void
    {
        $before = $this->rows;
        foreach ($group as [$table, $row, $isDeletion]) {
            if ($isDeletion) {
                $this->delete($table, $row);
            } elseif (!$this->put($table, $row)) {
                $this->rows = $before;
                ++$this->refused;

                return;
            }
        }
    }

    /** @return list<list<int>> */
    public function of(string $table): array
    {
        $rows = $this->rows[$table] ?? [];
        ksort($rows);

        return array_values(array_map(
            static fn (array $row): array => [$row['id'], $row['g'], $row['r'], $row['v'], $row['s']],
            $rows,
        ));
    }

    /** @param Row $key */
    private function delete(string $table, array $key): void
    {
        $old = $this->rows[$table][$key['id']] ?? null;
        if ($old === null || ($this->isGuarded && isset($key['g']) && $key['g'] < $old['g'])) {
            return;
        }
        unset($this->rows[$table][$key['id']]);
    }

    /** @param Row $row */
    private function put(string $table, array $row): bool
    {
        $old = $this->rows[$table][$row['id']] ?? null;
        if ($old === null) {
            $this->rows[$table][$row['id']] = $row + ['v' => 7, 's' => 0];

            return isset($row['r']);
        }
        if ($this->isGuarded && $row['g'] < $old['g']) {
            return true;
        }
        if ($this->isSummed && isset($row['s'])) {
            $row['s'] += $old['s'];
        }
        $this->rows[$table][$row['id']] = $row + $old;

        return true;
    }
}
