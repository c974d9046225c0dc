<?php

declare(strict_types=1);

namespace Bench;

/** What a program measured, for the conductor's report: a value each round. */
final class Findings
{
    /** @var array<string, array<string, mixed>> by its label: what the conductor's Finding has */
    private array $all = [];

    /**
     * Does the work of a program, and prints what it found: as JSON for the conductor, which gives
     * a task, or else as text.
     *
     * @param callable(Task, self): void $work
     */
    public static function run(callable $work): never
    {
        Task::run(static function (Task $task) use ($work): array {
            $findings = new self();
            $work($task, $findings);
            if (!Task::isGiven()) {
                $findings->print();
                exit(0);
            }

            return array_values($findings->all);
        });
    }

    /** Adds a round's value. A ratio has no unit. */
    public function add(string $label, string $unit, float $value): void
    {
        $this->all[$label] ??= ['label' => $label, 'unit' => $unit, 'values' => [], 'bound' => null, 'at_least' => true];
        $this->all[$label]['values'][] = $value;
    }

    /** Adds a round's value that should be at least this. */
    public function atLeast(float $bound, string $label, string $unit, float $value): void
    {
        $this->add($label, $unit, $value);
        $this->all[$label]['bound'] = $bound;
    }

    /** Adds a round's value that should be at most this. */
    public function atMost(float $bound, string $label, string $unit, float $value): void
    {
        $this->atLeast($bound, $label, $unit, $value);
        $this->all[$label]['at_least'] = false;
    }

    private function print(): void
    {
        foreach ($this->all as ['label' => $label, 'unit' => $unit, 'values' => $values, 'bound' => $bound, 'at_least' => $atLeast]) {
            sort($values);
            $median = ($values[intdiv(count($values) - 1, 2)] + $values[intdiv(count($values), 2)]) / 2;
            printf('%-80s %12.2f %s (%.2f to %.2f)', $label, $median, $unit, $values[0], end($values));
            if ($bound !== null) {
                $isReached = $atLeast ? $median >= $bound : $median <= $bound;
                printf(', %s %.2f: %s', $atLeast ? '≥' : '≤', $bound, $isReached ? 'reached' : 'not reached');
            }
            echo "\n";
        }
    }
}
