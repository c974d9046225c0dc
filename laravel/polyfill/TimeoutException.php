<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * The time given to flush(), close() or waitFor() is over. The rows stay buffered. If the extension
 * is loaded, its own class is used.
 */
class TimeoutException extends \RuntimeException implements Retryable
{
}
