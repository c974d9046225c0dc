<?php

declare(strict_types=1);

namespace WriteBuffer;

/**
 * maxPendingRows or maxPendingBytes is reached, and the rows before could not be written. The group
 * was not taken. There may be room later. If the extension is loaded, its own class is used.
 */
final class FullException extends \OverflowException implements NotTaken, Retryable
{
}
