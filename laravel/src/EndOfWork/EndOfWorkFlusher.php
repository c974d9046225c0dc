<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\EndOfWork;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Throwable;
use WriteBuffer\BlockedException;
use WriteBuffer\Buffer;
use WriteBuffer\Exception as BufferException;
use WriteBuffer\FlushException;
use WriteBuffer\Laravel\Buffers\BufferManager;
use WriteBuffer\Laravel\Buffers\BufferSettings;
use WriteBuffer\Laravel\Buffers\PackageSettings;
use WriteBuffer\Laravel\DeadLetters\DeadLetter;
use WriteBuffer\Laravel\Drivers\Metrics;
use WriteBuffer\Laravel\Events\BatchFlushed;
use WriteBuffer\Laravel\Events\BatchWritten;
use WriteBuffer\Laravel\Events\FlushFailed;
use WriteBuffer\Laravel\Exceptions\FlushFailedException;
use WriteBuffer\Laravel\Exceptions\OpenTransactionException;
use WriteBuffer\Laravel\Messages\Words;
use WriteBuffer\Laravel\Status\StatusFolder;
use WriteBuffer\Laravel\Transactions\HoldsRows;
use WriteBuffer\Laravel\Transactions\OpenTransactions;
use WriteBuffer\RefusedException;

/**
 * Owns the flush at the end of a request, a job, a command or a task: of every buffer that was
 * used.
 *
 * Invariant: it never throws. Laravel's handler is told once of what a flush met, or the thread of
 * a buffer that is not flushed. The rows are where the exception says.
 *
 * Bound: `flush_timeout_ms` for each buffer.
 */
final class EndOfWorkFlusher
{
    private bool $cannotPublish = false;

    private readonly Told $told;

    private readonly Written $written;

    public function __construct(private readonly Container $container)
    {
        $this->told = new Told();
        $this->written = new Written();
    }

    /** @param string $kind what ended: a key of `flush_after` in config/write-buffer.php */
    public function flush(string $kind): void
    {
        if ($this->container->make('config')->get("write-buffer.flush_after.{$kind}", true)) {
            $this->flushAll($kind);
        } else {
            $this->tellAll();
        }
        $this->container->make(OpenTransactions::class)->reportUnthrown();
        $this->dispatchWritten();
        $this->publishStatus();
    }

    /** Tells listeners of what was committed, also by native threads. */
    private function dispatchWritten(): void
    {
        $events = $this->container->make('events');
        if (!$events->hasListeners(BatchWritten::class)) {
            return;
        }
        foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
            $isPersistent = $this->isPersistent($name);
            $folder = $isPersistent ? $this->folder() : null;
            $metrics = $buffer->getMetrics() + Metrics::none();
            $written = $this->written->since($name, $buffer, $metrics, $isPersistent, $folder);
            if ($written !== null) {
                $events->dispatch($written);
            }
        }
    }

    private function flushAll(string $kind): void
    {
        $config = $this->container->make('config');
        $timeoutMs = PackageSettings::flushTimeoutMs($config->get('write-buffer.flush_timeout_ms'));
        foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
            $isPersistent = $this->isPersistent($name);
            if ($buffer instanceof HoldsRows && $buffer->isHolding()) {
                // This work ended within the transaction of other work, whose end flushes.
                continue;
            }
            if ($isPersistent && $kind === 'request') {
                // It stays for the next request, and its thread goes on writing.
                $this->tell($name, $buffer, true);
            } else {
                $this->flushOne($name, $buffer, $timeoutMs, $isPersistent);
            }
        }
        $this->container->make(BufferManager::class)->forgetEarlier();
    }

    /** Tells of what threads have met, where nothing is flushed. */
    private function tellAll(): void
    {
        $config = $this->container->make('config');
        foreach ($this->container->make(BufferManager::class)->all() as $name => $buffer) {
            // Without a thread, what was met was thrown where rows were added.
            $hasThread = BufferSettings::hasThread((array) $config->get("write-buffer.buffers.{$name}"));
            if ($hasThread && !($buffer instanceof HoldsRows && $buffer->isHolding())) {
                $this->tell($name, $buffer, $this->isPersistent($name));
            }
        }
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

    private function flushOne(string $name, Buffer $buffer, int $timeoutMs, bool $isPersistent): void
    {
        try {
            $began = hrtime(true);
            $rows = $buffer->flush($timeoutMs);
            $this->told->isFlushed($buffer);
            if ($rows > 0) {
                $timeMs = (hrtime(true) - $began) / 1e6;
                $this->container->make('events')->dispatch(new BatchFlushed($name, $rows, $timeMs));
            }
        } catch (Throwable $e) {
            [$letters, $parked] = $this->untold($name, $buffer, $isPersistent);
            // A table that takes no rows fails each flush, and is told of once.
            $isTold = $e instanceof BlockedException && $parked === [] && $this->isParked($buffer, $e->getCode());
            $this->failed($name, $buffer, $e, $isTold);
            if ($letters !== [] && !$e instanceof FlushException) {
                // A flush that met no server, or whose time was over, does not say what was given
                // up before.
                $this->failed($name, $buffer, $this->refusal($name, $letters));
            }
        }
    }

    /** Tells of what the thread of a buffer has met that is not flushed now. */
    private function tell(string $name, Buffer $buffer, bool $isPersistent): void
    {
        [$letters, $parked] = $this->untold($name, $buffer, $isPersistent);
        if ($letters !== []) {
            $this->failed($name, $buffer, $this->refusal($name, $letters));
            try {
                // Its end need not tell of them once more.
                $buffer->flush(0);
            } catch (BufferException) {
                // It is what was told just now, or that no time was given.
            }
        }
        foreach ($parked as $table) {
            $this->failed($name, $buffer, new BlockedException($table['message'], $table['code']));
        }
    }

    /**
     * @return array{
     *     list<array<string, mixed>>,
     *     array<string, array{code: int, message: string}>
     * } groups that were given up; tables
     */
    private function untold(string $name, Buffer $buffer, bool $isPersistent): array
    {
        $metrics = $buffer->getMetrics() + Metrics::none();

        return $this->told->untold($name, $buffer, $metrics, $isPersistent ? $this->folder() : null);
    }

    private function folder(): ?StatusFolder
    {
        $path = $this->container->make('config')->get('write-buffer.status');

        return is_string($path) && $path !== '' ? new StatusFolder($path) : null;
    }

    private function isPersistent(string $name): bool
    {
        return (string) $this->container->make('config')->get("write-buffer.buffers.{$name}.persistent") !== '';
    }

    private function isParked(Buffer $buffer, int $code): bool
    {
        return in_array($code, array_column(($buffer->getMetrics() + Metrics::none())[Metrics::PARKED], 'code'), true);
    }

    /** @param list<array<string, mixed>> $letters */
    private function refusal(string $name, array $letters): RefusedException
    {
        $rows = DeadLetter::countRows($letters);
        ['code' => $code, 'message' => $message] = $letters[0];
        $message = $this->container->make(BufferManager::class)->redactsValues($name)
            ? Words::redactedFailure($code, $message)
            : Words::clean($message);

        return new RefusedException(
            'gave up ' . ($rows === 1 ? '1 row' : "{$rows} rows") . ' that can never be written, see takeFailures(); the'
            . " first error: {$message}",
            $code,
            null,
            $letters,
        );
    }

    /** @param bool $isTold whether the handler was told of it before */
    private function failed(string $name, Buffer $buffer, Throwable $e, bool $isTold = false): void
    {
        $manager = $this->container->make(BufferManager::class);
        $report = new FlushFailedException(
            $name,
            $e,
            count($buffer),
            $manager->serverRules($name),
            $manager->redactsValues($name),
        );
        if (!$isTold) {
            $this->report($report);
        }
        $this->container->make('events')->dispatch(new FlushFailed($name, $report));
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
                $metrics = $buffer->getMetrics() + Metrics::none();
                $folder->publish($name, $metrics, microtime(true), $this->isPersistent($name));
            }
        } catch (Throwable $e) {
            $this->cannotPublish = true;
            $this->report($e);
        }
    }

    private function report(Throwable $e): void
    {
        $this->container->make(ExceptionHandler::class)->report($e);
    }
}
