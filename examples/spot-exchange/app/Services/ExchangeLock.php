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
 * One process at a time changes the exchange, and the next one begins when the rows of the one before are committed. The
 * database holds the lock, and frees it when the process dies.
 */
final class ExchangeLock
{
    private bool $isHeld = false;

    public function __construct(
        private readonly Container $container,
        private readonly Connection $connection,
    ) {
    }

    /** @throws ServiceUnavailableHttpException it was not free within the time */
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

    /** Commits what this process has buffered, and lets the next one go on. What goes wrong is reported. */
    public function release(): void
    {
        if (!$this->isHeld) {
            return;
        }
        $this->isHeld = false;
        try {
            // The end of a request has done so already, except for a persistent buffer.
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
        // A lock's name is the whole server's, and has 64 characters at most.
        $name = 'exchange ' . md5($this->connection->getDatabaseName());

        return $this->connection->selectOne("SELECT {$function} AS answer", [$name, ...$arguments], false)->answer;
    }
}
