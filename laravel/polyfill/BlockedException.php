<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * Rows cannot be written now. No row was given up: they stay buffered. If the extension is loaded,
 * its own class is used.
 */
class BlockedException extends FlushException implements Retryable
{
}
