<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Drivers\Metrics;

/** Owns what a buffer of the driver `php` counts, by the names of getMetrics(). */
final class Counters
{
    /** @var array<string, mixed> */
    private array $values;

    public function __construct()
    {
        $this->values = Metrics::none();
    }

    public function add(string $name, int|float $number = 1): void
    {
        $this->values[$name] += $number;
    }

    public function raiseTo(string $name, int|float $number): void
    {
        $this->values[$name] = max($this->values[$name], $number);
    }

    public function setLastError(string $message): void
    {
        $this->values['last_error'] = $message;
    }

    public function lastError(): ?string
    {
        return $this->values['last_error'];
    }

    /** @return array<string, mixed> all metrics but those of what is pending */
    public function all(): array
    {
        ['rows_committed' => $rows, 'transactions' => $transactions] = $this->values;
        $rowsAvg = $transactions === 0 ? 0.0 : (float) ($rows / $transactions);

        return Metrics::of(['transaction_rows_avg' => $rowsAvg] + $this->values);
    }
}
