<?php

declare(strict_types=1);

namespace App\Services;

use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Database\Connection;
use Symfony\Component\HttpKernel\Exception\ServiceUnavailableHttpException;
use Throwable;
use WriteBuffer\Buffer;

/**
 * Owns the lock of the exchange: one process at a time changes it, and the next one begins when the
 * rows of this one are committed. The database holds the lock, and frees it when the process dies.
 */
final class ExchangeLock
{
    private bool $isHeld = false;

    public function __construct(
        private readonly Container $container,
        private readonly Connection $connection,
    ) {
    }

    /** @throws ServiceUnavailableHttpException other processes held it for too long */
    public function take(): void
    {
        if (!$this->isHeld) {
            $timeoutS = (int) $this->container->make('config')->get('exchange.lock_timeout_s');
            $this->isHeld = (int) $this->ask('GET_LOCK(?, ?)', $timeoutS) === 1;
            if (!$this->isHeld) {
                throw new ServiceUnavailableHttpException(1, 'The exchange is busy; the order was not placed.');
            }
        }
    }

    /** Commits what this process has buffered, and frees the lock. Reports errors. */
    public function release(): void
    {
        if (!$this->isHeld) {
            return;
        }
        $this->isHeld = false;
        try {
            // The end of the request has flushed already, unless the buffer is persistent.
            $timeoutMs = (int) $this->container->make('config')->get('write-buffer.flush_timeout_ms');
            $this->container->make(Buffer::class)->flush($timeoutMs);
        } catch (Throwable $e) {
            $this->container->make(ExceptionHandler::class)->report($e);
        }
        try {
            $this->ask('RELEASE_LOCK(?)');
        } catch (Throwable $e) {
            $this->container->make(ExceptionHandler::class)->report($e);
        }
    }

    private function ask(string $function, int ...$arguments): mixed
    {
        // The whole server shares the names of locks. They have 64 characters at most.
        $name = 'exchange ' . md5($this->connection->getDatabaseName());

        return $this->connection->selectOne("SELECT {$function} AS answer", [$name, ...$arguments], false)->answer;
    }
}
