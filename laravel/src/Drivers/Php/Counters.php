<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Php;

use WriteBuffer\Laravel\Drivers\Metrics;

/** Owns the metrics that a buffer of the driver `php` counts, by their names in getMetrics(). */
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

    /** @return array<string, mixed> with the averages; what is pending is the caller's */
    public function all(): array
    {
        return array_replace($this->values, [
            'batch_rows_avg' => $this->values['flush_count'] === 0
                ? 0.0
                : $this->values['total_flushed'] / $this->values['flush_count'],
        ]);
    }
}
