<?php

declare(strict_types=1);

namespace App\Buffers;

use Illuminate\Contracts\Config\Repository;
use Illuminate\Database\DatabaseManager;
use InvalidArgumentException;

/** Makes the buffer that a configuration names. */
final class BufferFactory
{
    public const KINDS = ['eloquent', 'php', 'native'];

    public function __construct(
        private readonly Repository $config,
        private readonly DatabaseManager $databases,
    ) {
    }

    public function make(string $kind): Buffer
    {
        $batch = $this->config->get('exchange.batch');

        return match ($kind) {
            'eloquent' => new EloquentBuffer(),
            'php' => new PhpWriteBuffer(
                $this->databases->connection(),
                $batch['size'],
                $batch['flush_interval_ms'],
                $batch['max_retries'],
            ),
            'native' => new NativeBuffer(
                NativeDsn::fromConfig($this->databases->connection()->getConfig()),
                $batch['size'],
                $batch['flush_interval_ms'],
                $batch['max_retries'],
                $batch['background'],
            ),
            default => throw new InvalidArgumentException(
                "There is no buffer \"{$kind}\"; there are: " . implode(', ', self::KINDS) . '.'
            ),
        };
    }
}
