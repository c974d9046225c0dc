<?php

declare(strict_types=1);

namespace WriteBuffer;

/** maxPendingRows or maxPendingBytes is reached. The group was not taken. The extension's own class wins over this one. */
final class FullException extends \RuntimeException implements Exception
{
}
