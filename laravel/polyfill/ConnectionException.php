<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The server cannot be reached, refused the login, or the connection was lost. The rows stay
 * buffered. If the extension is loaded, its own class is used.
 */
class ConnectionException extends \RuntimeException implements Retryable
{
}
