<?php

declare(strict_types=1);

namespace WriteBuffer;

/** The time given to flush() or close() is over. The rows stay buffered. The extension's own class wins over this one. */
final class TimeoutException extends \RuntimeException implements Exception
{
}
