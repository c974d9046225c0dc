<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The extension's interface, for machines without the extension: the drivers `php` and `null`
 * implement it. If the extension is loaded, its own interface is used. A test compares the two.
 * `stubs/write_buffer.stub.php` documents the methods.
 */
interface Buffer extends \Countable
{
    public function add(mixed $order, mixed $trade = null): int;

    public function put(string $table, mixed $row, ?string $tag = null): int;

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int;

    public function delete(string $table, mixed $key, ?string $tag = null): int;

    public function group(callable $rows, ?string $tag = null): mixed;

    public function find(string $table, mixed $key): array|false|null;

    public function flush(?int $timeoutMs = null): int;

    public function sync(?int $timeoutMs = null): void;

    public function lastTicket(): int;

    public function committedThrough(): int;

    public function waitFor(int $ticket, ?int $timeoutMs = null): void;

    public function isFull(): bool;

    public function getMetrics(): array;

    public function count(): int;

    public function failures(): array;

    public function takeFailures(): array;

    public function retry(array $failures): int;

    public function close(?int $timeoutMs = null): void;
}
