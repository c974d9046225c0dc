<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

/** What a request of `scripts/order.php` answered. */
final class Answer
{
    public readonly int $status;

    /** The worker's process id, which the script says before anything else. */
    public readonly int $pid;

    public readonly string $body;

    /** @param string $errors the FastCGI stream of that name */
    public function __construct(string $output, public readonly string $errors)
    {
        [$head, $this->body] = explode("\r\n\r\n", $output, 2) + ['', ''];
        $this->status = preg_match('/^Status: (\d+)/mi', $head, $match) === 1 ? (int) $match[1] : 200;
        $this->pid = preg_match('/^X-Worker: (\d+)/mi', $head, $match) === 1 ? (int) $match[1] : 0;
    }

    /** A value that the script reported; null where it did not come to that. */
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
