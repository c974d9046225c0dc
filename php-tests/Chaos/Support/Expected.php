<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use RuntimeException;
use WriteBuffer\Tests\Process\Support\Child;

/** What the tables must hold, row by row, after a number of steps of each writer. */
final class Expected
{
    /** @var array<string, array<int, array<int, true>>> by table, writer and step */
    private array $givenUp = [];

    /** @param array<int, int> $steps by writer */
    public function __construct(private array $steps)
    {
    }

    /**
     * A group of a writer was given up.
     *
     * @param string                     $table of its first row
     * @param list<array<string, mixed>> $rows
     */
    public function giveUp(int $writer, string $table, array $rows): void
    {
        $this->givenUp[$table][$writer][$this->stepOf($writer, $table, $rows)] = true;
    }

    /** @param list<array<string, mixed>> $rows */
    private function stepOf(int $writer, string $table, array $rows): int
    {
        for ($step = 1; $step <= $this->steps[$writer]; $step++) {
            $group = match ($table) {
                Child::ORDERS => [
                    ...Load::orders($writer, $step),
                    ...Child::trades(Load::orderId($writer, $step)),
                ],
                Load::ACCOUNTS => Load::accounts($writer, $step),
                Load::PRICES => [Load::price($writer, $step)],
            };
            if ($group === $rows) {
                return $step;
            }
        }
        throw new RuntimeException("writer {$writer} never added this group: " . json_encode($rows));
    }

    private function isGivenUp(string $table, int $writer, int $step): bool
    {
        return isset($this->givenUp[$table][$writer][$step]);
    }

    /** @return iterable<array{id: int, v: string, n: int}> by id */
    public function orders(): iterable
    {
        $writers = $this->steps;
        ksort($writers);
        foreach ($writers as $writer => $steps) {
            $rows = [];
            for ($step = 1; $step <= $steps; $step++) {
                if ($this->isGivenUp(Child::ORDERS, $writer, $step)) {
                    continue;
                }
                foreach (Load::orders($writer, $step) as $order) {
                    $order['n'] += $rows[$order['id']]['n'] ?? 0;
                    $rows[$order['id']] = $order;
                }
            }
            ksort($rows);
            yield from array_values($rows);
        }
    }

    /** @return iterable<array{id: int, order_id: int}> by id */
    public function trades(): iterable
    {
        $writers = $this->steps;
        ksort($writers);
        foreach ($writers as $writer => $steps) {
            for ($step = 1; $step <= $steps; $step++) {
                if (!$this->isGivenUp(Child::ORDERS, $writer, $step)) {
                    yield from Child::trades(Load::orderId($writer, $step));
                }
            }
        }
    }

    /** @return list<array{id: int, available: string, transfers: int}> by id */
    public function accounts(): array
    {
        $sums = $transfers = [];
        foreach ($this->steps as $writer => $steps) {
            for ($step = 1; $step <= $steps; $step++) {
                if ($this->isGivenUp(Load::ACCOUNTS, $writer, $step)) {
                    continue;
                }
                [$from, $to, $amount] = Load::transfer($writer, $step);
                foreach ([[$from, -$amount], [$to, $amount]] as [$id, $change]) {
                    $sums[$id] = ($sums[$id] ?? 0) + $change;
                    $transfers[$id] = ($transfers[$id] ?? 0) + 1;
                }
            }
        }
        ksort($sums);
        $row = static fn (int $id, int $sum): array => [
            'id' => $id,
            'available' => Load::decimal($sum),
            'transfers' => $transfers[$id],
        ];

        return array_map($row, array_keys($sums), $sums);
    }

    /** @return list<array{id: int, version: int, v: string}> by id */
    public function prices(): array
    {
        $rows = [];
        foreach ($this->steps as $writer => $steps) {
            for ($step = 1; $step <= $steps; $step++) {
                $price = Load::price($writer, $step);
                if ($this->isGivenUp(Load::PRICES, $writer, $step)) {
                    continue;
                }
                if ($price['version'] >= ($rows[$price['id']]['version'] ?? -1)) {
                    $rows[$price['id']] = $price;
                }
            }
        }
        ksort($rows);

        return array_values($rows);
    }
}
