<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use WriteBuffer\Buffer;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Events\BatchFlushed;
use WriteBuffer\Laravel\Events\FlushFailed;
use WriteBuffer\Laravel\Exceptions\FlushFailedException;
use WriteBuffer\Laravel\Exceptions\OpenTransactionException;
use WriteBuffer\Laravel\Status\StatusFolder;
use WriteBuffer\Laravel\Transactions\HoldsRows;

/**
 * Owns the flush at the end of a request, a job, a command or a task: of every buffer that was
 * used.
 *
 * Invariant: it never throws. Laravel's handler is told what a flush met, and the rows are where
 * the exception says.
 *
 * Bound: `flush_timeout_ms` for each buffer.
 */
final class EndOfWorkFlusher
{
    private bool $cannotPublish = false;

    public function __construct(private readonly Container $container)
    {
    }

    /** @param string $kind what ended: a key of `flush_after` in config/write-buffer.php */
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
        foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
            // A persistent buffer stays for the next request, and its thread goes on writing.
            $isPersistent = $kind === 'request' && $config->get("write-buffer.buffers.{$name}.persistent");
            // This work ended within the transaction of other work, whose end flushes.
            if (!$isPersistent && !($buffer instanceof HoldsRows && $buffer->isHolding())) {
                $this->flushOne($name, $buffer, $timeoutMs);
            }
        }
        $this->container->make(BufferManager::class)->forgetEarlier();
    }

    /** Reports rows that wait for a transaction which the last job left open: nobody else would. */
    public function reportHeld(): void
    {
        foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
            $rows = $buffer instanceof HoldsRows ? $buffer->heldRows() : 0;
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
                $timeMs = (hrtime(true) - $began) / 1e6;
                $this->container->make('events')->dispatch(new BatchFlushed($name, $rows, $timeMs));
            }
        } catch (BufferException $e) {
            $manager = $this->container->make(BufferManager::class);
            $report = new FlushFailedException(
                $name,
                $e,
                count($buffer),
                $manager->serverRules($name),
                $manager->redactsValues($name),
            );
            $this->report($report);
            $this->container->make('events')->dispatch(new FlushFailed($name, $report));
        }
    }

    /**
     * Writes what `write-buffer:status` reads. Nothing depends on it, so a failure is reported
     * once.
     */
    private function publishStatus(): void
    {
        $path = $this->container->make('config')->get('write-buffer.status');
        if (!is_string($path) || $path === '' || $this->cannotPublish) {
            return;
        }
        try {
            $folder = new StatusFolder($path);
            foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
                // A driver of the application need not have all metrics.
                $folder->publish($name, $buffer->getMetrics() + Metrics::none(), microtime(true));
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
