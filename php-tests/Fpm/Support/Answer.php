<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

/** The answer to a request to `scripts/order.php`. */
final class Answer
{
    public readonly int $status;

    /** The worker's process id. The script sends it first. */
    public readonly int $pid;

    public readonly string $body;

    /** @param string $errors the FastCGI stream of that name */
    public function __construct(string $output, public readonly string $errors)
    {
        [$head, $this->body] = explode("\r\n\r\n", $output, 2) + ['', ''];
        $this->status = preg_match('/^Status: (\d+)/mi', $head, $match) === 1 ? (int) $match[1] : 200;
        $this->pid = preg_match('/^X-Worker: (\d+)/mi', $head, $match) === 1 ? (int) $match[1] : 0;
    }

    /** A value that the script reported, or null if it did not get that far. */
    public function value(string $name): mixed
    {
        return json_decode($this->body, true)[$name] ?? null;
    }

    /** For the message of a failed assertion. */
    public function describe(): string
    {
        return "status {$this->status}, worker {$this->pid}: {$this->body}\n{$this->errors}";
    }
}
