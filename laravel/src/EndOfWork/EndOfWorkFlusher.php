<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use WriteBuffer\Buffer;
use WriteBuffer\ClosedException;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Events\BatchFlushed;
use WriteBuffer\Laravel\Events\FlushFailed;
use WriteBuffer\Laravel\Exceptions\FlushFailedException;
use WriteBuffer\Laravel\Exceptions\OpenTransactionException;
use WriteBuffer\Laravel\Status\StatusFolder;
use WriteBuffer\Laravel\Transactions\AfterCommitBuffer;

/**
 * Flushes the buffers that were used, where a piece of work ends. It never throws: what a flush met is reported through Laravel's
 * handler, and the rows are where the exception says.
 *
 * Bound: `flush_timeout_ms` for each buffer.
 */
final class EndOfWorkFlusher
{
    private bool $cannotPublish = false;

    public function __construct(private readonly Container $container)
    {
    }

    /** @param string $kind of `flush_after` in config/write-buffer.php */
    public function flush(string $kind): void
    {
        if ($this->container->make('config')->get("write-buffer.flush_after.{$kind}", true)) {
            $this->flushAll($kind);
        }
        $this->publishStatus();
    }

    private function flushAll(string $kind): void
    {
        $config = $this->container->make('config');
        $timeoutMs = (int) ($config->get('write-buffer.flush_timeout_ms') ?? 5_000);
        foreach ($this->container->make(BufferManager::class)->made() as $name => $buffer) {
            // A persistent buffer is there for the next request, and its thread writes on.
            $isPersistent = $kind === 'request' && $config->get("write-buffer.buffers.{$name}.persistent");
            // A piece of work within another one's transaction: that one's end will flush.
            if (!$isPersistent && !($buffer instanceof AfterCommitBuffer && $buffer->isHolding())) {
                $this->flushOne($name, $buffer, $timeoutMs);
            }
        }
    }

    /** Says of rows that wait for a transaction which the work before has left open: nobody else would. */
    public function reportHeld(): void
    {
        foreach ($this->container->make(BufferManager::class)->made() as $name => $buffer) {
            $rows = $buffer instanceof AfterCommitBuffer ? $buffer->heldRows() : 0;
            if ($rows > 0) {
                $this->report(new OpenTransactionException($name, $rows));
            }
        }
    }

    private function flushOne(string $name, Buffer $buffer, int $timeoutMs): void
    {
        try {
            $began = hrtime(true);
            $rows = $buffer->flush($timeoutMs);
            if ($rows > 0) {
                $this->container->make('events')->dispatch(new BatchFlushed($name, $rows, (hrtime(true) - $began) / 1e6));
            }
        } catch (ClosedException) {
            // The application closed it itself, and close() has written its rows.
        } catch (BufferException $e) {
            $tables = $this->container->make(BufferManager::class)->serverRules($name);
            $report = new FlushFailedException($name, $e, count($buffer), $tables);
            $this->report($report);
            $this->container->make('events')->dispatch(new FlushFailed($name, $report));
        }
    }

    /** Writes what `write-buffer:status` reads. Where that cannot be done, one report says so: nothing depends on it. */
    private function publishStatus(): void
    {
        $path = $this->container->make('config')->get('write-buffer.status');
        if (!is_string($path) || $path === '' || $this->cannotPublish) {
            return;
        }
        try {
            $folder = new StatusFolder($path);
            foreach ($this->container->make(BufferManager::class)->made() as $name => $buffer) {
                // A driver of the application's own need not have them all.
                $folder->publish($name, $buffer->getMetrics() + Metrics::none());
            }
        } catch (\Throwable $e) {
            $this->cannotPublish = true;
            $this->report($e);
        }
    }

    private function report(\Throwable $e): void
    {
        $this->container->make(ExceptionHandler::class)->report($e);
    }
}
