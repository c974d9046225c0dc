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
    public function add(mixed $order, mixed $trade = null): void;

    public function put(string $table, mixed $row): void;

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int;

    public function delete(string $table, mixed $key): void;

    public function group(callable $rows): mixed;

    public function find(string $table, mixed $key): array|false|null;

    public function flush(?int $timeoutMs = null): int;

    public function isFull(): bool;

    public function getMetrics(): array;

    public function count(): int;

    public function takeFailures(): array;

    public function retry(array $failures): int;

    public function close(?int $timeoutMs = null): void;
}
