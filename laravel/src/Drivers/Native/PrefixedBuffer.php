<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Drivers\Native;

use SyncWriteBuffer;
use WriteBuffer\Buffer;
use WriteBuffer\Laravel\Drivers\PassesOn;
use WriteBuffer\Laravel\Rows\Import;
use WriteBuffer\Laravel\Rows\RowReader;
use WriteBuffer\Laravel\Rows\RowRuns;
use WriteBuffer\Laravel\Rows\TakesRows;
use WriteBuffer\Laravel\Tables\TableCatalog;

/**
 * Owns the table prefix of Laravel's connection before the extension's buffer. Rows get the
 * server's names of their tables on the way in. Failures keep these names, and retry() takes them
 * so.
 */
final class PrefixedBuffer implements Buffer, TakesRows
{
    use PassesOn;

    private readonly RowReader $reader;

    /** Calls of group() that have begun, in whatever fiber. */
    private int $openGroups = 0;

    public function __construct(
        private readonly Buffer $buffer,
        RowReader $reader,
        TableCatalog $tables,
        private readonly string $orderTable,
        private readonly string $tradeTable,
    ) {
        $this->reader = $reader->withIdentities($tables->identity(...));
    }

    public function add(mixed $order, mixed $trade = null): int
    {
        $orders = $this->reader->read($order, $this->orderTable, 'Argument #1 ($order)', true);

        return $this->buffer->add($orders, $this->reader->read($trade, $this->tradeTable, 'Argument #2 ($trade)', true));
    }

    public function put(string $table, mixed $row, ?string $tag = null): int
    {
        return $this->buffer->put(
            $this->reader->table($table),
            $this->reader->read($row, $table, 'Argument #2 ($row)', false),
            $tag,
        );
    }

    public function putAll(string $table, iterable $rows, ?callable $progress = null): int
    {
        $import = new Import(
            $this,
            fn (array $row): array => $this->reader->read($row, $table, Import::PARAMETER, false),
            $this->addRows(...),
            fn (): bool => $this->openGroups > 0,
            $this->keepsRows(),
        );

        return $import->run($rows, $progress);
    }

    public function delete(string $table, mixed $key, ?string $tag = null): int
    {
        return $this->buffer->delete($this->reader->table($table), $key, $tag);
    }

    public function addRows(array $rows, ?string $tag = null): void
    {
        RowRuns::addTo($this->buffer, $rows, $tag);
    }

    public function keepsRows(): bool
    {
        return !$this->buffer instanceof SyncWriteBuffer;
    }

    public function group(callable $rows, ?string $tag = null): mixed
    {
        $this->openGroups++;
        try {
            return $this->buffer->group($rows, $tag);
        } finally {
            $this->openGroups--;
        }
    }

    public function find(string $table, mixed $key): array|false|null
    {
        return $this->buffer->find($this->reader->table($table), $key);
    }
}
