<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Chaos\Support;

use WriteBuffer\Tests\Process\Support\ChildProcess;

/** A child process that runs a {@see Load}. */
final class Writer
{
    private const TIMEOUT_S = 240.0;

    private int $questions = 0;

    public function __construct(public readonly int $number, public readonly ChildProcess $child)
    {
    }

    /** @return array<string, mixed> its buffer's metrics now */
    public function metrics(): array
    {
        $question = 'at ' . ++$this->questions;
        $this->child->send($question);
        // A writer in the foreground answers between two calls, and a call may wait for a server
        // that is away.
        $line = $this->child->waitFor("metrics {$question}=", self::TIMEOUT_S);

        return json_decode(substr($line, strlen("metrics {$question}=")), true, 512, JSON_THROW_ON_ERROR);
    }

    /** Tells it that the test has seen enough. */
    public function stop(): void
    {
        $this->child->send('stop');
    }

    /** Waits until it has written everything. Returns how many steps it took. */
    public function steps(): int
    {
        $line = $this->child->waitFor('steps=', self::TIMEOUT_S);

        return (int) substr($line, strlen('steps='));
    }

    /** A metric at the end. */
    public function metric(string $name): mixed
    {
        return $this->child->reported('metrics')[$name];
    }
}
