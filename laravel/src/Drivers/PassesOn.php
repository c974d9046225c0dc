<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers;

/** Owns what a buffer that stands before another one asks of it as it is: of `$this->buffer`. */
trait PassesOn
{
    public function flush(?int $timeoutMs = null): int
    {
        return $this->buffer->flush($timeoutMs);
    }

    public function sync(?int $timeoutMs = null): void
    {
        $this->buffer->sync($timeoutMs);
    }

    public function lastTicket(): int
    {
        return $this->buffer->lastTicket();
    }

    public function committedThrough(): int
    {
        return $this->buffer->committedThrough();
    }

    public function waitFor(int $ticket, ?int $timeoutMs = null): void
    {
        $this->buffer->waitFor($ticket, $timeoutMs);
    }

    public function isFull(): bool
    {
        return $this->buffer->isFull();
    }

    public function getMetrics(): array
    {
        return $this->buffer->getMetrics();
    }

    public function count(): int
    {
        return count($this->buffer);
    }

    public function failures(): array
    {
        return $this->buffer->failures();
    }

    public function takeFailures(): array
    {
        return $this->buffer->takeFailures();
    }

    public function retry(array $failures): int
    {
        return $this->buffer->retry($failures);
    }

    public function close(?int $timeoutMs = null): void
    {
        $this->buffer->close($timeoutMs);
    }
}
