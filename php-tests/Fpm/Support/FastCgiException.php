<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Fpm\Support;

use RuntimeException;

/** A request that got no answer. */
final class FastCgiException extends RuntimeException
{
    public function __construct(string $message, private bool $mayHaveRun)
    {
        parent::__construct($message);
    }

    /** Whether the server may have run the script; if not, the request can be made again. */
    public function mayHaveRun(): bool
    {
        return $this->mayHaveRun;
    }
}
