<?php

declare(strict_types=1);

namespace WriteBuffer;

/** The server cannot be reached, or the connection was lost. The rows stay buffered. The extension's own class wins over this one. */
final class ConnectionException extends \RuntimeException implements Exception
{
}
